"""The summaries of ways back: the rollback of a live tenant, and the dropping of what it would go back to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET
from rich.console import Group, RenderableType

from cicsc.report.assessment import listed
from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Mark, Marked, headline, next_step, plain
from cicsc.report.live.cutover_text import recovered, state_now, times
from cicsc.report.live.cutover_words import code, is_interrupted
from cicsc.report.live.models import Finalize, Finalizes, StoreRollback
from cicsc.report.live.next_steps import after_held, after_paused, after_store_rollback, of_tenant
from cicsc.report.moments import dated, lasting
from cicsc.report.printable import counted, value_text

_OBSTACLES_MAX = 20
"""Obstacles of a rollback shown."""

_TENANTS_MAX = 20
"""Tenants listed; the report has them all."""


def store_rollback_summary(report: StoreRollback, call: Invocation) -> RenderableType:
    """Summarize the rollback of a live tenant."""
    return Group(*_rollback(report, call))


def finalize_summary(report: Finalizes, call: Invocation) -> RenderableType:
    """Summarize what was dropped, or would be."""
    return Group(*_finalize(report, call))


def _rollback(report: StoreRollback, call: Invocation) -> Iterator[RenderableType]:
    mark: Mark = "ok" if report.ok else "FAILED"
    yield headline(f"rollback of tenant {value_text(report.tenant_id)}", _verdict(report), mark)
    if report.method is not UNSET and report.ok:
        becomes = "becomes" if report.outcome == "rehearsed" else "is"
        yield plain(_METHODS[report.method].format(becomes, counted(report.rolled_back_events, "event")))
    if report.reasons is not UNSET:
        yield plain()
        yield from listed(report.reasons, len(report.reasons), _OBSTACLES_MAX, deep=False)
    elif isinstance(report.error, dict):
        yield plain(dated(str(report.error["message"])))
    yield from times(report.boundaries, report.resumed_by or None)
    notes: list[RenderableType] = [] if report.recovered is UNSET else [recovered(report.recovered)]
    if not report.ok and code(report) != "UNKNOWN_TENANT":
        notes += state_now(report)
    if notes:
        yield plain()
    yield from notes
    yield from after_store_rollback(report, call)


_METHODS = {
    "reactivate": "nothing was written since the switch, so the generation before it {} active again: {}",
    "inverse": "events were written since the switch, or the generation before it is not kept, so the inverse of the "
    "whole history {} active: {}",
}


def _verdict(report: StoreRollback) -> str:
    match report.outcome:
        case "switched":
            done = f"back on version {report.active_version}"
            return done if report.pause_ms is UNSET else f"{done}, paused {lasting(report.pause_ms)}"
        case "rehearsed":
            about = (
                "" if report.predicted_pause_ms is UNSET else f", paused for about {lasting(report.predicted_pause_ms)}"
            )
            return f"may go back to version {report.to_version}{about}"
        case "refused" if report.reasons is not UNSET:
            return f"refused, {counted(len(report.reasons), 'obstacle')}"
        case outcome:
            return "interrupted" if is_interrupted(report) else outcome


def _finalize(report: Finalizes, call: Invocation) -> Iterator[RenderableType]:
    generations = sum(len(item.generations) for item in report.tenants)
    old = counted(generations, "old generation")
    if not report.ok:
        failed = sum(not item.ok for item in report.tenants) + len(report.not_begun)
        yield headline("finalize", f"{counted(failed, 'tenant')} not finalized", "FAILED")
    elif generations == 0:
        yield headline("finalize", "nothing to drop", "ok")
    elif report.executed:
        yield headline("finalize", f"dropped {old}, {counted(report.rows_removed, 'row')}", "ok")
    else:
        yield headline("finalize", f"may drop {old}, nothing was changed", "ok")
    yield from _tenants(report)
    if report.ok and generations and not report.executed:
        yield Marked("note", "afterwards there is no way back but through the inverse, where the migration has one")
        yield from next_step("carry it out", call.plus("--execute"))
    yield from _after_finalize([item for item in report.tenants if isinstance(item.error, dict)], call)


def _after_finalize(bad: Sequence[Finalize], call: Invocation) -> Iterator[RenderableType]:
    """Say what to do about the one tenant that did not end well, or about several."""
    if len(bad) > 1:
        yield from next_step("mend what is named above, then run the same command again", call)
    for item in bad if len(bad) == 1 else ():
        assert isinstance(item.error, dict)
        found, hint = item.error["code"], str(item.error["hint"] or "run the same command again")
        if found == "RUN_HELD":
            yield from after_held(item.tenant_id, call)
        elif found == "GATE_HELD":
            yield from after_paused(item.tenant_id, call)
        elif found == "NOT_VERIFIED":
            yield from next_step(hint, of_tenant(call, "store-check", item.tenant_id))
        elif item.outcome == "failed":
            yield from next_step(hint, call)
        else:
            yield from next_step(hint)


def _tenants(report: Finalizes) -> Iterator[RenderableType]:
    told = sorted((item for item in report.tenants if item.generations or not item.ok), key=lambda item: item.ok)
    for item in told[:_TENANTS_MAX]:
        yield Marked("ok" if item.ok else "FAILED", f"{value_text(item.tenant_id)}: {_one(item)}")
        if isinstance(item.error, dict):
            yield Detail(dated(str(item.error["message"])))
    if len(told) > _TENANTS_MAX:
        yield Detail(f"and {counted(len(told) - _TENANTS_MAX, 'more tenant')}")


def _one(item: Finalize) -> str:
    if item.active_generation is None:  # it was not even looked at
        return item.outcome
    old = ", ".join(f"{old.generation} ({counted(old.events, 'event')})" for old in item.generations)
    return f"active is generation {item.active_generation}, old: {old or 'none'}, {item.outcome}"
