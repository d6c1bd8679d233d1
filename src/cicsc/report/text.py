"""The summaries that people read: verdict first, then why, then what to do next.

One function for each report; what they say is decided in the reports, how it looks in `layout`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET
from rich.console import Group, RenderableType

from cicsc.errors import CicscError
from cicsc.report.assessment import assessment, checked, listed, nothing_there, problem_text, violations
from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Marked, headline, next_step, plain
from cicsc.report.models import BundleVerify, DryRun, HistoryVerify, Preflight, Rollback
from cicsc.report.next_steps import after_dry_run, after_history, after_preflight, after_unsafe
from cicsc.report.printable import counted

_BUNDLE_PROBLEMS_MAX = 12
"""Problems of a bundle shown; `bundle-validate` is about nothing else, so it shows more than the checks do."""


_OBSTACLES_MAX = 20
"""Obstacles of a rollback shown."""


def preflight_summary(report: Preflight, call: Invocation) -> RenderableType:
    """Summarize a preflight."""
    return Group(*assessment(report, call, "safe to cut over"), *after_preflight(report, call))


def dry_run_summary(report: DryRun, call: Invocation) -> RenderableType:
    """Summarize a dry run."""
    return Group(
        *assessment(report.artifact.preflight, call, "dry run passed, safe to cut over"),
        *_written(report, call),
        *after_dry_run(report, call),
    )


def rollback_summary(report: Rollback, call: Invocation) -> RenderableType:
    """Summarize a rollback."""
    return Group(*_rollback(report, call))


def history_summary(report: HistoryVerify, call: Invocation) -> RenderableType:
    """Summarize the verification of a history."""
    return Group(*_history(report, call))


def bundles_summary(found: Sequence[tuple[str, BundleVerify | CicscError]]) -> RenderableType:
    """Summarize the validation of bundles."""
    return Group(*(line for path, result in found for line in _bundle(path, result)))


def replay_summary(count: int) -> RenderableType:
    """Summarize a replay that went to its end."""
    return headline("replay", f"complete, {counted(count, 'snapshot')}", "ok")


def _written(report: DryRun, call: Invocation) -> Iterator[RenderableType]:
    artifact = report.artifact
    yield plain()
    if artifact.source_digest is not None:
        yield plain(f"digest before  {artifact.source_digest}")
    if artifact.migrated_digest is not None:
        yield plain(f"digest after   {artifact.migrated_digest}")
    if report.artifact_path is not UNSET:
        yield plain(f"artifact       {report.artifact_path}")
    for flag, name in (("--out-events", "events"), ("--out-positions", "positions")):
        path = call.value(flag)
        if path is not None:
            yield plain(f"{name:13}  {path if report.ok else 'not written'}")


def _rollback(report: Rollback, call: Invocation) -> Iterator[RenderableType]:
    path = call.value("--out-events")
    if not report.ok:
        reasons = [] if report.reasons is UNSET else report.reasons
        yield headline(f"rollback of {report.migration_id}", f"refused, {counted(len(reasons), 'obstacle')}", "FAILED")
        yield plain()
        yield from listed(reasons, len(reasons), _OBSTACLES_MAX, deep=False)
        yield from after_unsafe(report)
        return
    done = "safe, nothing was written yet" if path is None else "done"
    yield headline(f"rollback of {report.migration_id}", done, "ok")
    yield plain(f"{counted(report.rolled_back_events, 'event')} taken back ({report.method})")
    if not report.source_checked:
        yield Marked("note", "not replayed: the bundle before the migration was not given with --from")
    if path is None:
        yield from next_step("write the history", call.plus("--out-events", "events.rolledback.jsonl"))
    else:
        yield plain(f"written to {path}")
        command = call.then("history-verify", "--from").renamed("--from", "--bundle").plus("--events", path)
        yield from next_step("verify what was written, then load it", command)


def _history(report: HistoryVerify, call: Invocation) -> Iterator[RenderableType]:
    yield headline("history", _history_verdict(report), "ok" if report.ok else "FAILED")
    size = (counted(report.events, "event"), counted(report.streams, "stream"), counted(report.tenants, "tenant"))
    yield plain(f"{size[0]} in {size[1]} of {size[2]}")
    if report.digest is not None:
        yield plain(f"digest {report.digest}")
    yield from nothing_there(report.events, report.history_integrity, call)
    yield plain()
    yield from checked("history_integrity", report.history_integrity)
    if report.bundle_valid is not UNSET:
        yield from checked("bundle_valid", report.bundle_valid)
    if report.verify is not UNSET:
        yield Marked("ok" if report.verify.ok else "FAILED", "replay and constraints")
        yield from violations(report.verify)
    yield from after_history(report, call)


def _history_verdict(report: HistoryVerify) -> str:
    if not report.history_integrity.ok:
        counts = report.history_integrity.counts
        other = counts is not UNSET and counts.keys() == {"HASH_MISMATCH"}
        return "intact, but not the one that was expected" if other else "not intact"
    if report.bundle_valid is not UNSET and not report.bundle_valid.ok:
        return "intact, but its bundle is not valid"
    return "intact" if report.ok else "intact, but its bundle does not accept it"


def _bundle(path: str, result: BundleVerify | CicscError) -> Iterator[RenderableType]:
    if isinstance(result, CicscError):
        yield headline(f"bundle {path}", "cannot be read", "FAILED")
        yield Detail(result.message, deep=False)
        if result.hint is not None:
            yield Detail(f"hint: {result.hint}", deep=False)
        return
    warned = 0 if result.warnings_total is UNSET else result.warnings_total
    verdict = f"valid, {counted(warned, 'warning')}" if warned else "valid"
    if not result.ok:
        verdict = counted(result.problems_total, "problem")
    yield headline(f"bundle {path}", verdict, "FAILED" if not result.ok else "note" if warned else "ok")
    yield from listed(map(problem_text, result.problems), result.problems_total, _BUNDLE_PROBLEMS_MAX, deep=False)
    if result.warnings is not UNSET:
        yield from listed(map(problem_text, result.warnings), warned, _BUNDLE_PROBLEMS_MAX, deep=False)
