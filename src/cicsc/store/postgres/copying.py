r"""Rows of events as the text that PostgreSQL copies in and out.

One line a row, columns apart by tabs; a backslash escapes what would be taken for either, and NULL is \N. This is the
very form in which COPY writes such rows, so what is read back can be compared byte for byte.
Source: the documentation of PostgreSQL, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cicsc.store.encoding import PlacedRow, RowsHasher

_SPECIAL: Final = "\\\b\f\n\r\t\v"
_ESCAPES: Final = str.maketrans(dict(zip(_SPECIAL, ("\\\\", "\\b", "\\f", "\\n", "\\r", "\\t", "\\v"), strict=True)))
_ROWS_AT_ONCE: Final = 2_048


def copied_lines(target: tuple[str, int], rows: Sequence[PlacedRow], seen: RowsHasher) -> Iterator[bytes]:
    """Yield the lines of rows in (tenant, generation), as UTF-8: the columns of `stage_events`; add them to `seen`."""
    tenant_id, generation = target
    begin = f"{_escaped(tenant_id)}\t{generation}"
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        lines = _lines(begin, some)
        seen.add(lines, len(some))
        yield lines


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
