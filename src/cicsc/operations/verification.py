"""From a verdict to the verification report: what each side's bundle says, and whether they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET, UnsetType

from cicsc.migration.relation import unconstrained_fields
from cicsc.migration.verdict import REPLAY
from cicsc.report.models import DivergenceReport, Equivalence, Sample, SideVerify, Verify, ViolationReport

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from typing import Literal

    from cicsc.bundle.model import Bundle, Migration
    from cicsc.migration.verdict import Divergence, DivergenceVerdict, SideVerdict, Verdict, Violation


def verification(
    source: Bundle,
    target: Bundle,
    migration: Migration,
    verdict: Verdict,
    *,
    gate: Literal["final", "every-event"],
    accepted: AbstractSet[str],
) -> Verify:
    """Report a verdict on a migration; `accepted` names the source's constraints whose violations are accepted."""
    before = side_verification(source, verdict.source, accepted)
    after = side_verification(target, verdict.target, frozenset())
    equivalence = _equivalence(source, target, migration, verdict, gate)
    return Verify(
        ok=before.ok and after.ok and equivalence.ok,
        migration_id=migration.id,
        from_version=migration.from_version,
        to_version=migration.to_version,
        source_events=verdict.source_events,
        migrated_events=verdict.target.events,
        source_verify=before,
        target_verify=after,
        equivalence=equivalence,
        fan_out_unmatched=_nested(verdict.unmatched) or UNSET,
        error=_first_fault(before, after, equivalence),
    )


def side_verification(bundle: Bundle, verdict: SideVerdict, accepted: AbstractSet[str]) -> SideVerify:
    """Report what one bundle says of its side of a history."""
    counts: dict[str, int] = {}
    listed: list[ViolationReport] = []
    ok = True
    for (kind, constraint_id, _), tally in sorted(verdict.violations.items()):
        is_accepted = kind != REPLAY and constraint_id in accepted
        ok = ok and is_accepted
        counts[constraint_id] = counts.get(constraint_id, 0) + tally.count
        listed.extend(_violation(violation, accepted=is_accepted) for _, violation in tally.examples)
    return SideVerify(
        ok=ok,
        types_count=len(bundle.types),
        events_count=verdict.events,
        entities_count=verdict.entities,
        constraints_count=len(bundle.constraints),
        violations=listed,
        violations_total=sum(counts.values()),
        violations_by_constraint=counts or UNSET,
    )


def _violation(violation: Violation, *, accepted: bool) -> ViolationReport:
    return ViolationReport(
        constraint_id=violation.constraint_id,
        kind=violation.kind,
        on_type=violation.on_type,
        message=violation.message,
        sample=Sample(**violation.sample),  # type: ignore[arg-type]
        accepted=accepted,
    )


def _equivalence(
    source: Bundle, target: Bundle, migration: Migration, verdict: Verdict, gate: Literal["final", "every-event"]
) -> Equivalence:
    found = verdict.divergence
    return Equivalence(
        ok=found.streams == 0,
        gate=gate,
        streams_compared=verdict.compared_streams,
        streams_diverged=found.streams,
        diverged_by_field=dict(sorted(found.by_field.items())),
        unconstrained=unconstrained_fields(source, target, migration),
        example=_example(found),
    )


def _example(found: DivergenceVerdict) -> DivergenceReport | UnsetType:
    if found.example is None:
        return UNSET
    example: Divergence = found.example
    return DivergenceReport(
        tenant_id=example.tenant_id,
        entity_type=example.entity_type,
        entity_id=example.entity_id,
        seq=example.seq,
        event_type=example.event_type,
        field=example.field,
        expected=example.expected,
        found=example.found,
        source_snapshot=dict(example.source_snapshot),
        target_snapshot=dict(example.target_snapshot),
    )


def _nested(counts: dict[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (entity_type, event_type), count in sorted(counts.items()):
        nested.setdefault(entity_type, {})[event_type] = count
    return nested


def _first_fault(before: SideVerify, after: SideVerify, equivalence: Equivalence) -> str | UnsetType:
    """Say in one sentence why the verification fails, the most telling fault first."""
    for side, report in (("source", before), ("target", after)):
        blocking = [violation for violation in report.violations if not violation.accepted]
        if blocking:
            total = _blocking_total(report)
            more = f" ({total} violations)" if total > 1 else ""
            return f"{side} history: {blocking[0].message}{more}"
    if not equivalence.ok and equivalence.example is not UNSET:
        example = equivalence.example
        stream = (example.tenant_id, example.entity_type, example.entity_id)
        where = f"stream {stream!r} diverges in {example.field} at seq {example.seq}"
        return (
            where if equivalence.streams_diverged == 1 else f"{where} ({equivalence.streams_diverged} streams diverge)"
        )
    return UNSET


def _blocking_total(report: SideVerify) -> int:
    """Count the violations of one side but for those of constraints that are accepted."""
    counts = {} if report.violations_by_constraint is UNSET else report.violations_by_constraint
    accepted = {violation.constraint_id for violation in report.violations if violation.accepted}
    return sum(count for constraint_id, count in counts.items() if constraint_id not in accepted)
