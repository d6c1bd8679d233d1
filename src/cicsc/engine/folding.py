"""Working through shares of a history in several processes: what the engines of worker processes have in common.

A share is some consecutive streams. Where its events come from, and where what they are turned into
goes, is the business of the `Work`, which is made in the parent and used in the workers. What is done with the
streams is mostly to fold them. The results come back in the order of the shares, so that they can be concluded
as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from cicsc.engine.parts import Part, Writers, run_part
from cicsc.engine.pool import Pool, TaskError, still_wanted
from cicsc.progress import Amount, Progress, Relayed, noted

if TYPE_CHECKING:
    from cicsc.history.model import Event, StreamKey
    from cicsc.migration.plan import Plan

Streams: TypeAlias = "Iterator[tuple[StreamKey, Iterable[Event]]]"

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)
Result = TypeVar("Result")

SHARES_PER_WORKER: Final = 8
"""Ranges of streams for each worker; how large they are, `share_ends` says."""

_WANTED_STREAMS: Final = 256
"""Streams between two looks whether the parent is still there."""


def share_ends(shares: int, whole: int) -> list[int]:
    """Return where each of some shares ends in a whole: each is smaller than the one before, by as much.

    So nobody waits long for the last one, and few large ones take little time to begin. Source: T. H. Tzen, L. M. Ni,
    Trapezoid Self-Scheduling, IEEE TPDS 4 (1993).
    """
    return [whole * done * (2 * shares + 1 - done) // (shares * (shares + 1)) for done in range(1, shares + 1)]


class Share(Protocol):
    """A share that is open in a worker."""

    def streams(self) -> Streams:
        """Yield the streams of the share, in the order of their keys."""
        ...


class FoldedShare(Share, Protocol[Made_co]):
    """A share whose streams are turned into rows."""

    writers: Writers
    """What takes the rows that the streams are turned into."""

    def made(self) -> Made_co:
        """Return what the parent is to know of the rows, when all streams have passed."""
        ...


Share_co = TypeVar("Share_co", bound=Share, covariant=True)
ShareT = TypeVar("ShareT", bound=Share)


class Work(Protocol[Share_co]):
    """A history in numbered shares; can be handed to another process."""

    def open(self, share: int) -> AbstractContextManager[Share_co]:
        """Open a share, in a worker."""
        ...


class Folded(Struct, Generic[Made], frozen=True):
    """The result on a share, and what is to be known of the rows that came of it."""

    part: Part
    made: Made


def fold_work(
    plan: Plan, work: Work[FoldedShare[Made]], *, shares: int, folder: Path, workers: int, progress: Progress
) -> Generator[Folded[Made]]:
    """Fold every share, in so many processes, and yield the results in the order of the shares.

    Raises what `each_share` raises.
    """
    fold: Callable[[FoldedShare[Made], Streams], Folded[Made]] = partial(_fold, plan, folder)
    return each_share(fold, work, shares=shares, workers=workers, progress=progress)


def _fold(plan: Plan, folder: Path, share: FoldedShare[Made], streams: Streams) -> Folded[Made]:
    part = run_part(plan, streams, share.writers, folder=folder)
    return Folded(part, share.made())


def each_share(
    act: Callable[[ShareT, Streams], Result], work: Work[ShareT], *, shares: int, workers: int, progress: Progress
) -> Generator[Result]:
    """Do the same with the streams of every share, in so many processes, and yield the results in order of the shares.

    `act` and its results can be handed to another process. Raises what a worker raised, and WorkError where one
    died; then some shares may not have begun.
    """
    make = partial(_Actor[ShareT, Result], act, work, os.getpid())
    waiting: dict[int, Result] = {}
    following = 0
    with Pool(make, shares, workers, progress.note) as pool:
        try:
            for task, result in pool.results():
                waiting[task] = result
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1
        except TaskError as failed:
            raise failed.error from None
    progress.worked(pool.peaks)


class _Actor(Generic[ShareT, Result]):
    """Works through shares, in a worker."""

    def __init__(self, act: Callable[[ShareT, Streams], Result], work: Work[ShareT], parent: int) -> None:
        self._act = act
        self._work = work
        self._parent = parent

    def run(self, task: int, tell: Callable[[Amount], None]) -> Result:
        with self._work.open(task) as share:
            return self._act(share, noted(self._wanted(share.streams()), Relayed(tell)))

    def _wanted(self, streams: Streams) -> Streams:
        for number, stream in enumerate(streams):
            if number % _WANTED_STREAMS == 0:
                still_wanted(self._parent)
            yield stream

    def finish(self) -> None:
        """There is nothing left to say."""
