"""Ranges of a file of lines, each read by itself: cut at line ends, checked as strictly as the whole.

What a range gives adds up to what the whole file gives, the places of findings included. Knows
nothing of who reads which range.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from cicsc.errors import InputError
from cicsc.history import texts
from cicsc.history.inflate import CHUNK_BYTES
from cicsc.history.intake import Intake
from cicsc.history.integrity import FindingsTally
from cicsc.history.opening import FileState, file_changed, file_state, open_input
from cicsc.history.sorting import Sorter

RANGE_BYTES: Final = 16 * 1024 * 1024
"""About how much of a file is one range."""

_FIRST_LINE: Final = 2
"""What a range takes the number of its first line for, unless it is that of the file; it begins in the middle."""


class RangedFile(Struct, frozen=True):
    """A file of lines, with what tells that it is still the same one, cut into ranges from byte to byte."""

    path: Path
    name: str
    state: FileState | None
    ranges: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """How many bytes the ranges have together."""
        return self.ranges[-1][1] if self.ranges else 0

    def opened(self) -> BinaryIO:
        """Open the file again; raises InputError where it is not what it was."""
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise file_changed(self.name) from error
        try:
            self.check(file)
        except InputError:
            file.close()
            raise
        return file

    def check(self, file: BinaryIO) -> None:
        """Raise InputError where an open file is another one, or somebody has written to it."""
        if file_state(file) != self.state:
            raise file_changed(self.name)


class RangeSums(Struct, frozen=True):
    """What reading a range tells, beside the events that it put into a sorter."""

    lines: int
    events_count: int
    latest_ts: int | None
    malformed: FindingsTally


def ranged_file(source: str | Path, bytes_min: int) -> RangedFile | None:
    """Cut a file into ranges, where it is one of uncompressed lines and of at least this size; else return None."""
    path = Path(source)
    try:
        if not stat.S_ISREG(path.stat().st_mode) or path.stat().st_size < bytes_min:
            return None
    except (OSError, ValueError):
        return None  # opening it as usual says what is wrong
    with open_input(path) as opened:
        if opened.format != "lines" or opened.start is None:
            return None
        with path.open("rb") as file:
            return RangedFile(path, opened.name, file_state(file), tuple(_cut(file, opened.start)))


def _cut(file: BinaryIO, start: int) -> Iterator[tuple[int, int]]:
    """Cut at the first line end after each so many bytes; a longer line stays whole, for its reader to refuse."""
    size = os.fstat(file.fileno()).st_size
    while start < size:
        file.seek(min(size, start + RANGE_BYTES - 1))
        while (piece := file.readline(texts.TEXT_BYTES_MAX)) and not piece.endswith(b"\n"):
            pass
        yield start, file.tell()
        start = file.tell()


def read_range(ranged: RangedFile, number: int, sorter: Sorter, tenants: frozenset[str] | None) -> RangeSums:
    """Read one range into a sorter; raises InputError, without the right line, for what cannot be decoded."""
    return _read(ranged, number, sorter, tenants, 1 if number == 0 else _FIRST_LINE)


def _read(
    ranged: RangedFile, number: int, sorter: Sorter, tenants: frozenset[str] | None, first_line: int
) -> RangeSums:
    intake = Intake(sorter, tenants)
    with ranged.opened() as file:
        lines = intake.read_lines(_chunks(file, *ranged.ranges[number]), ranged.name, first_line)
        ranged.check(file)
    return RangeSums(lines, intake.events_count, intake.latest_ts, intake.malformed)


def refuse_range(ranged: RangedFile, number: int, tenants: frozenset[str] | None) -> None:
    """Read a range that could not be decoded once more, to raise its InputError with the right line."""
    with ranged.opened() as file:
        before = sum(chunk.count(b"\n") for chunk in _chunks(file, ranged.ranges[0][0], ranged.ranges[number][0]))
    sorter = Sorter()
    try:
        _read(ranged, number, sorter, tenants, 1 + before)
    finally:
        sorter.close()
    raise file_changed(ranged.name)


def added_up(sums: Sequence[RangeSums]) -> RangeSums:
    """Add up what the ranges of a whole file tell, in their order."""
    malformed = FindingsTally()
    lines = 0
    for number, one in enumerate(sums):
        malformed.merge(one.malformed if number == 0 else one.malformed.moved(lines + 1 - _FIRST_LINE))
        lines += one.lines
    latest = max((one.latest_ts for one in sums if one.latest_ts is not None), default=None)
    return RangeSums(lines, sum(one.events_count for one in sums), latest, malformed)


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end and (chunk := file.read(min(CHUNK_BYTES, end - start))):
        start += len(chunk)
        yield chunk
