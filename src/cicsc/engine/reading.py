"""The engine of worker processes, at first: ranges of a file are read at once.

    file ──ranges──> readers ──sorted runs──> shares

A worker reads ranges of a file of lines and writes what it read as sorted runs. Other inputs are read by one process.
"""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from cicsc.engine.pool import Pool, TaskError, still_wanted
from cicsc.errors import InputError
from cicsc.history.ranges import RangedFile, RangeSums, added_up, read_range, refuse_range
from cicsc.history.sorting import MEMORY_BYTES_MAX, Sorter
from cicsc.progress import SILENT, Amount, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cicsc.history.runs import Run

_FOLDING: Final = ("cicsc.engine.inprocess", "cicsc.engine.shares", "cicsc.migration.plan")
"""Modules that are needed next and perhaps not there yet: they are loaded while the others read."""


def read_shared(
    ranged: RangedFile, tenants: frozenset[str] | None, sorter: Sorter, workers: int, progress: Progress = SILENT
) -> RangeSums:
    """Read the ranges of a file into runs of the sorter, in so many processes."""
    progress.begin("reading", Amount(bytes_read=ranged.size))
    make = partial(_Reader, ranged, tenants, sorter.folder(), workers, os.getpid())
    sums: dict[int, RangeSums] = {}
    # Events of a stream mostly stand near each other, so that of two halves few streams are in both runs.
    with Pool(make, len(ranged.ranges), workers, apart=True) as pool:
        for name in _FOLDING:
            import_module(name)
        try:
            for task, found in pool.results():
                sums[task] = found
                start, end = ranged.ranges[task]
                progress.note(Amount(found.events_count, bytes_read=end - start))
        except TaskError as failed:
            if isinstance(failed.error, InputError):
                refuse_range(ranged, failed.task, tenants)
            raise failed.error from None
    progress.worked(pool.peaks)
    sorter.adopt(chain.from_iterable(pool.last))
    return added_up([sums[number] for number in sorted(sums)])


class _Reader:
    """Reads ranges, and writes what it read as runs."""

    def __init__(
        self, ranged: RangedFile, tenants: frozenset[str] | None, folder: Path, workers: int, parent: int
    ) -> None:
        self._ranged = ranged
        self._tenants = tenants
        self._workers = workers
        self._parent = parent
        self._sorter = Sorter(MEMORY_BYTES_MAX // workers, place=folder)

    def run(self, task: int, tell: Callable[[Any], None]) -> RangeSums:  # noqa: ARG002 (a range is soon read)
        still_wanted(self._parent)
        return read_range(self._ranged, task, self._sorter, self._tenants)

    def finish(self) -> tuple[Run, ...]:
        self._sorter.spill()
        self._sorter.finish(self._workers)
        return self._sorter.runs()
