"""What a history folds to: the snapshots of its entities, one after the other, and what could not be replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.bundle.load import load_bundle
from cicsc.engine.choice import worker_count
from cicsc.engine.workers import pays_to_share
from cicsc.errors import HistoryError, UsageError, and_more
from cicsc.operations.arguments import require_entity
from cicsc.operations.replaying import Found, Wanted, replayed
from cicsc.operations.sources import StoreSource, require_tenants
from cicsc.operations.stored import StoredHistory, opened_history
from cicsc.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cicsc.bundle.model import Bundle
    from cicsc.history.sorted import SortedHistory
    from cicsc.operations.sources import BundleSource, HistorySource
    from cicsc.replay.snapshot import Snapshot


def replay_history(
    events: HistorySource,
    bundle: BundleSource | None = None,
    *,
    tenants: Collection[str] = (),
    entity: tuple[str, str] | None = None,
    steps: bool = False,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Iterator[Snapshot]:
    """Yield the snapshot of each entity, or with `steps` the one after each event, in stream order.

    `bundle` may be left out for a history of a store, which holds the active one. `entity` (type, id)
    restricts to one entity, in each tenant that has it. `workers` processes share a large history, by default one
    for each core; they are ended when the iterator is closed. Raises HistoryError, after all
    snapshots, where events are not intact or have no reducer, or where `entity` does not exist; before the first one,
    UsageError for a call that contradicts itself, InputError for an input that cannot be decoded, BundleError for a
    bundle with defects, and StoreError for a store that cannot be used.
    """
    if entity is not None:
        require_entity(entity)
    loaded = None if bundle is None else load_bundle(bundle)
    if loaded is None and not isinstance(events, StoreSource):
        raise UsageError("MISSING_FLAG", "the bundle to replay with is not given", hint="give it with --bundle")
    found = Found()
    with opened_history(events, tenants, workers=worker_count(workers), progress=progress) as history:
        wanted = Wanted(loaded or _active_bundle(history), entity, steps)
        found.findings.merge(history.malformed)
        # Asked anew, since what reading has loaded may have threads.
        yield from _snapshots(history, wanted, found, worker_count(workers), progress)
    require_tenants(tenants, sorted(found.tenants))
    _raise_faults(found, entity)


def _active_bundle(history: SortedHistory | StoredHistory) -> Bundle:
    assert isinstance(history, StoredHistory)  # only a store knows the bundle by itself
    return history.bundle()


def _snapshots(
    history: SortedHistory | StoredHistory, wanted: Wanted, found: Found, workers: int, progress: Progress
) -> Iterator[Snapshot]:
    """Replay in this process, or in several where that pays."""
    if isinstance(history, StoredHistory):
        cut = history.cut("folding")
        if cut is not None:
            from cicsc.operations.replay_shares import replay_pieces  # noqa: PLC0415 (loads multiprocessing)

            return replay_pieces(cut, wanted, found, progress)
    elif pays_to_share(history, workers):
        from cicsc.operations.replay_shares import replay_runs  # noqa: PLC0415 (loads multiprocessing)

        return replay_runs(history, wanted, found, workers)
    return replayed(history.streams(), wanted, found)


def _raise_faults(found: Found, entity: tuple[str, str] | None) -> None:
    findings, faults = found.findings, found.faults
    if findings.total:
        raise HistoryError(
            "HISTORY_NOT_INTACT",
            f"the history is not intact: {findings.findings[0].located}{and_more(findings.total)}",
            hint="history-verify lists all findings; export the history again",
        )
    if faults.count:
        raise HistoryError(
            "NOT_REPLAYABLE",
            f"cannot replay {faults.examples[0][1]}{and_more(faults.count)}",
            hint="is this the bundle that the history was written under? bundle-validate shows its digest",
        )
    if entity is not None and entity not in found.entities:
        raise HistoryError(
            "NO_SUCH_ENTITY",
            f"there is no entity {entity[1]!r} of type {entity[0]!r} in the history",
            hint="without --type and --id, history-replay lists every entity",
        )
