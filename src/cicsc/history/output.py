"""Writing events and position maps: the format follows the path's ending, the bytes follow the rows.

A file appears whole or not at all, and holds neither a time nor a name, so that equal rows give
equal files. Knows nothing of where the rows come from.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import starmap
from pathlib import Path
from typing import BinaryIO, Final, TypeVar, cast

import msgspec
from msgspec import UNSET

from cicsc.durable import Publication, whole_file
from cicsc.errors import UsageError
from cicsc.history.model import Event, EventList, event_fields, event_from_value
from cicsc.history.rows import POSITION_FIELDS, PositionRow, RowWriter

Row = TypeVar("Row")
Row_contra = TypeVar("Row_contra", contravariant=True)

_TEXT_ENDINGS: Final = (".json", ".jsonl", ".ndjson")
_GZIP_LEVEL: Final = 6
_ZSTD_LEVEL: Final = 3
_PIECE_BYTES: Final = 128 * 1024

_encode_lines: Final = msgspec.json.Encoder().encode_lines
_decode: Final = msgspec.json.Decoder().decode


def event_writer(path: str | Path, together: Publication | None = None) -> AbstractContextManager[RowWriter[Event]]:
    """Give a writer of events to `path`, which appears when the block, or the publication, ends well.

    Endings: .json, .jsonl, .ndjson, each also with .gz or .zst, and .parquet. Raises UsageError for
    any other, and WorkError where the file cannot be written.
    """
    target = Path(path)
    if target.suffix == ".parquet":
        from cicsc.history.parquet_output import parquet_event_writer  # noqa: PLC0415 - pyarrow is optional

        return parquet_event_writer(target, together)
    ending = _ending(target, _TEXT_ENDINGS, "events")
    return _json_writer(target, together, ending, event_lines)


def position_writer(
    path: str | Path, together: Publication | None = None
) -> AbstractContextManager[RowWriter[PositionRow]]:
    """Give a writer of a position map to `path`; the endings of events, and .csv.

    Raises as `event_writer` does.
    """
    target = Path(path)
    if target.suffix == ".parquet":
        from cicsc.history.parquet_output import parquet_position_writer  # noqa: PLC0415 - pyarrow is optional

        return parquet_position_writer(target, together)
    ending = _ending(target, (*_TEXT_ENDINGS, ".csv"), "positions")
    if ending == ".csv":
        return _csv_position_writer(target, together)
    return _json_writer(target, together, ending, position_lines)


def same_file(path: str | Path, other: str | Path) -> bool:
    """Tell whether two paths name one file, by whatever links; either may not exist yet."""
    try:
        if Path(path).exists() and Path(other).exists():
            return Path(path).samefile(other)
        return os.path.realpath(path) == os.path.realpath(other)
    except (OSError, ValueError):  # a path that holds NUL, or is too long, names no file
        return False


class _LineWriter:
    """Writes each row as a line of JSON."""

    def __init__(self, file: BinaryIO, encode_lines: Callable[[Iterable[Row]], bytes]) -> None:
        self._file = file
        self._encode_lines = cast("Callable[[Iterable[object]], bytes]", encode_lines)

    def write(self, rows: Iterable[object]) -> None:
        self.write_lines(self._encode_lines(rows))

    def write_lines(self, lines: bytes) -> None:
        self._file.write(lines)


class _ArrayWriter:
    """Writes rows as one JSON array, an element on each line."""

    def __init__(self, file: BinaryIO, encode_lines: Callable[[Iterable[Row]], bytes]) -> None:
        self._file = file
        self._encode_lines = cast("Callable[[Iterable[object]], bytes]", encode_lines)
        self._before = b"[\n"

    def write(self, rows: Iterable[object]) -> None:
        self.write_lines(self._encode_lines(rows))

    def write_lines(self, lines: bytes) -> None:
        if lines:
            self._file.write(self._before + lines[:-1].replace(b"\n", b",\n"))
            self._before = b",\n"

    def finish(self) -> None:
        """Close the array."""
        self._file.write(b"\n]\n" if self._before == b",\n" else b"[]\n")


class _CsvWriter:
    def __init__(self, file: io.TextIOWrapper) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(POSITION_FIELDS)

    def write(self, rows: Iterable[PositionRow]) -> None:
        self._rows.writerows(rows)


@contextmanager
def _json_writer(
    path: Path, together: Publication | None, ending: str, encode_lines: Callable[[Iterable[Row]], bytes]
) -> Iterator[RowWriter[Row]]:
    with whole_file(path, together) as raw, _compressed(raw, path) as file:
        if ending == ".json":
            writer = _ArrayWriter(file, encode_lines)
            yield writer
            writer.finish()
        else:
            yield _LineWriter(file, encode_lines)


@contextmanager
def _csv_position_writer(path: Path, together: Publication | None) -> Iterator[RowWriter[PositionRow]]:
    with whole_file(path, together) as raw, _compressed(raw, path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        yield _CsvWriter(text)
        text.detach()


def _compressed(file: BinaryIO, path: Path) -> AbstractContextManager[BinaryIO]:
    if path.suffix == ".gz":
        packed = gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=file, mtime=0)
        return _in_even_pieces(cast("BinaryIO", packed))
    if path.suffix == ".zst":
        import zstandard  # noqa: PLC0415 - starting should be quick

        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        return _in_even_pieces(cast("BinaryIO", compressor.stream_writer(file, closefd=False)))
    return nullcontext(file)


@contextmanager
def _in_even_pieces(compressing: BinaryIO) -> Iterator[BinaryIO]:
    """Hand on what is written in pieces of one size, since what a compressor makes may depend on how it is fed."""
    with compressing:
        pieces = _EvenPieces(compressing)
        yield cast("BinaryIO", pieces)
        pieces.finish()


class _EvenPieces(io.RawIOBase):
    """Gathers bytes until there is a piece."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._gathered = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        view = memoryview(cast("bytes", data))
        self._gathered += view
        whole = len(self._gathered) - len(self._gathered) % _PIECE_BYTES
        for start in range(0, whole, _PIECE_BYTES):
            self._file.write(self._gathered[start : start + _PIECE_BYTES])
        del self._gathered[:whole]
        return view.nbytes

    def finish(self) -> None:
        """Hand on the rest, which is shorter."""
        self._file.write(self._gathered)


def _ending(path: Path, endings: tuple[str, ...], what: str) -> str:
    ending = Path(path.stem).suffix if path.suffix in (".gz", ".zst") else path.suffix
    if ending not in endings:
        raise UsageError(
            "FORMAT_UNKNOWN",
            f"cannot write {what} to {str(path)!r}: its ending names no format",
            hint=f"use one of {', '.join(endings)} (also with .gz or .zst after it) or .parquet",
        )
    return ending


def event_lines(events: Iterable[Event]) -> bytes:
    """Return events as the lines of a JSON Lines file."""
    if isinstance(events, EventList) and events.is_plain:
        return events.lines or _encode_lines(events)
    batch = list(events)
    if all(event.extra is UNSET for event in batch):
        return _encode_lines(batch)
    return _encode_lines([event if event.extra is UNSET else event_fields(event) for event in batch])


class _Position(msgspec.Struct, gc=False):
    """A row of the position map as an object."""

    tenant_id: str
    entity_type: str
    entity_id: str
    old_seq: int
    new_seq: int | None


def position_lines(rows: Iterable[PositionRow]) -> bytes:
    """Return positions as the lines of a JSON Lines file."""
    return _encode_lines(starmap(_Position, rows))


def events_of_lines(lines: bytes) -> list[Event]:
    """Return the events that `event_lines` gives as these lines."""
    return [cast("Event", event_from_value(_decode(line))) for line in lines.splitlines()]


def positions_of_lines(lines: bytes) -> list[PositionRow]:
    """Return the rows that `position_lines` gives as these lines."""
    return [
        cast("PositionRow", tuple(cast("dict[str, object]", _decode(line)).values())) for line in lines.splitlines()
    ]
