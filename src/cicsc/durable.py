"""Files that appear whole or not at all, and temporary files, with their failures as errors of ours.

What is written goes to a temporary file in the same folder, which takes the place of the target
once everything is on the disk; an error, a full disk or Ctrl-C leaves the target as it was. This
module knows nothing of what the files hold.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from cicsc import signals
from cicsc.errors import UsageError, WorkError, system_reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

TEMPORARY_PREFIX: Final = "cicsc-"
BUFFER_BYTES: Final = 256 * 1024
AHEAD_BYTES: Final = 32 * 1024 * 1024
"""How much of a file is written before the system is asked to begin bringing it to the disk."""

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG})


class Publication:
    """Files that appear together, or none of them: a context manager that outlives their writing.

    Each file is written whole and brought to the disk; only when the block has ended well do all of
    them take their places, and a signal that comes meanwhile acts afterwards. Folders that were made for
    a file that did not come about are removed.
    """

    def __init__(self) -> None:
        self._ready: list[tuple[Path, Path]] = []
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._publish()
        finally:
            for temporary, _ in self._ready:
                _remove(temporary)
            for folder in reversed(self._made):
                with suppress(OSError):  # it holds something, so it was wanted
                    folder.rmdir()

    def prepare(self, folder: Path) -> None:
        """Make a folder for a file to come, with its parents, and remember which were missing.

        Whether it can be brought to the disk is seen now, when nothing has taken its place yet.
        """
        missing = list(takewhile(lambda place: not place.exists(), [folder, *folder.parents]))
        for place in reversed(missing):
            place.mkdir(exist_ok=True)
            self._made.append(place)
            _sync_folder(place.parent)
        os.close(os.open(folder, os.O_RDONLY))

    def include(self, temporary: Path, target: Path) -> None:
        """Take a file that is whole and on the disk, to be put in its place with the others."""
        self._ready.append((temporary, target))

    def _publish(self) -> None:
        # What has come in the way of one while the files were written is found before another is in its place.
        for temporary, target in self._ready:
            with _writing(target):
                temporary.stat()
                _mode_of(target)
        with signals.deferred():
            for temporary, target in self._ready:
                with _writing(target):
                    temporary.replace(target)
                    _sync_folder(target.parent)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn what the system says of a file into an error of ours."""
    try:
        yield
    except OSError as error:
        raise write_error(target, error) from error


@contextmanager
def whole_file(path: str | Path, together: Publication | None = None) -> Iterator[BinaryIO]:
    """Give a binary file to write; when the block ends well, `path` holds what was written.

    With `together`, that is once the publication ends well. Folders on the path are created, a link is
    followed, and the permissions are those that `open` would give. Raises WorkError where the file
    cannot be written; its message names the reason.
    """
    if together is None:
        with Publication() as alone, whole_file(path, alone) as file:
            yield file
        return
    target = _target(path)
    temporary = target.parent / f".cicsc-{secrets.token_hex(8)}.tmp"
    try:
        mode, raw = _begin(temporary, target, together)
        with io.BufferedWriter(raw, BUFFER_BYTES) as buffered:
            try:
                yield cast("BinaryIO", buffered)
                buffered.flush()
                _finish(raw, target, mode)
                together.include(temporary, target)
            except BaseException:
                raw.abandoned = True
                raise
    except BaseException:
        # A signal may also come between the making of the file and its first use.
        _remove(temporary)
        raise


def _target(path: str | Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except ValueError as error:
        raise UsageError("PATH_INVALID", f"cannot write {str(path)!r}: {error}", hint="name another path") from error


def _begin(temporary: Path, target: Path, together: Publication) -> tuple[int | None, _TranslatingFile]:
    """Make the folder and the temporary file; return the permissions that the target has already."""
    with _writing(target):
        mode = _mode_of(target)
        together.prepare(target.parent)
        return mode, _AheadFile(temporary, "xb", target)


def _remove(temporary: Path) -> None:
    with suppress(OSError):
        temporary.unlink(missing_ok=True)


@contextmanager
def temporary_file() -> Iterator[BinaryIO]:
    """Give a nameless file to write and read again; WorkError where it cannot be written."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX)
    except OSError as error:
        raise _temporary_error(error) from error
    Path(name).unlink()
    raw = _TranslatingFile(descriptor, "w+b", Path(name))
    buffered = io.BufferedRandom(raw, BUFFER_BYTES)
    try:
        yield cast("BinaryIO", buffered)
    finally:
        raw.abandoned = True
        buffered.close()


def make_temporary(path: Path) -> BinaryIO:
    """Make a file of a temporary folder, to write and read again; WorkError where it cannot be written."""
    try:
        raw = _TranslatingFile(path, "x+b", path)
    except OSError as error:
        raise _temporary_error(error) from error
    return cast("BinaryIO", io.BufferedRandom(raw, BUFFER_BYTES))


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A folder for temporary files, which a signal neither leaves behind half made nor half removed."""

    def __init__(self, parent: Path | None = None) -> None:
        """Make it in `parent` or the system's place; WorkError where that fails."""
        try:
            with signals.deferred():
                super().__init__(prefix=TEMPORARY_PREFIX, dir=parent)
        except OSError as error:
            raise _temporary_error(error) from error

    def cleanup(self) -> None:
        """Remove it with all that is in it."""
        with signals.deferred():
            super().cleanup()


def require_space(folder: Path, needed: int, what: str, setting: str = "TMPDIR") -> None:
    """Raise WorkError where a folder for temporary files has not so many bytes left; `setting` can name another."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # what cannot be asked will show when it is written
    if free < needed:
        raise WorkError(
            "DISK_FULL",
            f"{what} needs about {_megabytes(needed)} for temporary files, "
            f"{str(folder.parent)!r} has {_megabytes(free)}",
            hint=f"nothing was written; make room, or name a folder with more room in {setting}",
        )


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"


def _temporary_error(error: OSError) -> WorkError:
    return write_error(Path(error.filename or "temporary files"), error)


class _TranslatingFile(io.FileIO):
    """A file whose failures to write are errors of ours, so that the writer's own stay apart.

    Once abandoned it accepts everything and keeps nothing, since its buffer insists on being flushed.
    """

    def __init__(self, file: Path | int, mode: str, target: Path) -> None:
        self.abandoned = False
        self._target = target
        super().__init__(file, mode)

    def write(self, data: object, /) -> int:
        """Write what a BufferedWriter hands down: bytes, or a view of them."""
        view = memoryview(cast("bytes", data))
        if self.abandoned:
            return view.nbytes
        try:
            return super().write(view)
        except OSError as error:
            raise write_error(self._target, error) from error


class _AheadFile(_TranslatingFile):
    """A file that is on its way to the disk while more of it is written, so that less is left to do at the end."""

    def __init__(self, file: Path | int, mode: str, target: Path) -> None:
        super().__init__(file, mode, target)
        self._written = self._asked = 0

    def write(self, data: object, /) -> int:
        """Write as any file, and now and then ask for what was written to be brought to the disk."""
        size = super().write(data)
        self._written += size
        if self._written - self._asked >= AHEAD_BYTES:
            if hasattr(os, "posix_fadvise"):
                with suppress(OSError):
                    # Linux begins to write the pages of such a range, and keeps them while they are being written.
                    os.posix_fadvise(self.fileno(), self._asked, self._written - self._asked, os.POSIX_FADV_DONTNEED)
            self._asked = self._written
        return size


def _finish(raw: _TranslatingFile, target: Path, mode: int | None) -> None:
    """Bring the bytes to the disk."""
    with _writing(target):
        if mode is not None:
            os.fchmod(raw.fileno(), mode)
        os.fsync(raw.fileno())


def _mode_of(target: Path) -> int | None:
    """Return the permissions of a file that is there already; refuse what is no file."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise WorkError("NOT_A_FILE", f"cannot write {str(target)!r}: it is a folder", hint="name a file inside it")
    if not stat.S_ISREG(mode):
        raise WorkError(
            "NOT_A_FILE",
            f"cannot write {str(target)!r}: it is no regular file",
            hint="name a file that can be replaced",
        )
    return stat.S_IMODE(mode)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_error(target: Path, error: OSError) -> WorkError:
    """Make the error for a place that could not be written to."""
    reason = system_reason(error)
    message = f"cannot write {str(target)!r}: {reason}"
    if error.errno in _FULL:
        return WorkError("DISK_FULL", message, hint="nothing was written; make room, then run the command again")
    if error.errno in _REFUSED:
        return WorkError("UNWRITABLE", message, hint="nothing was written; name a place that may be written to")
    return WorkError("WRITE_FAILED", message, hint="nothing was written; the command may be run again")
