"""The rows that leave a migration: events and positions, and what takes them.

Knows neither files nor formats; `output` and `parquet_output` write rows, the engine hands them on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

PositionRow: TypeAlias = tuple[str, str, str, int, int | None]
"""Tenant, type, id, the old seq, and the new seq or None where the event is gone."""

POSITION_FIELDS: Final = ("tenant_id", "entity_type", "entity_id", "old_seq", "new_seq")


class Moves:
    """The rows of the position map for a stream whose old seqs are 1, 2, 3 and so on, as short as they can be told.

    `counts` says how many events there are in the new stream after each of the old one.
    """

    __slots__ = ("_key", "counts")

    def __init__(self, key: tuple[str, str, str], counts: list[int]) -> None:
        self._key = key
        self.counts = counts

    def __iter__(self) -> Iterator[PositionRow]:
        before = 0
        for old_seq, count in enumerate(self.counts, 1):
            if count == before:
                yield (*self._key, old_seq, None)
            for new_seq in range(before + 1, count + 1):
                yield (*self._key, old_seq, new_seq)
            before = count


Row_contra = TypeVar("Row_contra", contravariant=True)


class RowWriter(Protocol[Row_contra]):
    """Takes rows, any number at a time."""

    def write(self, rows: Iterable[Row_contra]) -> None:
        """Write some rows after those before."""


@runtime_checkable
class LineWriter(Protocol):
    """Takes rows as the lines that they are in a JSON Lines file; some writers of rows are such."""

    def write_lines(self, lines: bytes) -> None:
        """Write some whole lines after those before."""


@runtime_checkable
class RecordWriter(Protocol):
    """Takes events whose records are at hand with less work than others; some writers of rows are such."""

    takes_records: Literal[True]
