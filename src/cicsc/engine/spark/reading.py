"""Reading on executors: what Spark hands over becomes blocks of sorted events, and sums.

The decoding is that of `history.intake`, so lines are read as strictly as anywhere. A fault does not fail the
task, which Spark would repeat; it travels as part of the sums, since another file may hold one that comes before.
"""

from __future__ import annotations

import pickle
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from cicsc.decoding import WIDE_HINT, looks_wide
from cicsc.engine.spark.inputs import shown
from cicsc.errors import CicscError, InputError
from cicsc.history.inflate import GZIP_MAGIC, ZSTD_MAGIC
from cicsc.history.intake import Intake
from cicsc.history.opening import PARQUET_MAGIC
from cicsc.history.parquet import event_value, reading_errors
from cicsc.history.ranges import RangeSums
from cicsc.history.runs import encode_block
from cicsc.history.sorting import Sorter

if TYPE_CHECKING:
    from cicsc.history.model import StreamKey

BLOCKS_SCHEMA: Final = "key binary, data binary"
"""Rows of what was read: blocks by the sort key of their stream, and without a key the sums of a piece."""

GATHERED_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of records that wait so that a stream's events can leave as one block."""

FIRST_LINE: Final = 2
"""What a piece takes the number of its first line for, unless it begins its file; what it really is shows later."""

_LINES_PER_CHUNK: Final = 256
_ROWS_BYTES: Final = 4 * 1024 * 1024
_ARROW: Final = pa.schema([("key", pa.binary()), ("data", pa.binary())])


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file that one task reads, from this byte, or row of a Parquet file, on."""

    path: str
    start: int


@dataclass(frozen=True, slots=True)
class PieceSums:
    """What reading a piece told: its sums, the bytes of its records, and its first fault."""

    piece: Piece
    sums: RangeSums
    fault: CicscError | None


def sort_key(key: StreamKey) -> bytes:
    """Return bytes that compare as the stream's key does, by code point."""
    return b"".join(part.encode().replace(b"\0", b"\0\xff") + b"\0\0" for part in key)


@dataclass(frozen=True)
class LineReader:
    """Turns lines, with the piece of the file that each is from, into rows of blocks and sums.

    `first_lines` tells the number of the first line of some pieces; `single` is the name of the only file.
    """

    tenants: frozenset[str] | None
    single: str | None
    first_lines: dict[Piece, int] = field(default_factory=dict)

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read what Spark gives to a task."""
        return _read(_lines_of(batches), self._reading)

    def _reading(self, piece: Piece, sorter: Sorter) -> _Reading:
        name = self.single or shown(piece.path)
        first = 1 if piece.start == 0 else self.first_lines.get(piece, FIRST_LINE)
        return _LineReading(piece, name, Intake(sorter, self.tenants), first)


@dataclass(frozen=True)
class RowReader:
    """Turns rows of Parquet files, with the file that each is from, into rows of blocks and sums."""

    tenants: frozenset[str] | None
    single: str | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Read what Spark gives to a task."""
        return _read(_rows_of(batches), self._reading)

    def _reading(self, piece: Piece, sorter: Sorter) -> _Reading:
        return _RowReading(piece, self.single or shown(piece.path), Intake(sorter, self.tenants), 0)


@dataclass
class _Reading(ABC):
    """A piece that is being read."""

    piece: Piece
    name: str
    intake: Intake
    first: int
    count: int = 0
    fault: CicscError | None = None

    def take(self, values: Any) -> None:
        """Read some more, unless there was a fault."""
        if self.fault is None:
            try:
                self._take(values)
            except CicscError as error:
                self.fault = error

    @abstractmethod
    def _take(self, values: Any) -> None: ...

    def sums(self) -> PieceSums:
        intake = self.intake
        sums = RangeSums(self.count, intake.events_count, intake.latest_ts, intake.malformed)
        return PieceSums(self.piece, sums, self.fault)


class _LineReading(_Reading):
    def _take(self, values: list[bytes]) -> None:
        if self.count == 0 and self.piece.start == 0:
            _check_beginning(values[0], self.piece, self.name)
        for start in range(0, len(values), _LINES_PER_CHUNK):
            chunk = b"\n".join(values[start : start + _LINES_PER_CHUNK]) + b"\n"
            self.count += self.intake.read_lines(iter((chunk,)), self.name, self.first + self.count)


class _RowReading(_Reading):
    def _take(self, values: tuple[pa.Array, pa.Array]) -> None:
        rows, events = values[0].to_pylist(), values[1]
        if self.count == 0:
            self.piece = Piece(self.piece.path, rows[0])
        with reading_errors(self.name):
            found = pa.RecordBatch.from_struct_array(events).to_pylist(maps_as_pydicts="strict")
            placed = ((f"{self.name} row {row}", value) for row, value in zip(rows, found, strict=True))
            self.intake.take_values((place, event_value(value, place)) for place, value in placed)
        self.count += len(rows)


def _check_beginning(first: bytes, piece: Piece, name: str) -> None:
    """Raise InputError where a file is none of lines, which Spark tells by names alone."""
    form = ""
    if first.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
        form = "compressed data; Spark goes by the ending of the name"
    elif first.startswith(PARQUET_MAGIC):
        form = "a Parquet file, whose name must end in .parquet"
    elif first.lstrip().startswith(b"[") and not {".jsonl", ".ndjson"} & set(PurePosixPath(piece.path).suffixes):
        form = "the beginning of an array"
    if form:
        raise InputError(
            "JSON_INVALID",
            f"cannot decode {name} at line 1: expected one event per line, found {form}",
            hint="the spark engine reads JSON Lines and Parquet; without --engine other forms are read too",
        )
    if looks_wide(first):
        what = "expected UTF-8, found what looks like UTF-16 or UTF-32"
        raise InputError("JSON_ENCODING", f"cannot decode {name} at line 1: {what}", hint=WIDE_HINT)


def _lines_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, list[bytes]]]:
    for batch in batches:
        origins, values = batch.column(1).to_pylist(), batch.column(0).to_pylist()
        if not origins:
            continue
        if origins[0] == origins[-1]:  # a piece is read as a whole before the next
            yield origins[0], values
            continue
        for origin, pairs in groupby(zip(origins, values, strict=True), key=lambda pair: pair[0]):
            yield origin, [value for _, value in pairs]


def _rows_of(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[str, tuple[pa.Array, pa.Array]]]:
    """Yield rows of one file, as what they stand for may be more than Python holds, which is a fault of that file."""
    for batch in batches:
        start = 0
        for origin, same in groupby(batch.column(1).to_pylist()):
            count = sum(1 for _ in same)
            yield origin, (batch.column(2).slice(start, count), batch.column(0).slice(start, count))
            start += count


def _read(pieces: Iterator[tuple[str, Any]], begin: Any) -> Iterator[pa.RecordBatch]:
    """Read pieces one after the other, and yield their blocks as they become many, and their sums."""
    rows = _Rows()
    with closing(Sorter(sys.maxsize)) as sorter:
        reading: _Reading | None = None
        last: str | None = None
        for origin, values in pieces:
            if origin != last or reading is None:
                if reading is not None:
                    rows.add(None, pickle.dumps(reading.sums()))
                start, _, path = origin.partition(" ")
                last, reading = origin, begin(Piece(path, int(start)), sorter)
            reading.take(values)
            if sorter.size > GATHERED_BYTES_MAX:
                yield from rows.drained(sorter)
        if reading is not None:
            rows.add(None, pickle.dumps(reading.sums()))
        yield from rows.drained(sorter)
    yield from rows.flushed()


class _Rows:
    """Gathers rows to be handed back."""

    def __init__(self) -> None:
        self._keys: list[bytes | None] = []
        self._data: list[bytes] = []
        self._size = 0

    def add(self, key: bytes | None, data: bytes) -> None:
        """Add a row."""
        self._keys.append(key)
        self._data.append(data)
        self._size += len(data)

    def drained(self, sorter: Sorter) -> Iterator[pa.RecordBatch]:
        """Yield what a sorter has in memory."""
        for block in sorter.drain():
            self.add(sort_key(block.key), encode_block(block))
            if self._size > _ROWS_BYTES:
                yield from self.flushed()

    def flushed(self) -> Iterator[pa.RecordBatch]:
        """Yield what there is."""
        if self._data:
            yield pa.RecordBatch.from_arrays(
                [pa.array(self._keys, pa.binary()), pa.array(self._data, pa.binary())], schema=_ARROW
            )
        self._keys, self._data, self._size = [], [], 0
