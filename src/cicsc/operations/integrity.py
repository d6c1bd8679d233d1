"""From findings about events to the integrity check of a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.history.integrity import Finding
from cicsc.report.models import IntegrityCheck

if TYPE_CHECKING:
    from cicsc.history.integrity import FindingsTally


def check_integrity(tally: FindingsTally, digest: str | None, expected_hash: str | None) -> IntegrityCheck:
    """Report the integrity of a history; `digest` is held against `expected_hash` where one is expected."""
    if expected_hash is not None and digest is not None and digest != expected_hash.lower():
        message = f"expected the history digest {expected_hash}, found {digest}"
        tally.add(Finding("HASH_MISMATCH", message))
    if tally.total == 0:
        return IntegrityCheck(ok=True)
    listed = [finding.report() for finding in tally.findings]
    counts = dict(sorted(tally.counts.items()))
    summary = ", ".join(f"{count} {code}" for code, count in counts.items())
    return IntegrityCheck(ok=False, detail=f"the history is not intact: {summary}", findings=listed, counts=counts)
