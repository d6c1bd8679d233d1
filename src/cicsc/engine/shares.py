"""The engine of worker processes, after `reading`: ranges of streams are folded at once.

    sorted runs ──shares──> folders, each merging its streams of all runs ──parts──> one result

Where a run can be entered is known, so the streams can be cut into shares when all runs are there,
and each share is run as a part. What the streams are turned into waits as text and is handed to the one writer in the
order of the shares, so that all bytes are those of the in-process engine, which small histories are left to.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

from msgspec import Struct

from cicsc.durable import require_space
from cicsc.engine.folding import SHARES_PER_WORKER, FoldedShare, fold_work, share_ends
from cicsc.engine.lines import WaitingRows, handed_on
from cicsc.engine.parts import conclude
from cicsc.history.runs import KeyRange
from cicsc.history.sorted import decoded_streams
from cicsc.history.sorting import merged_runs
from cicsc.progress import Amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from cicsc.engine.leaves import Digests
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.history.runs import Run
    from cicsc.history.sorted import SortedHistory
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict


def fold_shared(
    plan: Plan,
    history: SortedHistory,
    events: RowWriter[Event] | None,
    positions: RowWriter[PositionRow] | None,
    workers: int,
) -> tuple[Verdict, Digests]:
    """Migrate and verify a history of files."""
    cut, progress = cut_runs(history, workers), history.progress
    if events is not None or positions is not None:
        # What the shares are turned into waits until those before are done; the largest are twice the average.
        require_space(cut.folder, 2 * history.size * (workers + 1) // (len(cut.shares) + 1), "migrating")
    work = _FoldedWork(plan, cut)
    folded = fold_work(plan, work, shares=len(cut.shares), folder=cut.folder, workers=workers, progress=progress)
    with closing(folded):  # so that no process goes on when writing has failed
        return conclude(plan, handed_on(folded, events, positions, progress), history.malformed)


class CutRuns(Struct, frozen=True):
    """A history of files in shares of its streams: the runs that they are in, and the folder of these."""

    runs: Sequence[Run]
    shares: Sequence[KeyRange]
    folder: Path


def cut_runs(history: SortedHistory, workers: int) -> CutRuns:
    """Bring a history to the disk and cut it for so many processes; begins the phase in which they go through it."""
    runs, folder = history.spilled()
    history.progress.begin("folding", Amount(history.events_count))
    bounds = bounds_of(runs, workers * SHARES_PER_WORKER)
    return CutRuns(runs, [KeyRange(first, end) for first, end in pairwise([None, *bounds, None])], folder)


def bounds_of(runs: Iterable[Run], shares: int) -> list[StreamKey]:
    """Return where to cut into shares, as `share_ends` has it: the first stream of each share but the first."""
    marks = sorted(key for run in runs for key, _ in run.marks)
    return sorted({marks[end] for end in share_ends(shares, len(marks))[:-1]}) if marks else []


class RunsWork:
    """The shares of a cut, to be read."""

    def __init__(self, cut: CutRuns) -> None:
        self._cut = cut

    @contextmanager
    def open(self, share: int) -> Iterator[RunsShare]:
        """Open a share, in a worker."""
        yield RunsShare(self._cut.runs, self._cut.shares[share])


class RunsShare:
    """Some streams of runs."""

    def __init__(self, runs: Sequence[Run], wanted: KeyRange) -> None:
        self._runs = runs
        self._wanted = wanted

    def streams(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield the streams, merged of all runs."""
        return decoded_streams(merged_runs(self._runs, self._wanted))


class _FoldedWork:
    """The shares of a cut, to be folded."""

    def __init__(self, plan: Plan, cut: CutRuns) -> None:
        self._plan = plan
        self._cut = cut

    @contextmanager
    def open(self, share: int) -> Iterator[FoldedShare[WaitingRows]]:
        yield _FoldedRuns(self._cut.runs, self._cut.shares[share], WaitingRows(self._plan, self._cut.folder))


class _FoldedRuns(RunsShare):
    def __init__(self, runs: Sequence[Run], wanted: KeyRange, rows: WaitingRows) -> None:
        super().__init__(runs, wanted)
        self._rows = rows
        self.writers = rows.writers()

    def made(self) -> WaitingRows:
        return self._rows
