"""The native part, where the package was built with it: the module that `native/` is compiled into.

It takes in the lines that are records for certain, and does with them what `intake`, `sorting`, `runs` and `canonical`
do in Python, to the same bytes. What it does not know well, and everything where it is missing, is left to them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from typing import Protocol, cast

from cicsc.history import runs
from cicsc.history.model import StreamKey
from cicsc.history.runs import Block, Framed, read_blocks


class Gatherer(Protocol):
    """Gathers records by stream without making objects of them; belongs to one thread."""

    def take(self, text: bytes, /) -> tuple[int, int, list[tuple[int, bytes]]]:
        """Take in the lines of a text that are records for certain.

        Each line ends with a line feed. Returns how many were taken in, the largest of their ts (0 where none was),
        and every other line with its offset from the first. Raises ValueError where the last line does not end.
        """

    def sort(self) -> list[tuple[StreamKey, list[int], list[bytes]]]:
        """Sort the streams, and give up those that have a seq twice: key, seqs and records of each."""

    def blocks(
        self, place: tuple[int, int], bounds: tuple[int, int], bytes_max: int, /
    ) -> tuple[tuple[int, int], StreamKey, bytes] | None:
        """Return blocks of what was sorted, from a place on, which is (0, 0) at the beginning.

        They are as a run's file holds them, about `bytes_max` bytes; `bounds` are a block's, in events and bytes.
        With them come the place behind them and the key of the first; None is the end. Raises ValueError where
        something was taken in since it was sorted.
        """

    def clear(self) -> None:
        """Forget everything."""

    @property
    def size(self) -> int:
        """Bytes of memory that are held."""


class Native(Protocol):
    """The module."""

    def Gatherer(self) -> Gatherer:  # noqa: N802 - a class
        """Make a gatherer."""

    def canonical_lines(self, records: bytes, /) -> bytes | None:
        """Return the canonical form of records, each with a line feed after it; None where it does not know one well.

        They are given as lines, of which the last may lack its line feed.
        """

    def records_of_rows(self, rows: bytes, tenant: bytes, /) -> tuple[bytes, list[int], list[tuple[int, int]]] | None:
        """Make records of rows that PostgreSQL copied out as text: lines of the columns that `rows.h` names.

        `tenant` is the tenant as JSON text. Returns the records as lines, the position of each, and those with which
        another stream begins, each by its number (from 0) and where in the records it begins; None where a row does
        not hold just what a record may hold.
        """

    def rows_of_records(
        self, records: bytes, tenant: bytes, first: bytes, positions: list[int], ordinals: list[int], /
    ) -> bytes | None:
        """Make rows that PostgreSQL copies in as text of the lines that `encode_records` wrote for events.

        `tenant` is the tenant as JSON text, `first` the columns that come before position and ordinal, each with a tab
        after it. Returns lines; None where a record does not read in a row as it does in JSON. Raises ValueError where
        there are not as many positions, ordinals and records.
        """


def _loaded() -> Native | None:
    if os.environ.get("CICSC_PURE"):
        return None
    try:
        return cast("Native", import_module("cicsc.history._native"))
    except ImportError:
        return None


_part = _loaded()


def native_part() -> Native | None:
    """Return the native part, or nothing where there is none or the process was started with CICSC_PURE set."""
    return _part


def new_gatherer() -> Gatherer | None:
    """Return a gatherer, or nothing where there is no native part."""
    part = native_part()
    return None if part is None else part.Gatherer()


def framed_blocks(gatherer: Gatherer) -> Iterator[Framed]:
    """Yield what was gathered and sorted, in pieces of a run's file."""
    place, bounds = (0, 0), (runs.BLOCK_EVENTS_MAX, runs.BLOCK_BYTES_MAX)
    while (found := gatherer.blocks(place, bounds, runs.PIECE_BYTES)) is not None:
        place, key, data = found
        yield key, data


def gathered_blocks(gatherer: Gatherer) -> Iterator[Block]:
    """Yield what was gathered and sorted, as blocks."""
    for _, data in framed_blocks(gatherer):
        yield from read_blocks(BytesIO(data))
