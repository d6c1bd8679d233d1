r"""Rows of events as the text that PostgreSQL copies in and out.

One line a row, columns apart by tabs; a backslash escapes what would be taken for either, and NULL is \N. This is the
very form in which COPY writes such rows, so what is read back can be compared byte for byte.
Source: the documentation of PostgreSQL, COPY, "Text Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from cicsc.canonical import canonical_bytes
from cicsc.decoding import WatchingDecoder
from cicsc.history.model import Event, EventList, StreamKey
from cicsc.history.native import Native, native_part
from cicsc.history.runs import encode_records
from cicsc.store.encoding import EventDecoder, PlacedRow, RowsHasher, placed_rows
from cicsc.store.records import Placed, StagedEvents
from cicsc.store.views import cut_events, segments_of

_SPECIAL: Final = "\\\b\f\n\r\t\v"
_ESCAPES: Final = str.maketrans(dict(zip(_SPECIAL, ("\\\\", "\\b", "\\f", "\\n", "\\r", "\\t", "\\v"), strict=True)))
_ROWS_AT_ONCE: Final = 2_048

_LETTERS: Final = dict(zip("bfnrtv\\", "\b\f\n\r\t\v\\", strict=True))
_replace_escapes: Final = re.compile(r"\\(.)").sub


def copied_lines(target: tuple[str, int], staged: StagedEvents, seen: RowsHasher) -> Iterator[bytes]:
    """Yield the lines of events in (tenant, generation), in UTF-8: columns of `stage_events`; add them to `seen`."""
    tenant_id, generation = target
    begin = f"{_escaped(tenant_id)}\t{generation}"
    lines = _native_lines(tenant_id, begin, staged)
    if lines is not None:
        seen.add(lines, len(staged.positions))
        yield lines
        return
    rows = placed_rows(staged)
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        lines = _lines(begin, some)
        seen.add(lines, len(some))
        yield lines


def _native_lines(tenant_id: str, begin: str, staged: StagedEvents) -> bytes | None:
    """Make the lines of records, where there is the native part and it knows all of them well."""
    positions, ordinals, events = staged
    native = native_part()
    if native is None or not positions:
        return None
    records = events if isinstance(events, bytes) else encode_records(events)
    return native.rows_of_records(records, canonical_bytes(tenant_id), f"{begin}\t".encode(), positions, ordinals)


def _lines(begin: str, rows: Sequence[PlacedRow]) -> bytes:
    names = "".join([f"{row[2]}{row[3]}{row[5]}{row[8]}" for row in rows])
    if any(character in names for character in _SPECIAL):
        return "".join([_line(begin, row) for row in rows]).encode()
    lines = []
    for position, ordinal, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra in rows:
        # JSON has no other character of those that are escaped.
        text = payload.replace("\\", "\\\\") if "\\" in payload else payload
        more = "\\N" if extra is None else _escaped(extra)
        lines.append(
            f"{begin}\t{position}\t{ordinal}\t{entity_type}\t{entity_id}\t{seq}\t{event_type}\t{text}\t{ts}\t{actor_id}\t{more}\n"
        )
    return "".join(lines).encode()


def _line(begin: str, row: PlacedRow) -> str:
    columns = ["\\N" if value is None else _escaped(value) if isinstance(value, str) else str(value) for value in row]
    return "\t".join([begin, *columns]) + "\n"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)


class CopiedDecoder:
    """Makes events of the lines of `copied_events`; belongs to one thread.

    The native part makes records of rows that hold what a record may hold, as most do; others are taken apart here.
    """

    def __init__(self, tenant_id: str, native: Native) -> None:
        self._tenant = canonical_bytes(tenant_id)
        self._records_of_rows = native.records_of_rows
        self._decode_lines = WatchingDecoder(Event).decode_lines
        self._decoder = EventDecoder(tenant_id)

    def segments(self, lines: bytes) -> Iterator[tuple[StreamKey, Placed]]:
        """Yield the events of some lines, cut where another stream begins; raises InputError EVENT_UNREADABLE."""
        found = self._records_of_rows(lines, self._tenant)
        if found is None:
            return segments_of(self._decoder, [_row(line) for line in lines.decode().split("\n")[:-1]])
        records, positions, begins = found
        events, is_plain = self._decode_lines(records)
        return cut_events(positions, EventList(events, is_plain=is_plain, records=records), begins)


def _row(line: str) -> PlacedRow:
    columns = line.split("\t")
    position, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra = map(_unescaped, columns)
    more = None if columns[-1] == "\\N" else extra
    return int(position), 0, entity_type, entity_id, int(seq), event_type, payload, int(ts), actor_id, more


def _unescaped(text: str) -> str:
    return _replace_escapes(lambda found: _LETTERS.get(found[1], found[1]), text) if "\\" in text else text
