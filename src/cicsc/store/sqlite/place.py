"""Why a path cannot be used as the file of a store, and whether it still can; SQLite does not say, the system is asked.

The file itself is never opened here: closing it would drop the locks that SQLite has on it in this process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cicsc.errors import StoreError, system_reason

_RIGHTS: Final = "nothing was changed; give this user the right, or name another place"
PATH_BYTES_MAX: Final = 504
NAME_BYTES_MAX: Final = 247
"""What SQLite and a file system take of a path and of a name, since files with a longer ending stand beside it."""

_ANYTHING: Final = (
    "see whether the path leads to a file that can be read and written, on a disk that works and has room"
)


def is_there(path: Path) -> bool:
    """Tell whether there is a file, or anything else; raises StoreError where the system refuses to tell."""
    try:
        return path.exists()
    except OSError as error:
        raise unusable(path, str(error)) from error


def identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from any other that stands at its path; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - each write asks, and this is quicker
    except OSError:
        return None
    return found.st_dev, found.st_ino


def moved(path: Path) -> StoreError:
    """Make the error for a write into a file that is not at its path any more."""
    return StoreError(
        "STORE_UNREACHABLE",
        f"cannot write to store {str(path)!r}: the file was moved, replaced or removed while it was in use",
        hint="nothing was written; if that was meant, run the same command again, which uses what is there now",
    )


def unusable(path: Path, found: str) -> StoreError:
    """Make the error for a file that cannot be opened, read or written; `found` is what was said of it."""
    cause, hint = _cause(Path(os.path.realpath(path))) or (found, _ANYTHING)
    return StoreError("STORE_UNREACHABLE", f"cannot use store {str(path)!r}: {cause}", hint=hint)


def require_short(path: Path) -> None:
    """Raise StoreError for a path that SQLite could make a file at, but not those beside it."""
    if _too_long(path) is not None:
        raise unusable(path, "")


def missing_folder(path: Path) -> tuple[str, str] | None:
    """Name the folder that a store cannot be made in, and what to do first; None where it is there."""
    folder = Path(os.path.realpath(path)).parent
    if folder.is_dir():
        return None
    return f"there is no folder {str(folder)!r}", "make the folder, or name one that is there; then run store-init"


def _too_long(path: Path) -> tuple[str, str] | None:
    for what, text, longest in (("path", str(path), PATH_BYTES_MAX), ("name", path.name, NAME_BYTES_MAX)):
        if (size := len(os.fsencode(text))) > longest:
            return f"its {what} has {size} bytes, expected at most {longest}", "name another place"
    return None


def _cause(path: Path) -> tuple[str, str] | None:
    """Return what is wrong with a path and what to do, None where nothing is seen to be."""
    if (long := _too_long(path)) is not None:
        return long
    try:
        if path.is_dir():
            return "it is a folder", "name a file inside it"
        if path.exists() and not path.is_file():
            return "it is no regular file", "name a file"
        if (missing := missing_folder(path)) is not None:
            return missing
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            return "the file may not be read and written", _RIGHTS
    except OSError as error:
        return system_reason(error), _RIGHTS if isinstance(error, PermissionError) else _ANYTHING
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"no file may be made in its folder {str(path.parent)!r}", _RIGHTS
    return None
