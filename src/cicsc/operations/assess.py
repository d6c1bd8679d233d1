"""Assessing a migration: every check of the preflight, in the runbook's order.

Preflight and dry run are this assessment with different outputs. A check that cannot run, because
one that it needs has failed, is reported as skipped; all that can run do.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import UNSET, UnsetType

from cicsc.bundle.load import load_bundle
from cicsc.engine.choice import Engine, EngineName, chosen_engine
from cicsc.engine.inprocess import SortedStreams
from cicsc.engine.workers import migrate_shared
from cicsc.errors import BundleError, UsageError
from cicsc.expression import suggestion
from cicsc.history.names import require_names
from cicsc.migration.inverse import reversibility
from cicsc.migration.plan import NOTHING, compile_judgement, compile_plan
from cicsc.migration.totality import holes, warnings
from cicsc.operations.arguments import Equivalence, require_equivalence, require_view
from cicsc.operations.integrity import check_integrity
from cicsc.operations.sources import StoreSource, require_digest, require_tenants
from cicsc.operations.stored import StoredHistory, named, opened_with
from cicsc.operations.verification import verification
from cicsc.progress import SILENT, Progress
from cicsc.report.models import (
    Check,
    Checks,
    Preflight,
    ProblemReport,
    ReversibilityReport,
    Verify,
)  # fmt: skip

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cicsc.bundle.model import Bundle, Migration
    from cicsc.engine.inprocess import Digests
    from cicsc.engine.spark.history import SparkHistory
    from cicsc.errors import Problem
    from cicsc.history.model import Event
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.operations.sources import BundleSource, HistorySource
    from cicsc.operations.stored import Held
    from cicsc.replay.snapshot import Snapshot

PROBLEMS_MAX = 100
"""Problems of a document listed in a report; their number is exact."""


@runtime_checkable
class History(SortedStreams, Protocol):
    """A history that is open: its streams, and the largest ts (ms) in it."""

    @property
    def latest_ts(self) -> int | None:
        """The largest ts, None where there is no event."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
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


@dataclass(frozen=True, slots=True)
class Active:
    """What is active in the store that a history comes from."""

    bundle_digest: str
    tenants: Mapping[str, Held]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What an assessment is asked to produce besides its report."""

    digests: bool = False
    events: RowWriter[Event] | None = None
    positions: RowWriter[PositionRow] | None = None
    snapshots: RowWriter[Snapshot] | None = None


@dataclass(frozen=True, slots=True)
class Assessment:
    """The report of a preflight, with what a dry run records beside it."""

    report: Preflight
    source_events: int
    migrated_events: int
    source: Bundle | None
    target: Bundle | None
    digests: Digests
    active: Active | None = None


@dataclass(slots=True)
class _Static:
    """What is known before the history is opened."""

    source: Bundle | None = None
    target: Bundle | None = None
    migration: Migration | None = None
    checks: dict[str, Check] = field(default_factory=dict)


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
    static = _check_documents(call)
    with _opened(call) as history:
        verdict, digests = _run(_plan(static, call, history), static, history, call, outputs)
    require_tenants(call.tenants, digests.tenants)
    integrity = check_integrity(verdict.integrity, digests.given, call.expected_hash)
    verify = _verify(static, verdict, call)
    checks = Checks(
        **static.checks,
        history_integrity=integrity,
        replay_verification=_replay_check(verify, verdict),
    )
    report = Preflight(
        ok=all(check.ok for check in (*static.checks.values(), checks.history_integrity, checks.replay_verification)),
        migration_id=call.migration,
        checks=checks,
        reversibility=_reversibility(static),
        accepted_source_violations=sorted(set(call.accept_source_violations)) or UNSET,
        verify=UNSET if verify is None else verify,
    )
    return Assessment(
        report, verdict.source_events, verdict.target.events, static.source, static.target, digests, call.active
    )


def _opened(call: Call) -> AbstractContextManager[History | SparkHistory]:
    """Read the history that is named, or take the one that is given."""
    if isinstance(call.events, History):
        return nullcontext(call.events)
    return opened_with(call.chosen_engine(), call.events, call.tenants, progress=call.progress)


def _check_documents(call: Call) -> _Static:
    """Run the checks that need no data."""
    static = _Static()
    static.source, static.checks["from_bundle_valid"] = _check_source(call)
    static.target, static.checks["to_bundle_valid"] = _check_bundle(call.target)
    static.checks["migration_exists"] = _check_exists(static, call.migration)
    static.checks["version_forward"] = _check_versions(static, call.active)
    static.checks["migration_total"] = _check_total(static)
    _check_accepted(static.source, call.accept_source_violations)
    return static


def _check_source(call: Call) -> tuple[Bundle | None, Check]:
    """Check the bundle before the migration; that of a store's history is the one that is active there."""
    if call.source is None:
        raise UsageError(
            "MISSING_FLAG",
            "the bundle that wrote the history is not given",
            hint="give it with --from; only a store knows by itself",
        )
    bundle, check = _check_bundle(call.source)
    if bundle is None or call.active is None or bundle.digest == call.active.bundle_digest:
        return bundle, check
    expected = f"expected the active bundle {call.active.bundle_digest} of {named(call.active.tenants)}"
    return None, Check(ok=False, detail=f"{expected}, found {bundle.digest}")


def _check_bundle(source: BundleSource) -> tuple[Bundle | None, Check]:
    try:
        return load_bundle(source), Check(ok=True)
    except BundleError as error:
        return None, problem_check(error.problems, error.total, error.message)


def problem_check(problems: Sequence[Problem], total: int, detail: str) -> Check:
    """Return a failed check that lists problems up to the cap; `total` counts them all."""
    return Check(ok=False, detail=detail, problems=reported(problems), problems_total=total)


def reported(problems: Sequence[Problem]) -> list[ProblemReport]:
    """Return the problems as a report lists them, up to the cap."""
    return [ProblemReport(path=problem.path, message=problem.message) for problem in problems[:PROBLEMS_MAX]]


def _skipped(detail: str) -> Check:
    return Check(ok=False, skipped=True, detail=detail)


def _check_exists(static: _Static, migration_id: str) -> Check:
    if static.target is None:
        return _skipped("the target bundle is not valid")
    static.migration = static.target.migrations.get(migration_id)
    if static.migration is None:
        near = suggestion(migration_id, static.target.migrations)
        return Check(ok=False, detail=f"migration {migration_id!r} is not in the target bundle{near}")
    return Check(ok=True)


def _check_versions(static: _Static, active: Active | None) -> Check:
    if static.migration is None:
        return _skipped("there is no migration to look at")
    before, after = static.migration.from_version, static.migration.to_version
    faults = [] if before < after else [f"expected from_version < to_version, found {before} and {after}"]
    for side, bundle, version in (("source", static.source, before), ("target", static.target, after)):
        if bundle is not None and bundle.version not in {None, version}:
            faults.append(f"the {side} bundle is version {bundle.version}, the migration expects {version}")
    faults.extend(_other_versions(active, before))
    return Check(ok=False, detail="; ".join(faults)) if faults else Check(ok=True)


def _other_versions(active: Active | None, expected: int) -> Iterator[str]:
    """Name the tenants of a store that are at another version than the one that the migration begins at."""
    found: dict[int, list[str]] = {}
    for tenant_id, held in () if active is None else active.tenants.items():
        found.setdefault(held.gate.active_version, []).append(tenant_id)
    for version, tenants in sorted(found.items()):
        if version != expected:
            who = "tenant" if len(tenants) == 1 else f"{len(tenants)} tenants, such as"
            yield f"the migration begins at version {expected}, {who} {named(tenants)} at version {version}"


def _check_total(static: _Static) -> Check:
    if static.source is None or static.target is None or static.migration is None:
        return _skipped("needs two valid bundles and a migration")
    found = holes(static.source, static.target, static.migration)
    noted = [problem.message for problem in warnings(static.source, static.target, static.migration)] or UNSET
    if not found:
        return Check(ok=True, warnings=noted)
    check = problem_check(found, len(found), f"the migration is not total: {found[0].message}")
    return Check(ok=False, detail=check.detail, problems=check.problems, problems_total=len(found), warnings=noted)


def _check_accepted(source: Bundle | None, accepted: Collection[str]) -> None:
    if source is None:
        return
    for constraint_id in accepted:
        if constraint_id not in source.constraints:
            near = suggestion(constraint_id, source.constraints)
            raise UsageError(
                "UNKNOWN_CONSTRAINT",
                f"cannot accept violations of {constraint_id!r}: the source bundle has no such constraint{near}",
                hint="name a constraint of the --from bundle in --accept-source-violations",
            )


def _plan(static: _Static, call: Call, history: History | SparkHistory) -> Plan | None:
    """Compile what can be run: the migration, else the source's own judgement, else nothing."""
    now = history.latest_ts if call.now is None else call.now
    if static.source is None:
        return None
    if static.target is None or static.migration is None:
        return compile_judgement(static.source, now=now, actor=call.actor)
    plan = compile_plan(static.source, static.target, static.migration, now=now, actor=call.actor)
    return replace(plan, every_event=call.equivalence == "every-event")


def _run(
    plan: Plan | None, static: _Static, history: History | SparkHistory, call: Call, outputs: Outputs
) -> tuple[Verdict, Digests]:
    chosen = replace(
        plan or NOTHING,
        digests=outputs.digests or call.expected_hash is not None,
        migrated=outputs.events is not None and static.migration is not None,
        positions=outputs.positions is not None and static.migration is not None,
        snapshots=outputs.snapshots is not None and static.migration is not None,
    )
    writers = (outputs.events, outputs.positions, outputs.snapshots)
    return migrate_shared(chosen, history, *writers, workers=call.chosen_engine().workers)


def _verify(static: _Static, verdict: Verdict, call: Call) -> Verify | None:
    if static.source is None or static.target is None or static.migration is None:
        return None
    return verification(
        static.source,
        static.target,
        static.migration,
        verdict,
        gate=call.equivalence,
        accepted=frozenset(call.accept_source_violations),
    )


def _replay_check(verify: Verify | None, verdict: Verdict) -> Check:
    if verify is None:
        return _skipped("needs two valid bundles and a migration")
    if verdict.broken_streams:
        one = verdict.broken_streams == 1
        detail = f"{verdict.broken_streams} {'stream is' if one else 'streams are'} not intact and not replayed"
        return Check(ok=False, detail=detail if verify.error is UNSET else f"{detail}; {verify.error}")
    if verify.ok:
        return Check(ok=True)
    return Check(ok=False, detail=verify.error)


def _reversibility(static: _Static) -> ReversibilityReport | UnsetType:
    if static.migration is None:
        return UNSET
    verdict = reversibility(static.migration, static.source)
    return ReversibilityReport(reversible=verdict.reversible, method=verdict.method, reasons=list(verdict.reasons))
