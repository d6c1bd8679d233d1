"""The summary of one tenant's cutover: verdict first, then what was or will be done, then what to type next."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET
from rich.console import Group, RenderableType

from cicsc.report.assessment import checked, listed
from cicsc.report.divergence import divergence
from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Mark, Marked, headline, plain
from cicsc.report.live.cutover_words import code, is_interrupted, predicted, reason, verdict
from cicsc.report.live.models import Boundaries, Cutover, RecoveryReport, StoreRollback
from cicsc.report.live.next_steps import after_cutover
from cicsc.report.models import Checks
from cicsc.report.moments import lasting, utc
from cicsc.report.printable import counted, value_text

MARKS: dict[str, Mark] = {"switched": "ok", "already": "ok", "rehearsed": "ok", "refused": "FAILED", "failed": "FAILED"}


def cutover_summary(report: Cutover, call: Invocation) -> RenderableType:
    """Summarize the cutover of one tenant."""
    return Group(*_cutover(report, call))


def mark_of(report: Cutover) -> Mark:
    """Return the mark that a report's verdict carries."""
    return "FAILED" if not report.ok else MARKS[report.outcome]


def _cutover(report: Cutover, call: Invocation) -> Iterator[RenderableType]:
    yield headline(f"cutover of tenant {value_text(report.tenant_id)}", verdict(report), mark_of(report))
    if report.outcome == "rehearsed":
        yield from _rehearsal(report, call)
    elif not report.ok:
        yield from _trouble(report)
    if report.verify is not UNSET and report.outcome == "switched":
        yield plain(
            f"{counted(report.verify.source_events, 'event')} became {counted(report.migrated_events, 'event')}"
        )
    yield from times(report.boundaries, report.resumed_by or None)
    notes = [*_notes(report)]
    if notes and report.outcome != "rehearsed":
        yield plain()
    yield from notes
    yield from after_cutover(report, call)


def _rehearsal(report: Cutover, call: Invocation) -> Iterator[RenderableType]:
    events = counted(report.migrated_events, "event")
    longest, lease = call.value("--max-pause") or "60", call.value("--lease") or "15"
    yield plain("nothing was changed; this is what --execute does:")
    yield plain()
    yield Detail("1. check everything again while the tenant is open", deep=False)
    yield Detail(
        f"2. pause it: for {predicted(report)}, {longest} s at most, {lease} s if this process dies", deep=False
    )
    yield Detail(f"3. verify again, and write {events} beside the history", deep=False)
    yield Detail("4. read them back and compare", deep=False)
    yield Detail(f"5. switch to version {report.to_version} and resume, in one transaction", deep=False)
    yield plain()
    if report.artifact_bound:
        yield Marked("ok", "the artifact approves it")
    else:
        yield Marked("note", "no artifact was given, so nothing was approved before")


def _trouble(report: Cutover) -> Iterator[RenderableType]:
    """Say what failed, and what is true of the tenant now."""
    why = reason(report)
    if why is not None and report.checks is UNSET:
        yield plain(why)
    if report.checks is not UNSET:
        for name in Checks.__struct_fields__:
            check = getattr(report.checks, name)
            if not check.ok and not check.skipped:
                yield from checked(name, check)
        if report.verify is not UNSET and report.verify.equivalence.example is not UNSET:
            yield from divergence(report.verify.equivalence, report.verify.equivalence.example)
    if code(report) != "UNKNOWN_TENANT":
        yield plain()
        yield from state_now(report)


def state_now(report: Cutover | StoreRollback) -> Iterator[RenderableType]:
    """Say on which version a tenant is now, and whether it is open."""
    if report.active_version is None:
        yield Marked("note", "the store does not tell how the tenant stands; its lease opens it")
        return
    paused = "paused" if report.tenant_paused else "open"
    changed = {True: "was changed", False: "was not changed", None: "may have been changed"}[report.mutated]
    yield Marked("note", f"the tenant {changed}: it is on version {report.active_version}, and {paused}")


def times(boundaries: Boundaries, resumed_by: str | None) -> Iterator[RenderableType]:
    """Say when a run passed each boundary: the first as UTC, the others by how much later."""
    if boundaries.paused_at is None:
        return
    yield plain()
    yield plain(f"paused    {utc(boundaries.paused_at)}")
    for name in ("verified", "switched", "resumed"):
        at = getattr(boundaries, f"{name}_at")
        if at is not None:
            by = f" (by {resumed_by})" if name == "resumed" and resumed_by not in {None, "switch", "run"} else ""
            yield plain(f"{name:8}  {lasting(max(at - boundaries.paused_at, 0))} later{by}")


def recovered(found: RecoveryReport) -> Marked:
    """Say which run had died on the tenant, and how it was brought to its end."""
    return Marked("note", f"{found.kind} {found.run_id} had died in phase {found.found_phase}: {found.outcome}")


def _notes(report: Cutover) -> Iterator[RenderableType]:
    for writer in report.writers_terminated or ():
        yield Marked(
            "note",
            f"process {writer.pid} (application {value_text(writer.application)}) idled in a transaction for "
            f"{lasting(writer.idle_ms)} and was ended",
        )
    if report.recovered is not UNSET:
        yield recovered(report.recovered)
    if report.interrupted and not is_interrupted(report):
        yield Marked("note", "a signal came meanwhile; this was done all the same")
    if report.reversibility is not UNSET and report.outcome in {"rehearsed", "switched"}:
        way_back = report.reversibility
        if way_back.reversible:
            yield Marked("note", f"can be rolled back, also after new events ({way_back.method})")
        else:
            yield Marked("note", "can be rolled back only until something is written:")
            yield from listed(way_back.reasons, len(way_back.reasons))
