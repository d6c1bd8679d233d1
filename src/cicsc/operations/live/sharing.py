"""One tenant, worked on by several processes at once, each with a store of its own.

The streams are cut into shares by their keys. While the tenant is open, workers enter the moment of the parent,
so that all shares are of one moment although writers go on; under the fence nothing is written, and each reads as
far as the head of the run, in transactions of its own. There it also writes what its share becomes beside the
history; whether the run that it writes for still has the tenant is checked in each of its transactions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cicsc.durable import TemporaryFolder
from cicsc.engine.choice import worker_count
from cicsc.engine.folding import SHARES_PER_WORKER, Folded, FoldedShare, fold_work, share_ends
from cicsc.engine.parts import Part, Writers, conclude
from cicsc.engine.pool import Pool, TaskError, still_wanted
from cicsc.history.runs import KeyRange
from cicsc.operations.live.places import PlacedHistory
from cicsc.operations.live.staging import Staging, Written, staging_into
from cicsc.operations.stored import url_to_share
from cicsc.operations.stored_shares import CutStore, StoreWork, cut_tenant, fold_store
from cicsc.operations.stored_streams import TenantHistory, require_seen
from cicsc.progress import SILENT, Amount, Relayed
from cicsc.store import open_store

if TYPE_CHECKING:
    from cicsc.engine.leaves import Digests
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.progress import Progress
    from cicsc.store.protocol import Store, StoreMoment, TenantReading
    from cicsc.store.records import Run, StoreHead


def cut_for(
    store: Store, reading: TenantReading, head: StoreHead, workers: int | None, moment: StoreMoment | None = None
) -> CutStore | None:
    """Cut a generation up to its head for so many processes; None where one process does it best.

    They enter `moment`, which has to stay open until all was read; without one nothing may be written meanwhile.
    """
    count = worker_count(workers)
    url = url_to_share(store, head.count, count)
    if url is None:
        return None
    pieces = cut_tenant(reading, head, share_ends(count * SHARES_PER_WORKER, head.count))
    return CutStore(url, [[piece] for piece in pieces], count, None if moment is None else moment.share())


class _Elsewhere:
    def write(self, rows: Iterable[Any]) -> None:
        raise AssertionError(rows)


ELSEWHERE: Final = _Elsewhere()
"""Stands for rows that are asked for, and written where they are made."""


class SharedHistory(TenantHistory):
    """The active generation, folded by several processes where `cut` says how; `progress` is told as events pass."""

    def __init__(self, reading: TenantReading, progress: Progress, cut: CutStore | None) -> None:
        super().__init__(reading, progress)
        self._cut = cut

    def fold(self, plan: Plan, *writers: RowWriter[Any] | None) -> tuple[Verdict, Digests]:
        """Migrate and verify the history, as `migrate_history` does; raises StoreError as `fold_store` does."""
        if self._cut is None:
            return super().fold(plan, *writers)
        return fold_store(plan, self._cut, *writers, progress=self._progress)


class StagedHistory(TenantHistory):
    """The active generation under the fence: what it becomes is written by the processes that fold it.

    `written` is what was written, in the order of the shares.
    """

    def __init__(self, reading: TenantReading, progress: Progress, cut: CutStore, run: Run) -> None:
        super().__init__(reading, progress)
        self._cut = cut
        self._run = run
        self.written: list[Written] = []

    def fold(self, plan: Plan, *writers: RowWriter[Any] | None) -> tuple[Verdict, Digests]:
        """Migrate and verify the history, as `migrate_history` does; the writers are `ELSEWHERE`.

        Raises StoreError STORE_DAMAGED where there are not the events that the run has counted.
        """
        assert set(writers) == {ELSEWHERE}
        cut = self._cut
        with TemporaryFolder() as name:
            work, folder = _StagingWork(cut, self._run), Path(name)
            folded = fold_work(
                plan,
                work,
                shares=len(cut.shares),
                folder=folder,
                workers=cut.workers,
                progress=self._progress,
            )
            with closing(folded):  # so that no process goes on when the result has failed
                verdict, digests = conclude(plan, self._parts(folded), self.malformed, self._progress)
        ((piece, *_), *_) = cut.shares
        if not verdict.integrity.total:
            require_seen(piece.tenant_id, piece.head, verdict.source_events)
        return verdict, digests

    def _parts(self, folded: Iterator[Folded[Written]]) -> Iterator[Part]:
        for share in folded:
            self.written.append(share.made)
            yield share.part


# --------------------------------------------------------------------------------------- in a worker's process


class _StagingWork(StoreWork):
    def __init__(self, cut: CutStore, run: Run) -> None:
        super().__init__(cut.url)
        self._shares = cut.shares
        self._run = run

    @contextmanager
    def open(self, share: int) -> Iterator[FoldedShare[Written]]:
        store = self.store()
        (piece,) = self._shares[share]
        tenant_id, head, within = piece.tenant_id, piece.head, piece.within
        with store.reading(tenant_id) as reading:
            history = PlacedHistory(reading, SILENT, head.generation, head.position, within)
            stage = partial(store.runs.stage, self._run)
            with staging_into(store, tenant_id, history.places, stage) as staging:
                yield _StagedShare(history, staging, within)


class _StagedShare:
    """A share that is written beside the history."""

    def __init__(self, history: PlacedHistory, staging: Staging, within: KeyRange) -> None:
        self._history = history
        self._staging = staging
        self._within = within
        self.writers = Writers(staging.events, staging.positions, staging.snapshots)

    def streams(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        return self._history.streams()

    def made(self) -> Written:
        self._staging.finish()
        return self._staging.written(self._within)


# ------------------------------------------------------------------------------------------- reading back


def read_back(
    store: Store, run: Run, written: Sequence[Written], workers: int | None, progress: Progress
) -> list[Written]:
    """Read again what a run has written, share by share, and sum it up."""
    assert run.target_generation is not None
    url, count = store.shared_url, worker_count(workers)
    if url is None or count == 1 or len(written) == 1:
        with store.reading(run.tenant_id) as reading:
            return [_summed(reading, run.target_generation, share.within, progress) for share in written]
    make = partial(_Reader, url, run.tenant_id, run.target_generation, [share.within for share in written], os.getpid())
    with Pool(make, len(written), count, progress.note) as pool:
        try:
            found = dict(pool.results())
        except TaskError as failed:
            raise failed.error from None
    progress.worked(pool.peaks)
    return [found[share] for share in sorted(found)]


def _summed(reading: TenantReading, generation: int, within: KeyRange, progress: Progress) -> Written:
    found = reading.sum_rows(generation, lambda rows: progress.note(Amount(rows)), within=within)
    return Written(within, found.count, found.hexdigest())


class _Reader:
    """Sums up shares of a generation, in a worker."""

    def __init__(self, url: str, tenant_id: str, generation: int, ranges: Sequence[KeyRange], parent: int) -> None:
        self._parent = parent
        self._store = open_store(url)
        self._wanted = (tenant_id, generation, ranges)

    def run(self, task: int, tell: Callable[[Amount], None]) -> Written:
        tenant_id, generation, ranges = self._wanted

        def told(done: Amount) -> None:
            still_wanted(self._parent)
            tell(done)

        with self._store.reading(tenant_id) as reading:
            return _summed(reading, generation, ranges[task], Relayed(told))

    def finish(self) -> None:
        self._store.close()
