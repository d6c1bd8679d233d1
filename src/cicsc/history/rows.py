"""The rows that leave a migration: events and positions, and what takes them.

Knows neither files nor formats; `output` and `parquet_output` write rows, the engine hands them on.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

PositionRow: TypeAlias = tuple[str, str, str, int, int | None]
"""Tenant, type, id, the old seq, and the new seq or None where the event is gone."""

POSITION_FIELDS: Final = ("tenant_id", "entity_type", "entity_id", "old_seq", "new_seq")

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
