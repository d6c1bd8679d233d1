"""From findings about events to the integrity check of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.history.integrity import hash_mismatch
from cicsc.report.models import FindingReport, IntegrityCheck

if TYPE_CHECKING:
    from cicsc.history.integrity import Finding, FindingsTally


def check_integrity(tally: FindingsTally, digest: str | None, expected_hash: str | None) -> IntegrityCheck:
    """Report the integrity of a history; `digest` is held against `expected_hash` where one is expected."""
    if expected_hash is not None and digest is not None and digest != expected_hash.lower():
        tally.include(hash_mismatch(expected_hash, digest))
    if tally.total == 0:
        return IntegrityCheck(ok=True)
    counts = dict(sorted(tally.counts.items()))
    summary = ", ".join(f"{count} {code}" for code, count in counts.items())
    return IntegrityCheck(
        ok=False,
        detail=f"the history is not intact: {summary}",
        findings=list(map(_report, tally.findings)),
        counts=counts,
    )


def _report(finding: Finding) -> FindingReport:
    """Return a finding; its place in the file, which says nothing about the history, is none of its fields."""
    fields: dict[str, object] = {
        "code": finding.code,
        "message": finding.message,
        "tenant_id": finding.tenant_id,
        "entity_type": finding.entity_type,
        "entity_id": finding.entity_id,
        "seq": finding.seq,
    }
    return FindingReport({name: value for name, value in fields.items() if value is not None}, where=finding.where)
