"""The disks of this machine that a local Spark needs: folders of ours on them, which are removed."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cicsc.durable import make_temporary_folder

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
    folder = make_temporary_folder(parent)
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
