"""Rows that a query keeps of one tenant: in memory while they are few, on disk beyond."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from cicsc.durable import temporary_file

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS_IN_MEMORY_MAX: Final = 50_000
"""Rows kept in memory per query source; further ones wait in a temporary file."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[object]).decode


class RowStore:
    """An append-only list of rows that iterates in the order of appending, and is closed after use."""

    def __init__(self, rows_in_memory_max: int = ROWS_IN_MEMORY_MAX) -> None:
        self._limit = rows_in_memory_max
        self._rows: list[list[object]] = []
        self._file: BinaryIO | None = None
        self._open = ExitStack()

    def append(self, row: list[object]) -> None:
        """Keep one more row."""
        self._rows.append(row)
        if len(self._rows) >= self._limit:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = self._open.enter_context(temporary_file())
        self._file.writelines(_encode(row) + b"\n" for row in self._rows)
        self._rows = []

    def __iter__(self) -> Iterator[list[object]]:
        """Iterate over all rows, those on disk first, which are the older ones."""
        if self._file is None:
            return iter(self._rows)
        self._file.seek(0)
        return chain(map(_decode, self._file), self._rows)

    def close(self) -> None:
        """Give memory and disk back."""
        self._rows = []
        self._file = None
        self._open.close()
