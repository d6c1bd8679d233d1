"""Rollback, chapter 4 of the runbook: a migrated history is taken back, or every obstacle is named.

Nothing is written unless the whole history goes back and, migrated forward again, is the history
that was given. The input is never overwritten.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import UNSET, UnsetType

from cicsc.bundle.load import load_bundle
from cicsc.engine.inprocess import undo_history
from cicsc.errors import and_more
from cicsc.history.names import wanted_names
from cicsc.history.output import event_writer
from cicsc.history.sorted import open_history
from cicsc.migration.inverse import reversibility
from cicsc.migration.totality import inverse_warnings, version_faults
from cicsc.migration.undo import compile_undo
from cicsc.operations.arguments import require_migration
from cicsc.operations.documents import missing_migration
from cicsc.operations.integrity import check_integrity
from cicsc.operations.sources import Discard, guard_outputs, require_digest, require_tenants
from cicsc.progress import SILENT, Amount, Progress
from cicsc.report.models import Rollback
from cicsc.report.printable import counted

NO_INVERSE: Final = (
    "nothing was written; keep the migrated history: dropped events, fan-outs and mappings that are not one to one "
    "have no inverse"
)
"""What to do where nothing takes the migration back."""

_OTHER_VERSIONS: Final = (
    "nothing was written; give the bundle that the migration leads to with --to, and the one before it with --from"
)
"""What to do where a bundle is of another version than the migration says."""

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from cicsc.bundle.model import Bundle, Migration
    from cicsc.migration.inverse import Method, Reversibility
    from cicsc.migration.undo import UndoVerdict
    from cicsc.operations.sources import BundleSource, EventSource


def rollback(
    target: BundleSource,
    events: EventSource,
    migration: str,
    *,
    source: BundleSource | None = None,
    out_events: str | Path | None = None,
    tenants: Collection[str] = (),
    expected_hash: str | None = None,
    progress: Progress = SILENT,
) -> Rollback:
    """Take the migrated history `events` back to the version before `migration`.

    `target` holds the migration. With `source`, the bundle of the version before, it is known which
    event types keep their name and what replays; without it the report says source_checked false.
    `out_events` is where the history goes; without it the way back is only checked. An unsafe
    rollback is a report with ok false and every reason. Raises UsageError, InputError and WorkError
    as `preflight` does, and BundleError for a bundle that is not valid.
    """
    require_migration(migration)
    require_digest(expected_hash)
    path = None if out_events is None else Path(out_events)
    guard_outputs({"--from": source, "--to": target, "--events": events}, {"--out-events": path})
    after = load_bundle(target)
    before = None if source is None else load_bundle(source)
    found = after.migrations.get(migration)
    if found is None:
        reason = missing_migration(before, after, migration)
        return _refused(migration, before, [reason], hint="name a migration of the --to bundle in --migration")
    return _roll_back(found, before, after, events, path, wanted_names(tenants), expected_hash, progress)


def _roll_back(
    migration: Migration,
    source: Bundle | None,
    target: Bundle,
    events: EventSource,
    path: Path | None,
    tenants: frozenset[str] | None,
    expected_hash: str | None,
    progress: Progress,
) -> Rollback:
    faults = [*version_faults(source, target, migration)]
    obstacles = reversibility(migration, source)
    with suppress(Discard), ExitStack() as stack:
        history = stack.enter_context(open_history(events, tenants=tenants, progress=progress))
        writer = None if path is None else stack.enter_context(event_writer(path))
        plan = compile_undo(migration, source, only_inspect=not obstacles.reversible)
        verdict, digests = undo_history(plan, history, writer)
        require_tenants(tenants or (), digests.tenants)
        integrity = check_integrity(verdict.integrity, digests.given, expected_hash)
        not_intact = [] if integrity.ok else [str(integrity.detail)]
        reasons = [*faults, *obstacles.reasons, *history_obstacles(verdict), *not_intact]
        if reasons:
            raise Discard
        progress.begin("writing", Amount())
    if reasons:
        misnamed = misnamed_inverse(source, target, migration)
        hint = _OTHER_VERSIONS if faults else _hint(obstacles, verdict, misnamed, is_intact=integrity.ok)
        return _refused(migration.id, source, reasons, method=obstacles.method, hint=hint)
    return Rollback(
        ok=True,
        migration_id=migration.id,
        rolled_back_events=verdict.events,
        source_checked=source is not None,
        method=obstacles.method,
        source_digest=digests.given,
        rolled_back_digest=digests.made,
    )


def history_obstacles(verdict: UndoVerdict) -> Iterator[str]:
    """Name what in the actual history stands in the way."""
    for (entity_type, event_type), count in sorted(verdict.no_way_back.items()):
        have = "1 event has" if count == 1 else f"{count:,} events have"
        yield f"no source event type for {event_type!r} of entity type {entity_type!r}: {have} no way back"
    for (entity_type, event_type), count in sorted(verdict.not_replayable.items()):
        name = f"event type {event_type!r} of entity type {entity_type!r}"
        yield f"{name} has no reducer in the source bundle: {counted(count, 'event')}"
    if verdict.not_restored.count:
        first = verdict.not_restored.examples[0][1]
        yield f"the round trip does not restore {counted(verdict.not_restored.count, 'event')}, the first: {first}"


def _hint(obstacles: Reversibility, verdict: UndoVerdict, misnamed: str | None, *, is_intact: bool) -> str:
    """Say what can be done: about the migration first, then about the history."""
    if misnamed is not None:
        return f"nothing was written; keep the migrated history, or correct the inverse: {misnamed}"
    if not obstacles.declarable:
        return NO_INVERSE
    if not obstacles.reversible:
        return "nothing was written; keep the migrated history, or declare an inverse in the migration"
    if not is_intact:
        return "nothing was written; history-verify shows what is wrong with the history"
    if obstacles.method == "declared" and not (verdict.no_way_back or verdict.not_replayable):
        return "nothing was written; keep the migrated history, or correct the inverse that the migration declares"
    return (
        "nothing was written; see whether --events is what this migration made, and --from the bundle before it; "
        "what only the new version knows has no way back"
    )


def misnamed_inverse(source: Bundle | None, target: Bundle, migration: Migration) -> str | None:
    """Tell what a declared inverse names though it is not there; None where there is nothing of the kind."""
    found = list(inverse_warnings(source, target, migration))
    return f"{found[0].message}{and_more(len(found))}" if found else None


def _refused(
    migration_id: str,
    source: Bundle | None,
    reasons: list[str],
    *,
    method: Method | UnsetType = UNSET,
    hint: str,
) -> Rollback:
    more = and_more(len(reasons))
    error: dict[str, object] = {
        "code": "ROLLBACK_UNSAFE",
        "message": f"cannot roll back {migration_id!r}: {reasons[0]}{more}",
        "hint": hint,
    }
    return Rollback(
        ok=False,
        migration_id=migration_id,
        rolled_back_events=0,
        source_checked=source is not None,
        method=method,
        error=error,
        reasons=reasons,
    )
