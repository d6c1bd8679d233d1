"""What a summary says of checks: each with its mark, then why, then the notes beside them.

Lists are cut short and say so: the report on standard output holds them whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import UNSET
from rich.console import RenderableType

from cicsc.report.divergence import divergence
from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Mark, Marked, headline, plain
from cicsc.report.models import (
    Check,
    Checks,
    FindingReport,
    IntegrityCheck,
    Preflight,
    ProblemReport,
    SideVerify,
    Verify,
)
from cicsc.report.printable import counted, shortened

LISTED_MAX: Final = 3
"""Problems, findings and violations shown of each kind."""

_LISTED_CHARACTERS_MAX: Final = 400
"""Characters of a problem or finding shown; one malformed event can lack all its fields."""

_PLACE_BEGINNING: Final = 120
_PLACE_END: Final = 60
"""Characters of the two ends of a long place that are shown; what is wrong there is to be seen, too."""

_UNCOMPARED_MAX: Final = 8
"""Fields shown that no equivalence covers; an operator is to see what was not proved."""


def assessment(report: Preflight, call: Invocation, yes: str) -> Iterator[RenderableType]:
    """Give the verdict, every check with its reasons, and the smallest example."""
    checks = {name: getattr(report.checks, name) for name in Checks.__struct_fields__}
    verify = None if report.verify is UNSET else report.verify
    yield headline(f"migration {report.migration_id}", *_verdict(report, checks, yes))
    if verify is not None:
        yield from _counts(verify, report.checks.history_integrity, call)
    yield plain()
    for name, check in checks.items():
        if name == "replay_verification" and verify is not None:
            yield from _replay(name, check, verify)
        else:
            yield from checked(name, check)
    yield from _notes(report)
    if verify is not None and verify.equivalence.example is not UNSET:
        yield from divergence(verify.equivalence, verify.equivalence.example)


def checked(name: str, check: Check) -> Iterator[RenderableType]:
    """Give one check: its mark, why it failed or was skipped, and the first of what it found."""
    mark: Mark = "ok" if check.ok else "skipped" if check.skipped else "FAILED"
    yield Marked(mark, name)
    if check.detail is not UNSET and check.problems is UNSET:  # it repeats the first problem
        yield Detail(check.detail)
    if check.problems is not UNSET:
        total = len(check.problems) if check.problems_total is UNSET else check.problems_total
        yield from listed(map(problem_text, check.problems), total)
    if isinstance(check, IntegrityCheck) and check.findings is not UNSET:
        total = len(check.findings) if check.counts is UNSET else sum(check.counts.values())
        yield from listed(map(_finding_text, check.findings), total)
    if check.warnings is not UNSET:
        yield from listed(check.warnings, len(check.warnings))


def listed(texts: Iterable[str], total: int, most: int = LISTED_MAX, *, deep: bool = True) -> Iterator[RenderableType]:
    """List the first few, and say how many more there are."""
    shown = 0
    for text in texts:
        if shown == most:
            break
        yield Detail(shortened(text, _LISTED_CHARACTERS_MAX), bullet=True, deep=deep)
        shown += 1
    if total > shown:
        yield Detail(f"and {total - shown:,} more", bullet=True, deep=deep)


def violations(report: SideVerify, side: str = "") -> Iterator[RenderableType]:
    """Count the violations of one side by constraint, and list the first."""
    if report.violations_total == 0:
        return
    by_constraint = {} if report.violations_by_constraint is UNSET else report.violations_by_constraint
    counts = ", ".join(f"{name}: {count:,}" for name, count in by_constraint.items())
    yield Detail(f"{side}{counted(report.violations_total, 'violation')} ({counts})")
    messages = (f"accepted: {item.message}" if item.accepted else item.message for item in report.violations)
    yield from listed(messages, report.violations_total)


def nothing_there(events: int, check: IntegrityCheck, call: Invocation) -> Iterator[RenderableType]:
    """Say so when there was nothing to check: a yes to no events proves nothing."""
    malformed = check.counts is not UNSET and "MALFORMED_EVENT" in check.counts
    if events == 0 and not malformed:
        chosen = " for the chosen tenants" if call.value("--tenant") is not None else ""
        yield Marked("note", f"the history has no events{chosen}, so nothing was replayed")


def problem_text(problem: ProblemReport) -> str:
    """Write a problem in one line, its place first."""
    return _placed(problem.path, problem.message)


def _finding_text(finding: Mapping[str, object]) -> str:
    where = finding.where if isinstance(finding, FindingReport) else None
    message = str(finding.get("message", finding))
    return message if where is None else _placed(where, message)


def _placed(place: str, message: str) -> str:
    """Put a place before a message; one that is very long gives way in its middle."""
    long = len(place) > _PLACE_BEGINNING + _PLACE_END
    return f"{place[:_PLACE_BEGINNING]}...{place[-_PLACE_END:]}: {message}" if long else f"{place}: {message}"


def _counts(verify: Verify, integrity: IntegrityCheck, call: Invocation) -> Iterator[RenderableType]:
    before = _size(verify.source_events, verify.source_verify)
    after = _size(verify.migrated_events, verify.target_verify)
    yield plain(f"version {verify.from_version} ({before}) to version {verify.to_version} ({after})")
    yield from nothing_there(verify.source_events, integrity, call)


def _size(events: int, side: SideVerify) -> str:
    return f"{counted(events, 'event')}, {counted(side.entities_count, 'entity', 'entities')}"


def _verdict(report: Preflight, checks: Mapping[str, Check], yes: str) -> tuple[str, Mark]:
    if not report.ok:
        failed = sum(not check.ok and not check.skipped for check in checks.values())
        return f"refused: {failed} of {len(checks)} checks failed", "FAILED"
    if report.verify is not UNSET and report.verify.source_events == 0:
        return "nothing is wrong, but nothing was checked either", "note"
    return yes, "ok"


def _replay(name: str, check: Check, verify: Verify) -> Iterator[RenderableType]:
    """Give the check of the replay: why it failed, and which constraints are violated on which side."""
    violated = verify.source_verify.violations_total + verify.target_verify.violations_total
    repeated = violated > 0 and check.detail == verify.error
    yield from checked(name, msgspec.structs.replace(check, detail=UNSET) if repeated else check)
    yield from violations(verify.source_verify, "source history: ")
    yield from violations(verify.target_verify, "target history: ")


def _notes(report: Preflight) -> Iterator[RenderableType]:
    """Tell what an operator should know beside the checks: what was accepted, and whether there is a way back."""
    if report.accepted_source_violations is not UNSET:
        yield Marked("note", f"accepted by name: {', '.join(report.accepted_source_violations)}")
    if report.verify is not UNSET and report.verify.fan_out_unmatched is not UNSET:
        for entity_type, counts in report.verify.fan_out_unmatched.items():
            for event_type, count in counts.items():
                yield Marked("note", f"{counted(count, event_type + ' event')} of {entity_type} fan out to nothing")
    if report.verify is not UNSET and report.verify.equivalence.unconstrained:
        fields = report.verify.equivalence.unconstrained
        yield Marked("note", "not compared, because nothing relates them:")
        yield from listed(fields, len(fields), _UNCOMPARED_MAX)
    if report.reversibility is not UNSET:
        way_back = report.reversibility
        if way_back.reversible:
            yield Marked("note", f"can be rolled back ({way_back.method})")
        else:
            yield Marked("note", "cannot be rolled back:")
            yield from listed(way_back.reasons, len(way_back.reasons))
