"""The disks of this machine that a local Spark needs: folders of ours on them, and whether there is room."""

from __future__ import annotations

import os
import re
import shutil
import stat
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cicsc.durable import TEMPORARY_PREFIX, TemporaryFolder, require_space

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import ExitStack

LOCAL_DIRS: Final = "SPARK_LOCAL_DIRS"
"""What names, in the environment, the folders for Spark's data; it goes before the setting spark.local.dir."""

_LOCAL: Final = re.compile(r"local(\[.+\])?")
_REMOVALS_MAX: Final = 50
_PAUSE_S: Final = 0.1


def is_local(master: str | None) -> bool:
    """Tell whether a Spark with this master works in one process on this machine."""
    return _LOCAL.fullmatch(master or "") is not None


def cleared_folders(parents: Iterable[str], stack: ExitStack) -> list[Path]:
    """Make a folder in each of these, which Spark would make too; it is removed when the stack is closed.

    An empty name stands for the system's place for temporary files.
    """
    folders = []
    for parent in parents:
        if parent:
            Path(parent).mkdir(parents=True, exist_ok=True)
        folders.append(stack.enter_context(cleared_folder(Path(parent) if parent else None)))
    return folders


@contextmanager
def cleared_folder(parent: Path | None = None) -> Iterator[Path]:
    """Give a folder for the temporary files of other processes, which may still write to it while they end."""
    folder = TemporaryFolder(parent)
    place = Path(folder.name)
    try:
        yield place
    finally:
        for _ in range(_REMOVALS_MAX):
            shutil.rmtree(place, ignore_errors=True)
            if not place.exists():
                break
            time.sleep(_PAUSE_S)
        with suppress(OSError):
            folder.cleanup()


@dataclass(frozen=True, slots=True)
class LocalSpace:
    """The folders in which a local Spark keeps its data; of a cluster's disks nothing is known, so it has none."""

    folders: tuple[Path, ...]

    def used(self) -> int:
        """Return the bytes of all files in the folders."""
        return sum(map(_size, chain.from_iterable(folder.rglob("*") for folder in self.folders)))

    def require(self, needed: int, what: str) -> None:
        """Raise WorkError where the disks have not so many bytes left; Spark spreads them evenly over the folders."""
        devices = Counter(folder.stat().st_dev for folder in self.folders)
        for folder in self.folders:
            share = needed * devices[folder.stat().st_dev] // len(self.folders)
            require_space(_shown(folder), share, what, f"TMPDIR or {LOCAL_DIRS}")


def local_space(context: Any) -> LocalSpace:
    """Return where a Spark keeps its data, if it works in one process on this machine."""
    if not is_local(context.master):
        return LocalSpace(())
    blocks = context._jsc.sc().env().blockManager().diskBlockManager()  # noqa: SLF001 - not offered otherwise
    return LocalSpace(tuple(Path(folder.getPath()) for folder in blocks.localDirs()))


def executor_folder() -> Path | None:
    """Return, in a task, one of the folders that Spark has for its data there; None where it names none."""
    return next((Path(name) for name in os.environ.get(LOCAL_DIRS, "").split(",") if name), None)


def _size(path: Path) -> int:
    try:
        found = path.stat()
    except OSError:  # it was there a moment ago
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _shown(folder: Path) -> Path:
    """Return the folder whose parent the operator knows: what is in ours is none of their business."""
    return folder.parent if folder.parent.name.startswith(TEMPORARY_PREFIX) else folder
