"""A disk that fills up, made where none can be mounted.

With a C compiler, a shim around `write` and `fsync` gives ENOSPC once a process has written so many bytes to files.
Without one the kernel limits the size of each file, which happens at the same place in the program. Either way the
test runs.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static long room(void) {
    static long left = -1;
    static int known = 0;
    if (!known) {
        const char *given = getenv("FULL_DISK_ROOM");
        left = given ? atol(given) : 1L << 60;
        known = 1;
    }
    return left;
}

static long used = 0;

static int is_file(int descriptor) {
    struct stat found;
    return fstat(descriptor, &found) == 0 && S_ISREG(found.st_mode);
}

ssize_t write(int descriptor, const void *data, size_t size) {
    static ssize_t (*next)(int, const void *, size_t) = 0;
    if (!next) next = dlsym(RTLD_NEXT, "write");
    if (is_file(descriptor)) {
        long left = room() - used;
        if (left <= 0) { errno = ENOSPC; return -1; }
        if ((long)size > left) size = left;
    }
    ssize_t written = next(descriptor, data, size);
    if (written > 0 && is_file(descriptor)) used += written;
    return written;
}

int fsync(int descriptor) {
    static int (*next)(int) = 0;
    if (!next) next = dlsym(RTLD_NEXT, "fsync");
    if (getenv("FULL_DISK_AT_FSYNC") && is_file(descriptor)) { errno = ENOSPC; return -1; }
    return next(descriptor);
}
"""


@dataclass(frozen=True)
class FullDisk:
    """How to start a process whose disk is full: its environment, and what runs in it before the program."""

    environment: dict[str, str]
    before: Callable[[], None] | None


class Shim:
    """The compiled shim, or nothing where there is no compiler."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        self._library = folder / "full_disk.so"
        source = folder / "full_disk.c"
        source.write_text(_SOURCE)
        command = [compiler or "", "-shared", "-fPIC", "-O1", "-o", str(self._library), str(source), "-ldl"]
        self._works = bool(compiler) and subprocess.run(command, capture_output=True, check=False).returncode == 0

    def full_after(self, size: int) -> FullDisk:
        """Let the disk take `size` bytes of a process; without the shim, let each file take so many."""
        if self._works:
            return FullDisk({"LD_PRELOAD": str(self._library), "FULL_DISK_ROOM": str(size)}, None)
        return file_limit(size)

    def full_at_fsync(self) -> FullDisk:
        """Let the disk take everything, and find at the end that it had no room: as delayed allocation does."""
        if self._works:
            return FullDisk({"LD_PRELOAD": str(self._library), "FULL_DISK_AT_FSYNC": "1"}, None)
        return file_limit(64)


def file_limit(size: int) -> FullDisk:
    """Let the kernel refuse to make any file longer than this."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return FullDisk({}, limit)
