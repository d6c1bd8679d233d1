"""Folding shares of a history in several processes: what the engines of worker processes have in common.

A share is some consecutive streams. Where its events come from, and where what they are turned into
goes, is the business of the `Work`, which is made in the parent and used in the workers. The parts come back
in the order of the shares, so that they can be concluded as they are.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from cicsc.engine.parts import Part, Writers, run_part
from cicsc.engine.pool import Pool, TaskError, still_wanted
from cicsc.progress import Amount, Progress, Relayed, noted

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from cicsc.history.model import Event, StreamKey
    from cicsc.migration.plan import Plan

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)

SHARES_PER_WORKER: Final = 4
"""Ranges of streams for each worker, so that none waits long for the last."""

_WANTED_STREAMS: Final = 256
"""Streams between two looks whether the parent is still there."""


class Share(Protocol[Made_co]):
    """A share that is open in a worker."""

    writers: Writers
    """What takes the rows that the streams are turned into."""

    def streams(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield the streams of the share, in the order of their keys."""
        ...

    def made(self) -> Made_co:
        """Return what the parent is to know of the rows, when all streams have passed."""
        ...


class Work(Protocol[Made_co]):
    """A history in numbered shares; can be handed to another process."""

    def open(self, share: int) -> AbstractContextManager[Share[Made_co]]:
        """Open a share, in a worker."""
        ...


@dataclass(frozen=True, slots=True)
class Folded(Generic[Made]):
    """The result on a share, and what is to be known of the rows that came of it."""

    part: Part
    made: Made


def fold_work(
    plan: Plan, work: Work[Made], *, shares: int, folder: Path, workers: int, progress: Progress
) -> Generator[Folded[Made]]:
    """Fold every share, in so many processes, and yield the results in the order of the shares.

    Raises what a worker raised, and WorkError where one died; then some shares may not have begun.
    """
    make = partial(_Folder[Made], plan, work, folder, os.getpid())
    waiting: dict[int, Folded[Made]] = {}
    following = 0
    with Pool(make, shares, workers, progress.note) as pool:
        try:
            for task, folded in pool.results():
                waiting[task] = folded
                while (next_one := waiting.pop(following, None)) is not None:
                    following += 1
                    yield next_one
        except TaskError as failed:
            raise failed.error from None
    progress.worked(pool.peaks)


class _Folder(Generic[Made]):
    """Folds shares, in a worker."""

    def __init__(self, plan: Plan, work: Work[Made], folder: Path, parent: int) -> None:
        self._plan = plan
        self._work = work
        self._folder = folder
        self._parent = parent

    def run(self, task: int, tell: Callable[[Amount], None]) -> Folded[Made]:
        with self._work.open(task) as share:
            streams = noted(self._wanted(share.streams()), Relayed(tell))
            part = run_part(self._plan, streams, share.writers, folder=self._folder)
            return Folded(part, share.made())

    def _wanted(
        self, streams: Iterator[tuple[StreamKey, Iterable[Event]]]
    ) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        for number, stream in enumerate(streams):
            if number % _WANTED_STREAMS == 0:
                still_wanted(self._parent)
            yield stream

    def finish(self) -> None:
        """There is nothing left to say."""
