"""The summaries of how tenants stand, of what was recovered, and of a pause by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET
from rich.console import Group, RenderableType

from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Mark, Marked, Rows, headline, next_step, plain
from cicsc.report.live.cutover_text import times
from cicsc.report.live.models import PauseReport, Recovery, RecoveryReport, RunStatus, StatusReport, TenantStatus
from cicsc.report.live.next_steps import after_recovery, after_status, resume
from cicsc.report.moments import dated, lasting, utc
from cicsc.report.printable import counted, shortened, value_text

ROWS_MAX: Final = 40
"""Tenants in the table, of which the report has all: paused, taken or left behind first, then who was not moved."""

REASON_CHARACTERS_MAX: Final = 400

HELD_MAX: Final = 3
"""Runs that may still live whose take-over is spelt out."""

_NAMES: Final = ("tenant", "version", "state", "lease", "run", "pause")

_DONE: Final = {
    "finished": "had switched, is completed now",
    "reopened": "had not switched, is undone and the tenant open",
    "cleaned": "what it left is removed",
    "held": "may still live, and was left alone",
}


def status_summary(report: StatusReport, call: Invocation) -> RenderableType:
    """Summarize how tenants stand: one in full, several as a table."""
    return Group(*_status(report, call))


def recovery_summary(report: Recovery, call: Invocation) -> RenderableType:
    """Summarize what was recovered."""
    return Group(*_recovery(report, call))


def pause_summary(report: PauseReport, call: Invocation) -> RenderableType:
    """Summarize a pause by hand, or its end."""
    return Group(*_pause(report, call))


# ------------------------------------------------------------------------------------------------- status


def _status(report: StatusReport, call: Invocation) -> Iterator[RenderableType]:
    tenants = report.tenants
    if len(tenants) == 1:
        yield headline(f"tenant {value_text(tenants[0].tenant_id)}", _state(tenants[0]), _mark(tenants[0]))
        yield from _in_full(tenants[0])
    else:
        paused = sum(tenant.paused for tenant in tenants)
        yield headline(counted(len(tenants), "tenant"), f"{paused:,} paused", "note" if paused else "ok")
    if report.at is not None:
        yield plain(f"read at   {utc(report.at)}")
    versions = Counter(tenant.active_version for tenant in tenants)
    if len(versions) > 1:
        yield plain("versions  " + ", ".join(f"{count:,} on {version}" for version, count in sorted(versions.items())))
    if len(tenants) > 1:
        yield plain()
        yield _table(sorted(tenants, key=_rank)[:ROWS_MAX])
    if len(tenants) > ROWS_MAX:
        yield Detail(f"and {len(tenants) - ROWS_MAX:,} more, all of them in the report", deep=False)
    if report.metrics_path is not UNSET:
        yield plain(f"metrics written to {report.metrics_path}")
    yield from after_status(report, call)


def _rank(tenant: TenantStatus) -> tuple[int, str]:
    """Put what an operator should see first."""
    is_aborted = tenant.run is not None and tenant.run.outcome == "aborted"
    urgent = 0 if tenant.paused else 1 if tenant.owner is not None else 2 if is_aborted else 3
    return urgent, tenant.tenant_id


def _state(tenant: TenantStatus) -> str:
    version = f"version {tenant.active_version}"
    if tenant.paused:
        since = "" if tenant.pause_ms is None else f" for {lasting(tenant.pause_ms)}"
        return f"{version}, paused{since}"
    if tenant.run is not None and tenant.run.outcome == "abandoned":
        return f"{version}, open, left behind by a {tenant.run.kind}"
    return f"{version}, open"


def _mark(tenant: TenantStatus) -> Mark:
    if tenant.run is not None and tenant.run.outcome == "abandoned":
        return "FAILED"
    return "note" if tenant.paused else "ok"


def _in_full(tenant: TenantStatus) -> Iterator[RenderableType]:
    yield plain(f"bundle    {tenant.active_bundle}")
    yield plain(f"history   generation {tenant.active_generation}")
    if tenant.owner is not None:
        yield plain(f"owner     {tenant.owner_kind} {shortened(tenant.owner)}, epoch {tenant.epoch}")
    if tenant.lease_until is not None and tenant.lease_remaining_ms is not None:
        left = f"{lasting(tenant.lease_remaining_ms)} left" if tenant.lease_remaining_ms else "over"
        yield plain(f"lease     {left}, until {utc(tenant.lease_until)}")
    if tenant.paused_since is not None:
        yield plain(f"paused    {utc(tenant.paused_since)}")
    if tenant.pause_deadline is not None:
        yield plain(f"deadline  {utc(tenant.pause_deadline)}")
    if tenant.run is not None:
        yield from _run(tenant.run)
        yield plain()


def _run(run: RunStatus) -> Iterator[RenderableType]:
    yield plain()
    what = f"{run.kind} {run.migration_id or ''}".strip()
    versions = f"version {run.from_version}" + ("" if run.to_version is None else f" to {run.to_version}")
    when = "now" if run.has_tenant else "last"
    yield plain(f"{when:8}  {what}, {versions}: {run.outcome}, phase {run.phase}")
    yield plain(f"run       {run.run_id} of {shortened(run.actor_id)}")
    yield plain(f"begun     {utc(run.started_at)}")
    yield from times(run.boundaries, run.resumed_by)
    if run.pause_ms is not None:
        yield plain(f"pause     {lasting(run.pause_ms)}")
    if run.reason is not None:
        yield plain(f"aborted   {shortened(dated(run.reason), REASON_CHARACTERS_MAX)}")


def _table(tenants: Sequence[TenantStatus]) -> Rows:
    cells = [
        (
            _mark(tenant),
            (
                shortened(tenant.tenant_id),
                str(tenant.active_version),
                _short(tenant),
                "" if tenant.lease_remaining_ms is None else lasting(tenant.lease_remaining_ms),
                "" if tenant.run is None else f"{tenant.run.kind} {tenant.run.phase}",
                _pause_of(tenant),
            ),
        )
        for tenant in tenants
    ]
    return Rows(_NAMES, cells, marked=2, numbers=frozenset({1, 3, 5}))


def _short(tenant: TenantStatus) -> str:
    if tenant.paused:
        return f"paused by {tenant.owner_kind}"
    if tenant.run is not None and tenant.run.outcome == "abandoned":
        return "left behind"
    return "open, taken" if tenant.owner_kind == "run" else "open"


def _pause_of(tenant: TenantStatus) -> str:
    """Write the pause that holds now, else that of the last run."""
    if tenant.pause_ms is not None:
        return lasting(tenant.pause_ms)
    return "" if tenant.run is None or tenant.run.pause_ms is None else lasting(tenant.run.pause_ms)


# ----------------------------------------------------------------------------------------------- recovery


def _recovery(report: Recovery, call: Invocation) -> Iterator[RenderableType]:
    held = [item for item in report.tenants if item.outcome == "held"]
    if not report.tenants:
        yield headline("recovery", "nothing to do, no run has a tenant", "ok")
        return
    done = len(report.tenants) - len(held)
    found = [f"{counted(done, 'run')} brought to an end"] if done else []
    locked = sum(item.is_locked for item in held)
    found += [f"{counted(locked, 'run')} held by writes under way"] if locked else []
    found += [f"{counted(len(held) - locked, 'run')} may still live"] if len(held) > locked else []
    yield headline("recovery", ", ".join(found), "FAILED" if held else "ok")
    for item in sorted(report.tenants, key=lambda item: item.outcome != "held")[:ROWS_MAX]:
        yield from _recovered(item)
    if len(report.tenants) > ROWS_MAX:
        yield Detail(f"and {len(report.tenants) - ROWS_MAX:,} more, all of them in the report", deep=False)
    for item in held[:HELD_MAX]:
        yield from after_recovery(item, call)
    if not held:
        yield from next_step("see how they stand", call.then("migration-status", "--store", "--tenant"))


def _recovered(item: RecoveryReport) -> Iterator[RenderableType]:
    mark: Mark = "FAILED" if item.outcome == "held" else "ok"
    done = "could not be brought to an end" if item.is_locked else _DONE[item.outcome]
    yield Marked(mark, f"{value_text(item.tenant_id)}: {item.kind} in phase {item.found_phase}, {done}")
    yield Detail(f"run {item.run_id} of {shortened(item.actor_id)}")
    if item.started_at is not UNSET and item.lease_until is not UNSET:
        yield Detail(f"begun {utc(item.started_at)}, lease until {utc(item.lease_until)}")
    if item.error is not UNSET and item.error["code"] != "RUN_HELD":
        yield Detail(dated(str(item.error["message"])))
    if isinstance(item.resumed_by, str) and item.boundaries.resumed_at is not None:
        yield Detail(f"open since {utc(item.boundaries.resumed_at)} (by {item.resumed_by})")


# -------------------------------------------------------------------------------------------------- pause


def _pause(report: PauseReport, call: Invocation) -> Iterator[RenderableType]:
    subject = f"tenant {value_text(report.tenant_id)}"
    if not report.paused or report.lease_until is None or report.remaining_ms is None:
        yield headline(subject, f"open on version {report.active_version}", "ok")
        return
    yield headline(subject, f"paused for {lasting(report.remaining_ms)}", "note")
    yield plain(f"owner     {shortened(report.owner or '')}, epoch {report.epoch}")
    yield plain(f"until     {utc(report.lease_until)}, then it opens by itself")
    yield from next_step("open it before", resume(call, report.tenant_id, report.owner, report.epoch))
