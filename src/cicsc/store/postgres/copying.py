r"""Rows of events as the text that PostgreSQL copies in and out.

One line a row, columns apart by tabs; a backslash escapes what would be taken for either, and NULL is \N. This is the
very form in which COPY writes such rows, so what is read back can be compared byte for byte.
Source: the documentation of PostgreSQL, COPY, "Text Format".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from cicsc.store.encoding import PlacedRow, RowsHasher

_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
)
_UNSEEN: Final = ("\b", "\f", "\r", "\v")
"""What is escaped, and neither ends a column nor a row."""

_ROWS_AT_ONCE: Final = 2_048

_TABS: Final = 11
"""Tabs in a line."""


def copied_lines(target: tuple[str, int], rows: Sequence[PlacedRow], seen: RowsHasher) -> Iterator[bytes]:
    """Yield the lines of rows in (tenant, generation), as UTF-8: the columns of `stage_events`; add them to `seen`."""
    tenant_id, generation = target
    begin = f"{_escaped(tenant_id)}\t{generation}\t"
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        lines = _lines(begin, some)
        seen.add(lines, len(some))
        yield lines


def _lines(begin: str, rows: Sequence[PlacedRow]) -> bytes:
    lines = []
    backslashes = begin.count("\\") * len(rows)
    for position, ordinal, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra in rows:
        text = payload
        if "\\" in payload:
            text = payload.replace("\\", "\\\\")
            backslashes += text.count("\\")
        if extra is None:
            more = "\\N"
            backslashes += 1
        else:
            more = _escaped(extra)
            backslashes += more.count("\\")
        lines.append(
            f"{begin}{position}\t{ordinal}\t{entity_type}\t{entity_id}\t{seq}\t{event_type}\t{text}\t{ts}\t{actor_id}\t{more}\n"
        )
    copied = "".join(lines)
    # To count is much cheaper than to escape names one by one, which hardly ever have to be.
    is_whole = (
        copied.count("\t") == _TABS * len(rows)
        and copied.count("\n") == len(rows)
        and copied.count("\\") == backslashes
        and not any(character in copied for character in _UNSEEN)
    )
    return copied.encode() if is_whole else "".join(_line(begin, row) for row in rows).encode()


def _line(begin: str, row: PlacedRow) -> str:
    columns = ("\\N" if value is None else _escaped(value) if isinstance(value, str) else str(value) for value in row)
    return begin + "\t".join(columns) + "\n"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES)
