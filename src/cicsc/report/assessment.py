"""What a summary says of checks: each with its mark, then why, then the notes beside them.

Lists are cut short and say so: the report on standard output holds them whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import UNSET
from rich.console import RenderableType

from cicsc.report.divergence import divergence
from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Mark, Marked, headline, plain
from cicsc.report.models import Check, Checks, IntegrityCheck, Preflight, ProblemReport, SideVerify, Verify

LISTED_MAX: Final = 3
"""Problems, findings and violations shown of each kind."""


def assessment(report: Preflight, call: Invocation, yes: str) -> Iterator[RenderableType]:
    """Give the verdict, every check with its reasons, and the smallest example."""
    checks = {name: getattr(report.checks, name) for name in Checks.__struct_fields__}
    failed = sum(not check.ok and not check.skipped for check in checks.values())
    verdict = yes if report.ok else f"refused: {failed} of {len(checks)} checks failed"
    yield headline(f"migration {report.migration_id}", verdict, ok=report.ok)
    verify = None if report.verify is UNSET else report.verify
    if verify is not None:
        yield from _counts(verify, call)
    yield plain()
    for name, check in checks.items():
        yield from checked(name, check)
        if name == "replay_verification" and verify is not None:
            yield from _sides(verify, check)
    yield from _notes(report)
    if verify is not None and verify.equivalence.example is not UNSET:
        yield from divergence(verify.equivalence, verify.equivalence.example)


def checked(name: str, check: Check) -> Iterator[RenderableType]:
    """Give one check: its mark, why it failed or was skipped, and the first of what it found."""
    mark: Mark = "ok" if check.ok else "skipped" if check.skipped else "FAILED"
    yield Marked(mark, name)
    if check.detail is not UNSET:
        yield Detail(check.detail)
    if check.problems is not UNSET:
        total = len(check.problems) if check.problems_total is UNSET else check.problems_total
        yield from listed(map(problem_text, check.problems), total)
    if isinstance(check, IntegrityCheck) and check.findings is not UNSET:
        total = len(check.findings) if check.counts is UNSET else sum(check.counts.values())
        yield from listed((str(finding.get("message", finding)) for finding in check.findings), total)
    if check.warnings is not UNSET:
        yield from listed(check.warnings, len(check.warnings))


def listed(texts: Iterable[str], total: int, most: int = LISTED_MAX) -> Iterator[RenderableType]:
    """List the first few, and say how many more there are."""
    shown = 0
    for text in texts:
        if shown == most:
            break
        yield Detail(text, bullet=True)
        shown += 1
    if total > shown:
        yield Detail(f"and {total - shown:,} more", bullet=True)


def violations(side: str, report: SideVerify, named: str = "") -> Iterator[RenderableType]:
    """Count the violations of one side by constraint, and list the first but those that `named` holds already."""
    if report.violations_total == 0:
        return
    by_constraint = {} if report.violations_by_constraint is UNSET else report.violations_by_constraint
    counts = ", ".join(f"{name}: {count:,}" for name, count in by_constraint.items())
    yield Detail(f"{side}{report.violations_total:,} violations ({counts})")
    others = [
        _violation(item.message, accepted=item.accepted) for item in report.violations if item.message not in named
    ]
    already = len(report.violations) - len(others)
    yield from listed(others, report.violations_total - already)


def nothing_there(events: int, call: Invocation) -> Iterator[RenderableType]:
    """Say so when there was nothing to check: a yes to no events proves nothing."""
    if events == 0:
        chosen = " for the chosen tenants" if call.value("--tenant") is not None else ""
        yield Marked("note", f"the history has no events{chosen}, so nothing was replayed")


def problem_text(problem: ProblemReport) -> str:
    """Write a problem in one line, its place first."""
    return f"{problem.path}: {problem.message}"


def _counts(verify: Verify, call: Invocation) -> Iterator[RenderableType]:
    before, after = verify.source_verify, verify.target_verify
    yield plain(
        f"version {verify.from_version} to {verify.to_version}: {verify.source_events:,} events of"
        f" {before.entities_count:,} entities become {verify.migrated_events:,} of {after.entities_count:,}"
    )
    yield from nothing_there(verify.source_events, call)


def _sides(verify: Verify, check: Check) -> Iterator[RenderableType]:
    """Say which constraints are violated on which side, with the first places beside the one already named."""
    named = "" if check.detail is UNSET else check.detail
    for side, report in (("source", verify.source_verify), ("target", verify.target_verify)):
        yield from violations(f"{side} history: ", report, named)


def _violation(message: str, *, accepted: bool) -> str:
    return f"accepted: {message}" if accepted else message


def _notes(report: Preflight) -> Iterator[RenderableType]:
    """Tell what an operator should know beside the checks: what was accepted, and whether there is a way back."""
    if report.accepted_source_violations is not UNSET:
        yield Marked("note", f"accepted by name: {', '.join(report.accepted_source_violations)}")
    if report.verify is not UNSET and report.verify.fan_out_unmatched is not UNSET:
        for entity_type, counts in report.verify.fan_out_unmatched.items():
            for event_type, count in counts.items():
                yield Marked("note", f"{count:,} {event_type} events of {entity_type} fan out to nothing")
    if report.verify is not UNSET and report.verify.equivalence.unconstrained:
        fields = report.verify.equivalence.unconstrained
        yield Marked("note", "not compared, because nothing relates them:")
        yield from listed(fields, len(fields))
    if report.reversibility is not UNSET:
        way_back = report.reversibility
        if way_back.reversible:
            yield Marked("note", f"can be rolled back ({way_back.method})")
        else:
            yield Marked("note", "cannot be rolled back:")
            yield from listed(way_back.reasons, len(way_back.reasons))
