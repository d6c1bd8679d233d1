"""Decompression in bounded pieces, with every kind of damage told apart.

A piece of compressed input may stand for very much text; no more of it is made at once than a few
dozen megabytes, so that a decompression bomb costs time but not memory. Chunks go on to `opening`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from cicsc.errors import InputError

CHUNK_BYTES: Final = 64 * 1024
"""Bytes of text that are handed on at once: what becomes of them stays in the cache of a core."""
GZIP_MAGIC: Final = b"\x1f\x8b"
ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"

_ZSTD_FEED_BYTES: Final = 1024
"""Compressed bytes fed at once; 4 of them can stand for a block of 128 KiB, so 1024 yield at most 32 MiB."""

_ZSTD_WINDOW_BYTES_MAX: Final = 128 * 1024 * 1024
"""Memory that a frame may ask for; what `zstd --long` makes by default."""

_GZIP_FORMAT: Final = 16 + zlib.MAX_WBITS
_HINT: Final = "the file is incomplete or damaged; copy it again from where it came"


def inflate(chunks: Iterator[bytes], first: bytes, name: str) -> Iterator[bytes]:
    """Yield the text of chunks that are gzip or zstd, which `first`, their beginning, tells.

    Raises InputError where the data is damaged or ends too early.
    """
    return _from_gzip(chunks, name) if first.startswith(GZIP_MAGIC) else _from_zstd(chunks, name)


def _from_gzip(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the text of one or more gzip members."""
    member = zlib.decompressobj(_GZIP_FORMAT)
    started = False
    for chunk in chunks:
        rest = chunk
        while rest:
            if not started:
                rest = rest.lstrip(b"\0")  # Zero bytes may pad a gzip file, as tape drives did.
                started = bool(rest)
                continue
            try:
                text = member.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise _damaged(name, "gzip", str(error)) from None
            rest = member.unconsumed_tail
            yield text
            if member.eof:
                rest, member, started = member.unused_data, zlib.decompressobj(_GZIP_FORMAT), False
    if started:
        raise _truncated(name, "gzip")


def _from_zstd(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Yield the text of one or more zstd frames."""
    import zstandard  # noqa: PLC0415 - most histories are not compressed this way, and starting should be quick

    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX)
    frame = decompressor.decompressobj()
    inside = False
    for piece in _pieces(chunks):
        rest = piece
        while rest:
            inside = True
            try:
                text = frame.decompress(rest)
            except zstandard.ZstdError as error:
                raise _damaged(name, "zstd", str(error)) from None
            yield from (text[start : start + CHUNK_BYTES] for start in range(0, len(text), CHUNK_BYTES))
            rest = b""
            if frame.eof:
                rest, frame, inside = frame.unused_data, decompressor.decompressobj(), False
    if inside:
        raise _truncated(name, "zstd")


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for start in range(0, len(chunk), _ZSTD_FEED_BYTES):
            yield chunk[start : start + _ZSTD_FEED_BYTES]


def _damaged(name: str, kind: str, reason: str) -> InputError:
    reason = reason.rpartition(": ")[2].lower()
    return InputError("COMPRESSION_INVALID", f"cannot decompress {name}: invalid {kind} data ({reason})", hint=_HINT)


def _truncated(name: str, kind: str) -> InputError:
    return InputError("COMPRESSION_TRUNCATED", f"cannot decompress {name}: its {kind} data ends too early", hint=_HINT)
