"""Bytes that wait to be read again: in memory while they are few, in a temporary file beyond.

A spool of a folder can be handed to another process, as long as the folder is there; one without is
for this process only. Knows nothing of what the bytes say.
"""

from __future__ import annotations

import io
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final

from cicsc.durable import make_temporary, temporary_file

SPOOL_MEMORY_BYTES_MAX: Final = 256 * 1024
"""Bytes of one spool in memory."""


class Spool:
    """Append bytes, then read them from the beginning; closed after use."""

    def __init__(self, folder: Path | None = None, memory_bytes_max: int = SPOOL_MEMORY_BYTES_MAX) -> None:
        self.size = 0
        self._folder = folder
        self._limit = memory_bytes_max
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._open = ExitStack()

    def append(self, data: bytes) -> None:
        """Keep some more bytes; raises WorkError where the disk does not take them."""
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        self.size += len(data)
        if self._waiting_bytes > self._limit:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = self._made()
        self._file.seek(0, io.SEEK_END)
        self._file.writelines(self._waiting)
        self._waiting = []
        self._waiting_bytes = 0

    def _made(self) -> BinaryIO:
        if self._folder is None:
            return self._open.enter_context(temporary_file())
        self._path = self._folder / f"spool-{secrets.token_hex(8)}"
        return self._open.enter_context(make_temporary(self._path))

    def reader(self) -> BinaryIO:
        """Return all bytes as a file at its beginning, which is the spool's own: one reader at a time."""
        if self._file is None and self._path is not None:
            self._file = self._open.enter_context(self._path.open("rb"))
        if self._file is None:
            return io.BytesIO(b"".join(self._waiting))
        if self._waiting:
            self._spill()
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give memory and disk back."""
        self._waiting = []
        self._waiting_bytes = 0
        self._file = None
        self._open.close()
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()

    def __getstate__(self) -> tuple[int, Path | None, list[bytes]]:
        """Hand over what was appended; whoever gets it reads it, and appends nothing."""
        if self._file is not None:
            assert self._path is not None, "a spool without a folder is for one process only"
            if self._waiting:
                self._spill()
            self._file.flush()  # a full disk is to be noticed here
            self._file = None
            self._open.close()
        return self.size, self._path, self._waiting

    def __setstate__(self, state: tuple[int, Path | None, list[bytes]]) -> None:
        self.__init__()  # type: ignore[misc]  # there is nothing else to begin with
        self.size, self._path, self._waiting = state
