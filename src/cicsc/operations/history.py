"""Looking at a history and at a bundle: is it intact, and does its bundle accept it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.structs import replace

from cicsc.engine.choice import chosen_engine, worker_count
from cicsc.engine.workers import migrate_shared
from cicsc.operations.arguments import require_view
from cicsc.operations.documents import checked_bundle, reported
from cicsc.operations.integrity import check_integrity
from cicsc.operations.sources import require_digest, require_tenants
from cicsc.operations.stored import StoredHistory, opened_with
from cicsc.operations.verification import side_verification
from cicsc.progress import SILENT, Progress
from cicsc.report.models import BundleVerify, HistoryVerify

if TYPE_CHECKING:
    from collections.abc import Collection

    from cicsc.bundle.model import Bundle
    from cicsc.engine.choice import EngineName
    from cicsc.operations.sources import BundleSource, HistorySource
    from cicsc.report.models import ProblemReport


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
    unless another is given. A history that is not intact is a report with ok false. Raises UsageError for a call that
    contradicts itself, InputError for an input that cannot be decoded, StoreError for a store that cannot be used and
    WorkError where the work could not be done.
    """
    require_digest(expected_hash)
    require_view(now, actor)
    chosen = chosen_engine(engine, workers=workers, spark_master=spark_master)
    loaded, bundle_check = (None, None) if bundle is None else checked_bundle(bundle)
    with opened_with(chosen, events, tenants, progress=progress) as history:
        if bundle is None and isinstance(history, StoredHistory):
            loaded, bundle_check = checked_bundle(history.bundle())
        from cicsc.migration.plan import NOTHING, compile_judgement  # noqa: PLC0415 (loaded while others read)

        moment = history.latest_ts if now is None else now
        plan = NOTHING if loaded is None else compile_judgement(loaded, now=moment, actor=actor)
        # Asked anew, since what reading has loaded may have threads.
        verdict, digests = migrate_shared(replace(plan, digests=True), history, workers=worker_count(workers))
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


def validate_bundle(bundle: BundleSource) -> BundleVerify:
    """Validate a bundle and report every problem, or else every warning, up to a cap, with its JSON path.

    Warnings are of what is valid but likely a slip, such as a name that is read and nowhere declared, and of
    migrations that their target refuses already, whatever the source is. Raises InputError for a file that cannot be
    decoded.
    """
    loaded, check = checked_bundle(bundle)
    problems = [] if check.problems is UNSET else check.problems
    total = 0 if check.problems_total is UNSET else check.problems_total
    warned, warned_total = ([], 0) if loaded is None else _warned(loaded)
    return BundleVerify(
        ok=check.ok,
        digest=None if loaded is None else loaded.digest,
        problems=problems,
        problems_total=total,
        warnings=warned or UNSET,
        warnings_total=warned_total or UNSET,
    )


def _warned(bundle: Bundle) -> tuple[list[ProblemReport], int]:
    """Return what a valid bundle is warned of, up to the cap, and how much; what will be refused comes first."""
    from cicsc.migration.totality import target_faults  # noqa: PLC0415 (start-up: a history has no bundle to warn of)

    faults = target_faults(bundle)
    return reported([*faults, *bundle.warnings]), len(faults) + bundle.warnings.total
