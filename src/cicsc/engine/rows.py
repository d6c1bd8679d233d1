"""Rows that a query keeps of one tenant: in memory while they are few, on disk beyond."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import msgspec

from cicsc.engine.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROWS_IN_MEMORY_MAX: Final = 50_000
"""Rows kept in memory per query source; further ones wait in a temporary file."""

_encode = msgspec.json.Encoder().encode_lines
_decode = msgspec.json.Decoder(list[object]).decode


class RowStore:
    """An append-only list of rows that iterates in the order of appending, and is closed after use.

    With `folder` it can be handed to another process while that folder is there.
    """

    def __init__(self, rows_in_memory_max: int = ROWS_IN_MEMORY_MAX, folder: Path | None = None) -> None:
        self._limit = rows_in_memory_max
        self._count = 0
        self._rows: list[list[object]] = []
        self._older = Spool(folder, memory_bytes_max=0)

    def append(self, row: list[object]) -> None:
        """Keep one more row."""
        self._count += 1
        self._rows.append(row)
        if len(self._rows) >= self._limit:
            self._older.append(_encode(self._rows))
            self._rows = []

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[object]]:
        """Iterate over all rows, those on disk first, which are the older ones."""
        if not self._older.size:
            return iter(self._rows)
        return chain(map(_decode, self._older.reader()), self._rows)

    def close(self) -> None:
        """Give memory and disk back."""
        self._rows = []
        self._older.close()
        self._older = Spool()
