"""Standard output: UTF-8 bytes whatever the locale, and a clear end where nobody reads them.

A failed write must not fail again when the interpreter flushes at exit, so the descriptor is then
turned over to the null device.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Final

from cicsc.errors import WorkError

_PIECE_BYTES_MAX: Final = 8192
"""Bytes handed over at once: a buffered writer takes a piece of this size whole or, interrupted, not at all."""


class ReaderGoneError(Exception):
    """Whoever read standard output has closed it; nobody is left to be told."""


def encode(document: Mapping[str, object], *, one_line: bool = False) -> bytes:
    """Encode a JSON object: indented for people, or on one line as the last of JSON Lines."""
    import msgspec  # noqa: PLC0415 (start-up: help encodes nothing)

    data = msgspec.json.encode(document)
    return (data if one_line else msgspec.json.format(data, indent=2)) + b"\n"


class LineOutput:
    """Writes JSON Lines; `close` gives up the rest of a line that an interrupt cut."""

    def __init__(self) -> None:
        self._cut = False

    def write(self, line: bytes) -> None:
        """Write one line, which ends in a line feed."""
        self._cut = len(line) > _PIECE_BYTES_MAX
        write(line, flush=False)
        self._cut = False

    def close(self) -> bytes:
        """Return what must come before a further line: nothing, or the end of the line that was cut."""
        return b"\n" if self._cut else b""


def write(data: bytes, *, flush: bool = True) -> None:
    """Write bytes to standard output; raises ReaderGoneError, and WorkError where it cannot be written."""
    try:
        for start in range(0, len(data), _PIECE_BYTES_MAX):
            sys.stdout.buffer.write(data[start : start + _PIECE_BYTES_MAX])
        if flush:
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        _turn_over()
        raise ReaderGoneError from None
    except OSError as error:
        _turn_over()
        raise WorkError(
            "STDOUT_UNWRITABLE",
            f"cannot write the report to standard output: {error.strerror}",
            hint="files that were asked for are written; mind the exit code, or run the command again",
        ) from error


def _turn_over() -> None:
    """Let the null device take what is still buffered."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
