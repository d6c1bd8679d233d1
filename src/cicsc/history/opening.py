"""Opening an input: a file or standard input, compressed or not, and telling its format.

Owns everything between a path and a stream of decompressed chunks. Knows nothing of events. The
chunks go on to `lines`, `array` or `parquet`.
"""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias

from msgspec import Struct

from cicsc.decoding import WIDE_HINT, looks_wide
from cicsc.errors import InputError, system_reason
from cicsc.history.inflate import CHUNK_BYTES, GZIP_MAGIC, ZSTD_MAGIC, inflate
from cicsc.progress import SILENT, Amount, Progress

Format = Literal["array", "lines", "parquet"]

FileState: TypeAlias = tuple[int, int, int, int]
"""Which file it is, by device and number, its size in bytes, and when it was last written to."""

STANDARD_INPUT: Final = "-"
PARQUET_MAGIC: Final = b"PAR1"

_PEEK_BYTES: Final = 512

_FORMATS: Final[dict[str, Format]] = {
    ".json": "array",
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".parquet": "parquet",
}
_COMPRESSIONS: Final = {".gz": ("gzip", GZIP_MAGIC), ".zst": ("zstd", ZSTD_MAGIC)}


class OpenInput(Struct, frozen=True):
    """An opened input: its name for messages, its format, and its text in chunks, without byte order mark.

    `file` is the file itself where it is Parquet and its bytes are stored as they are, so that it can be
    read at random; `start` is where its text begins, where that is stored as it is.
    """

    name: str
    format: Format
    chunks: Iterator[bytes]
    file: BinaryIO | None
    start: int | None = None


@contextmanager
def open_input(source: str | Path, progress: Progress = SILENT) -> Iterator[OpenInput]:
    """Open a path, or standard input for ``-``; chunks that are read are noted.

    Raises InputError where it cannot be opened, decompressed or recognised, and at the end where somebody has
    written to the file meanwhile.
    """
    if str(source) == STANDARD_INPUT:
        yield _recognise(sys.stdin.buffer, Path(), "standard input", progress)
        return
    name = repr(str(source))
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below; opening alone is inside the try
    except (OSError, ValueError) as error:
        raise _unopened(name, error) from error
    with file:
        before = file_state(file)
        yield _recognise(file, Path(source), name, progress)
        if file_state(file) != before:
            raise file_changed(name)


def file_state(file: BinaryIO) -> FileState | None:
    """Return what tells whether an open file is the same as before; nothing for what is no file, as a pipe."""
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def file_changed(name: str) -> InputError:
    """Make the error for a file that is not what it was when its reading began."""
    return InputError(
        "FILE_CHANGED",
        f"cannot read {name}: it was replaced or changed while it was read",
        hint="run the command again when nobody writes to the file",
    )


def _recognise(file: BinaryIO, path: Path, name: str, progress: Progress) -> OpenInput:
    """Tell compression by the first bytes and format by the path's ending, else by the first bytes too."""
    first, chunks = _peeked(_read(file, name, progress))
    compression = _COMPRESSIONS.get(path.suffix)
    if compression is not None and not first.startswith(compression[1]):
        raise InputError(
            "COMPRESSION_INVALID",
            f"cannot decompress {name}: expected {compression[0]} data, found {'other' if first else 'no'} data",
            hint=f"a file whose name ends in {path.suffix!r} must be compressed with {compression[0]}",
        )
    packed = first.startswith((GZIP_MAGIC, ZSTD_MAGIC))
    text, chunks = _peeked(inflate(chunks, first, name)) if packed else (first, chunks)
    known = _FORMATS.get(Path(path.stem).suffix if compression else path.suffix)
    if known == "parquet" or (known is None and text.startswith(PARQUET_MAGIC)):
        stored = not packed and file.seekable()
        return OpenInput(name, "parquet", chunks, file if stored else None)
    return _text_input(name, known, text, chunks, packed=packed)


def _text_input(name: str, known: Format | None, first: bytes, chunks: Iterator[bytes], *, packed: bool) -> OpenInput:
    start = 0
    if looks_wide(first):
        what = "expected UTF-8, found what looks like UTF-16 or UTF-32"
        raise InputError("JSON_ENCODING", f"cannot decode {name} at line 1: {what}", hint=WIDE_HINT)
    if first.startswith(codecs.BOM_UTF8):
        chunks = chain((next(chunks).removeprefix(codecs.BOM_UTF8),), chunks)
        first = first.removeprefix(codecs.BOM_UTF8)
        start = len(codecs.BOM_UTF8)
    if known is None:
        known = "array" if first.lstrip().startswith(b"[") else "lines"
    if known == "array" and not first:
        raise InputError(
            "HISTORY_EMPTY",
            f"cannot decode {name}: expected a JSON array, found an empty file",
            hint="an empty history is written as [] in a .json file",
        )
    return OpenInput(name, known, chunks, None, None if packed else start)


def _peeked(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the beginning of the input, as much as tells its format, and all chunks from there on."""
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= _PEEK_BYTES:
            break
    return first, chain((first,), chunks) if first else iter(())


def _read(file: BinaryIO, name: str, progress: Progress) -> Iterator[bytes]:
    try:
        while chunk := file.read(CHUNK_BYTES):
            progress.note(Amount(bytes_read=len(chunk)))
            yield chunk
    except OSError as error:
        raise _unopened(name, error) from error


def _unopened(name: str, error: OSError | ValueError) -> InputError:
    match error:
        case FileNotFoundError():
            return InputError("FILE_NOT_FOUND", f"cannot open {name}: there is no such file", hint="check the path")
        case IsADirectoryError():
            return InputError(
                "NOT_A_FILE", f"cannot open {name}: expected a file, found a folder", hint="name a file inside it"
            )
        case OSError():
            return InputError(
                "FILE_UNREADABLE",
                f"cannot read {name}: {system_reason(error)}",
                hint="check the file and its permissions",
            )
        case _:
            return InputError("FILE_NOT_FOUND", f"cannot open {name}: {error}", hint="check the path")
