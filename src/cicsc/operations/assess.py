"""Assessing a migration: every check of the preflight, in the runbook's order.

Preflight and dry run are this assessment with different outputs. A check that cannot run, because
one that it needs has failed, is reported as skipped; all that can run do.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from cicsc.engine.choice import Engine, EngineName, chosen_engine
from cicsc.engine.inprocess import SortedStreams
from cicsc.engine.workers import migrate_shared
from cicsc.history.names import require_names
from cicsc.migration.inverse import reversibility
from cicsc.migration.plan import NOTHING, compile_judgement, compile_plan
from cicsc.operations.arguments import Equivalence, require_equivalence, require_migration, require_view
from cicsc.operations.documents import Active, check_documents, require_constraints, skipped
from cicsc.operations.integrity import check_integrity
from cicsc.operations.sources import StoreSource, require_digest, require_tenants
from cicsc.operations.stored import StoredHistory, opened_with
from cicsc.operations.verification import verification
from cicsc.progress import SILENT, Progress
from cicsc.report.models import Check, Checks, Preflight, ReversibilityReport, Verify
from cicsc.report.printable import counted

if TYPE_CHECKING:
    from collections.abc import Collection

    from cicsc.bundle.model import Bundle
    from cicsc.engine.inprocess import Digests
    from cicsc.engine.spark.history import SparkHistory
    from cicsc.history.model import Event
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.operations.documents import Documents
    from cicsc.operations.sources import BundleSource, HistorySource
    from cicsc.replay.snapshot import Snapshot


@runtime_checkable
class History(SortedStreams, Protocol):
    """A history that is open: its streams, and the largest ts (ms) in it."""

    @property
    def latest_ts(self) -> int | None:
        """The largest ts, None where there is no event."""
        ...


class Call(Struct, frozen=True):
    """What an operator asks to be assessed.

    `now` is in milliseconds and defaults to the history's largest ts. An empty `tenants` means all.
    `workers` is the number of processes, by default one for each core; `engine` may also be "spark", on `spark_master`.
    `source` may be None for a history of a store, which holds the bundle.
    """

    source: BundleSource | None
    target: BundleSource
    events: HistorySource | History
    migration: str
    now: int | None = None
    actor: str | None = None
    tenants: Collection[str] = ()
    expected_hash: str | None = None
    equivalence: Equivalence = "final"
    accept_source_violations: Collection[str] = ()
    workers: int | None = None
    engine: EngineName = "local"
    spark_master: str | None = None
    active: Active | None = None
    progress: Progress = SILENT

    def chosen_engine(self) -> Engine:
        """Return what is to work; raises UsageError where the call contradicts itself."""
        return chosen_engine(self.engine, workers=self.workers, spark_master=self.spark_master)


class Outputs(Struct, frozen=True):
    """What an assessment is asked to produce besides its report."""

    digests: bool = False
    events: RowWriter[Event] | None = None
    positions: RowWriter[PositionRow] | None = None
    snapshots: RowWriter[Snapshot] | None = None


class Assessment(Struct, frozen=True):
    """The report of a preflight, with what a dry run records beside it."""

    report: Preflight
    source_events: int
    migrated_events: int
    source: Bundle | None
    target: Bundle | None
    digests: Digests
    active: Active | None = None


def assess(call: Call, outputs: Outputs) -> Assessment:
    """Run every check of a preflight.

    Raises UsageError for a call that contradicts itself, InputError for an input that cannot be
    decoded and WorkError where the work could not be done.
    """
    _require_call(call)
    engine = call.chosen_engine()
    if isinstance(call.events, StoreSource):
        # Digests are asked for where heads are recorded with them.
        with opened_with(engine, call.events, call.tenants, settled=outputs.digests, progress=call.progress) as history:
            assert isinstance(history, StoredHistory)
            return _assess(_informed(call, history), outputs)
    return _assess(call, outputs)


def _require_call(call: Call) -> None:
    require_digest(call.expected_hash)
    require_migration(call.migration)
    require_view(call.now, call.actor)
    require_equivalence(call.equivalence)
    require_names(call.tenants)
    require_names(call.accept_source_violations, "accept_source_violations")


def _informed(call: Call, history: StoredHistory) -> Call:
    """Take the history, and the bundle that wrote it, from the store."""
    bundle = history.bundle()
    active = Active(bundle.digest, history.tenants)
    return replace(call, source=bundle if call.source is None else call.source, events=history, active=active)


def _assess(call: Call, outputs: Outputs) -> Assessment:
    documents = check_documents(call.source, call.target, call.migration, call.active)
    require_constraints(documents.source, call.accept_source_violations)
    with _opened(call) as history:
        verdict, digests = _run(_plan(documents, call, history), documents, history, call, outputs)
    require_tenants(call.tenants, digests.tenants)
    integrity = check_integrity(verdict.integrity, digests.given, call.expected_hash)
    verify = _verify(documents, verdict, call)
    checks = Checks(
        **documents.checks,
        history_integrity=integrity,
        replay_verification=_replay_check(verify, verdict),
    )
    report = Preflight(
        ok=all(
            check.ok for check in (*documents.checks.values(), checks.history_integrity, checks.replay_verification)
        ),
        migration_id=call.migration,
        checks=checks,
        reversibility=_reversibility(documents, verdict),
        accepted_source_violations=sorted(set(call.accept_source_violations)) or UNSET,
        verify=UNSET if verify is None else verify,
    )
    return Assessment(
        report, verdict.source_events, verdict.target.events, documents.source, documents.target, digests, call.active
    )


def _opened(call: Call) -> AbstractContextManager[History | SparkHistory]:
    """Read the history that is named, or take the one that is given."""
    if isinstance(call.events, History):
        return nullcontext(call.events)
    return opened_with(call.chosen_engine(), call.events, call.tenants, progress=call.progress)


def _plan(documents: Documents, call: Call, history: History | SparkHistory) -> Plan | None:
    """Compile what can be run: the migration, else the source's own judgement, else nothing."""
    now = history.latest_ts if call.now is None else call.now
    if documents.source is None:
        return None
    if documents.target is None or documents.migration is None:
        return compile_judgement(documents.source, now=now, actor=call.actor)
    plan = compile_plan(documents.source, documents.target, documents.migration, now=now, actor=call.actor)
    return replace(plan, every_event=call.equivalence == "every-event")


def _run(
    plan: Plan | None, documents: Documents, history: History | SparkHistory, call: Call, outputs: Outputs
) -> tuple[Verdict, Digests]:
    chosen = replace(
        plan or NOTHING,
        digests=outputs.digests or call.expected_hash is not None,
        migrated=outputs.events is not None and documents.migration is not None,
        positions=outputs.positions is not None and documents.migration is not None,
        snapshots=outputs.snapshots is not None and documents.migration is not None,
    )
    writers = (outputs.events, outputs.positions, outputs.snapshots)
    return migrate_shared(chosen, history, *writers, workers=call.chosen_engine().workers)


def _verify(documents: Documents, verdict: Verdict, call: Call) -> Verify | None:
    if documents.source is None or documents.target is None or documents.migration is None:
        return None
    return verification(
        documents.source,
        documents.target,
        documents.migration,
        verdict,
        gate=call.equivalence,
        accepted=frozenset(call.accept_source_violations),
    )


def _replay_check(verify: Verify | None, verdict: Verdict) -> Check:
    if verify is None:
        return skipped("needs two valid bundles and a migration")
    if verdict.broken_streams:
        one = verdict.broken_streams == 1
        detail = f"{verdict.broken_streams} {'stream is' if one else 'streams are'} not intact and not replayed"
        return Check(ok=False, detail=detail if verify.error is UNSET else f"{detail}; {verify.error}")
    if verify.ok:
        return Check(ok=True)
    return Check(ok=False, detail=verify.error)


def _reversibility(documents: Documents, verdict: Verdict) -> ReversibilityReport | UnsetType:
    """Tell whether there will be a way back: what the migration says, and what its inverse does to this history."""
    if documents.migration is None:
        return UNSET
    found = reversibility(documents.migration, documents.source)
    reasons, lost = list(found.reasons), verdict.not_restored
    if lost.count:
        reasons.append(f"the inverse does not restore {counted(lost.count, 'event')}, the first: {lost.examples[0][1]}")
    return ReversibilityReport(reversible=not reasons, method=found.method, reasons=reasons)
