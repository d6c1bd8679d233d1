"""Looking at a history by itself: is it intact, does its bundle accept it, what does it fold to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import UNSET

from cicsc.bundle.load import load_bundle
from cicsc.engine.choice import chosen_engine
from cicsc.engine.workers import migrate_shared
from cicsc.errors import BundleError, HistoryError, UsageError
from cicsc.history.integrity import FindingsTally, checked_sequence
from cicsc.migration.plan import NOTHING, compile_judgement
from cicsc.migration.tally import Tally
from cicsc.operations.assess import problem_check
from cicsc.operations.integrity import check_integrity
from cicsc.operations.sources import StoreSource, require_digest, require_tenants
from cicsc.operations.stored import StoredHistory, opened_history, opened_with
from cicsc.operations.verification import side_verification
from cicsc.progress import SILENT, Progress
from cicsc.replay.fold import replay_steps
from cicsc.replay.reducers import compile_types
from cicsc.report.models import BundleVerify, Check, HistoryVerify

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cicsc.bundle.model import Bundle
    from cicsc.engine.choice import EngineName
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.sorted import SortedHistory
    from cicsc.operations.sources import BundleSource, HistorySource
    from cicsc.replay.reducers import TypeProgram
    from cicsc.replay.snapshot import Snapshot


def verify_history(
    events: HistorySource,
    *,
    bundle: BundleSource | None = None,
    expected_hash: str | None = None,
    tenants: Collection[str] = (),
    now: int | None = None,
    actor: str | None = None,
    workers: int | None = None,
    engine: EngineName = "local",
    spark_master: str | None = None,
    progress: Progress = SILENT,
) -> HistoryVerify:
    """Check the integrity of a history, compute its digest and, with a bundle, replay it and check constraints.

    The parameters are those of `preflight`. A history of a store is replayed with its active bundle
    unless another is given. Raises InputError for an input that cannot be decoded.
    """
    require_digest(expected_hash)
    chosen = chosen_engine(engine, workers=workers, spark_master=spark_master)
    loaded, bundle_check = (None, None) if bundle is None else _load(bundle)
    with opened_with(chosen, events, tenants, progress=progress) as history:
        if bundle is None and isinstance(history, StoredHistory):
            loaded, bundle_check = _load(history.bundle())
        moment = history.latest_ts if now is None else now
        plan = NOTHING if loaded is None else compile_judgement(loaded, now=moment, actor=actor)
        verdict, digests = migrate_shared(replace(plan, digests=True), history, workers=chosen.workers)
    require_tenants(tenants, digests.tenants)
    integrity = check_integrity(verdict.integrity, digests.given, expected_hash)
    side = None if loaded is None else side_verification(loaded, verdict.source, frozenset())
    return HistoryVerify(
        ok=integrity.ok and (bundle_check is None or bundle_check.ok) and (side is None or side.ok),
        events=verdict.source_events,
        streams=verdict.source.entities + verdict.broken_streams,
        tenants=len(digests.tenants),
        digest=digests.given,
        history_integrity=integrity,
        bundle_valid=UNSET if bundle_check is None else bundle_check,
        verify=UNSET if side is None else side,
    )


def _load(bundle: BundleSource) -> tuple[Bundle | None, Check]:
    try:
        return load_bundle(bundle), Check(ok=True)
    except BundleError as error:
        return None, problem_check(error.problems, error.total, error.message)


def replay_history(
    events: HistorySource,
    bundle: BundleSource | None = None,
    *,
    tenants: Collection[str] = (),
    entity: tuple[str, str] | None = None,
    steps: bool = False,
    progress: Progress = SILENT,
) -> Iterator[Snapshot]:
    """Yield the snapshot of each entity, or with `steps` the one after each event, in stream order.

    `bundle` may be left out for a history of a store, which holds the active one. `entity` (type, id)
    restricts to one entity, in each tenant that has it. Raises HistoryError, after all
    snapshots, where events are not intact or have no reducer, or where `entity` does not exist.
    """
    loaded = None if bundle is None else load_bundle(bundle)
    if loaded is None and not isinstance(events, StoreSource):
        raise UsageError("MISSING_FLAG", "the bundle to replay with is not given", hint="give it with --bundle")
    tally = FindingsTally()
    faults: Tally[str] = Tally()
    seen = False
    found: dict[str, None] = {}
    with opened_history(events, tenants, progress=progress) as history:
        programs = compile_types(loaded or _active_bundle(history))
        tally.merge(history.malformed)
        for key, stream in history.streams():
            found[key[0]] = None
            if entity is None or key[1:] == entity:
                seen = True
                checked = checked_sequence(key, stream, tally)
                yield from _snapshots(programs.get(key[1]), key, checked, faults, steps=steps)
    require_tenants(tenants, found)
    _raise_faults(tally, faults, None if seen else entity)


def _active_bundle(history: SortedHistory | StoredHistory) -> Bundle:
    assert isinstance(history, StoredHistory)  # only a store knows the bundle by itself
    return history.bundle()


def _snapshots(
    program: TypeProgram | None, key: StreamKey, events: Iterable[Event], faults: Tally[str], *, steps: bool
) -> Iterator[Snapshot]:
    snapshot = None
    for event, known, snapshot in replay_steps(program, key, events):
        if not known:
            message = f"stream {key!r} at seq {event.seq}: event type {event.event_type!r} has no reducer"
            faults.include((*key, event.seq), message)
        elif steps:
            yield snapshot
    if snapshot is not None and not steps:
        yield snapshot


def _raise_faults(tally: FindingsTally, faults: Tally[str], missing: tuple[str, str] | None) -> None:
    if tally.total:
        found = tally.findings[0]
        raise HistoryError(
            "HISTORY_NOT_INTACT",
            f"the history is not intact: {found.message}{_more(tally.total)}",
            hint="history-verify lists all findings; export the history again",
        )
    if faults.count:
        raise HistoryError(
            "NOT_REPLAYABLE",
            f"cannot replay {faults.examples[0][1]}{_more(faults.count)}",
            hint="is this the bundle that the history was written under? bundle-validate shows its digest",
        )
    if missing is not None:
        raise HistoryError(
            "NO_SUCH_ENTITY",
            f"there is no entity {missing[1]!r} of type {missing[0]!r} in the history",
            hint="without --type and --id, history-replay lists every entity",
        )


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""


def validate_bundle(bundle: BundleSource) -> BundleVerify:
    """Validate a bundle and report every problem, up to a cap, with its JSON path.

    Raises InputError for a file that cannot be decoded.
    """
    loaded, check = _load(bundle)
    problems = [] if check.problems is UNSET else check.problems
    total = 0 if check.problems_total is UNSET else check.problems_total
    return BundleVerify(
        ok=check.ok, digest=None if loaded is None else loaded.digest, problems=problems, problems_total=total
    )
