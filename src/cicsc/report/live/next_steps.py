"""What to do next about a live tenant: for each outcome the command to type, with the same store and tenant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET
from rich.console import RenderableType

from cicsc.report.invocation import Invocation
from cicsc.report.layout import next_step
from cicsc.report.live.cutover_words import code, is_interrupted
from cicsc.report.live.models import Cutover, Cutovers, RecoveryReport, StatusReport, StoreRollback
from cicsc.report.next_steps import ARTIFACT, SAME_CHECKS

NAMED_MAX: Final = 5
"""Tenants that a command to type names; beyond, it is for all of them."""

_SAME_CUTOVER: Final = ("--store", "--to", "--migration")
_CHECK_AGAIN: Final = frozenset({"PREFLIGHT_FAILED", "VERIFICATION_FAILED"})
_APPROVE_AGAIN: Final = frozenset({"ARTIFACT_STALE", "ARTIFACT_DIFFERS"})
_LOOK_FIRST: Final = frozenset({"VERSION_DIFFERS", "GATE_HELD", "UNKNOWN_TENANT"})


def of_tenant(call: Invocation, verb: str, tenant_id: str, *flags: str) -> Invocation:
    """Return another verb about one tenant of the same store."""
    return call.then(verb, "--store", *flags).plus("--tenant", tenant_id)


def after_cutover(report: Cutover, call: Invocation) -> Iterator[RenderableType]:
    """After the cutover of one tenant, or its rehearsal."""
    tenant = report.tenant_id
    if report.outcome == "rehearsed":
        yield from next_step("carry it out", call.plus("--execute"))
    elif report.outcome == "already":
        yield from next_step("see how it stands", of_tenant(call, "migration-status", tenant))
    elif report.outcome == "switched" and report.ok:
        yield from next_step("see how it stands", of_tenant(call, "migration-status", tenant))
        back = of_tenant(call, "migration-rollback", tenant, "--migration")
        yield from next_step("should it have to go back, rehearse that", back)
    else:
        yield from _after_trouble(report, call)


def _after_trouble(report: Cutover, call: Invocation) -> Iterator[RenderableType]:
    tenant, found = report.tenant_id, code(report)
    if found in _CHECK_AGAIN:
        command = of_tenant(call, "migration-preflight", tenant, *_SAME_CUTOVER, *SAME_CHECKS)
        yield from next_step("correct what is named above; this checks it with the tenant open", command)
    elif found in _APPROVE_AGAIN and report.active_version != report.to_version:
        command = of_tenant(call, "migration-dry-run", tenant, *_SAME_CUTOVER, *SAME_CHECKS)
        path = call.value("--artifact") or ARTIFACT
        yield from next_step("record a new dry run, and have it approved", command.plus("--artifact", path))
    elif found in _LOOK_FIRST | _APPROVE_AGAIN:
        yield from next_step("see how the tenants stand", call.then("migration-status", "--store"))
    else:
        yield from _after_any_trouble(report, call)


def after_store_rollback(report: StoreRollback, call: Invocation) -> Iterator[RenderableType]:
    """After the rollback of a live tenant, or its rehearsal."""
    tenant, found = report.tenant_id, code(report)
    if report.outcome == "rehearsed":
        yield from next_step("carry it out", call.plus("--execute"))
    elif report.ok:
        yield from next_step("see how it stands", of_tenant(call, "migration-status", tenant))
    elif report.reasons is not UNSET and isinstance(report.error, dict):
        yield from next_step(str(report.error["hint"]))
    elif found == "GATE_HELD":
        yield from after_paused(tenant, call)
    elif found == "UNKNOWN_TENANT":
        yield from next_step("see how the tenants stand", call.then("migration-status", "--store"))
    else:
        yield from _after_any_trouble(report, call)


def _after_any_trouble(report: Cutover | StoreRollback, call: Invocation) -> Iterator[RenderableType]:
    """After what may happen to a cutover and to a rollback alike."""
    tenant, found = report.tenant_id, code(report)
    if found == "PAUSE_TOO_LONG":
        yield from _after_long(report, call)
    elif found == "RUN_HELD":
        yield from after_held(tenant, call)
    elif found == "RUN_LOST" and report.tenant_paused is False:
        command = of_tenant(call, "migration-status", tenant)
        yield from next_step("another has taken the tenant over; see how it stands before you try again", command)
    elif report.tenant_paused is False and not report.mutated:
        hint = report.error["hint"] if isinstance(report.error, dict) and found != "INTERRUPTED" else None
        yield from next_step(str(hint) if hint else "run the same command again", call)
    else:
        command = of_tenant(call, "migration-recover", tenant)
        yield from next_step("bring to an end what is left, then run the same command again", command)


def after_held(tenant_id: str, call: Invocation) -> Iterator[RenderableType]:
    """After a change that found another run on the tenant."""
    command = of_tenant(call, "migration-recover", tenant_id)
    yield from next_step("wait for that run; this tells whether it lives, and how to take it over", command)


def after_paused(tenant_id: str, call: Invocation) -> Iterator[RenderableType]:
    """After a change that found the tenant paused by an operator."""
    command = of_tenant(call, "migration-status", tenant_id)
    yield from next_step("wait until that pause is over; this shows what ends it before", command)


def _after_long(report: Cutover | StoreRollback, call: Invocation) -> Iterator[RenderableType]:
    predicted = 0 if report.predicted_pause_ms is UNSET else report.predicted_pause_ms
    longer = str(max(2 * predicted // 1000, 1))
    yield from next_step("allow a longer pause, at a time when it does no harm", call.replaced("--max-pause", longer))


def after_cutovers(report: Cutovers, call: Invocation) -> Iterator[RenderableType]:
    """After the cutovers of several tenants, or their rehearsal."""
    bad = [item for item in report.tenants if not item.ok]
    if not report.tenants and not report.not_moved:
        yield from next_step("the store has no tenants; see what it has", call.then("migration-status", "--store"))
    elif report.ok and not report.executed:
        yield from next_step("carry it out", call.plus("--execute"))
    elif left := [item for item in bad if _may_be_left(item)]:
        command = call.then("migration-recover", "--store")
        for item in left if len(left) <= NAMED_MAX else []:
            command = command.plus("--tenant", item.tenant_id)
        yield from next_step("bring to an end what is left, then run the same command again", command)
    elif len(bad) == 1 and not report.counts.get("not_begun"):
        yield from _after_trouble(bad[0], _for_one(call, bad[0].tenant_id))
    elif not report.ok:
        again = "run the same command again: who has moved is left alone"
        is_mended = all(is_interrupted(item) for item in bad)
        yield from next_step(again if is_mended else f"mend what is named above, then {again}", call)
    else:
        yield from next_step("see how they stand", call.then("migration-status", "--store"))


def _may_be_left(report: Cutover) -> bool:
    """Tell whether a run may still have the tenant: it is not known to be open on the version that it had."""
    return report.outcome != "refused" and (report.tenant_paused is not False or bool(report.mutated))


def _for_one(call: Invocation, tenant_id: str) -> Invocation:
    """Return the call for one tenant alone."""
    words = tuple(word for word in call.words if word[0] not in {"--tenant", "--all", "--parallel"})
    return Invocation(call.verb, words).plus("--tenant", tenant_id)


def after_status(report: StatusReport, call: Invocation) -> Iterator[RenderableType]:
    """After a look at tenants: what is left behind, or paused by hand, has its command."""
    abandoned = [item for item in report.tenants if item.run is not None and item.run.outcome == "abandoned"]
    by_hand = [item for item in report.tenants if item.paused and item.owner_kind == "operator"]
    if abandoned:
        command = call.then("migration-recover", "--store")
        for item in abandoned if len(abandoned) <= NAMED_MAX else []:
            command = command.plus("--tenant", item.tenant_id)
        yield from next_step("bring to an end what a run that died has left", command)
    elif len(by_hand) == 1:
        item = by_hand[0]
        yield from next_step("open it before its time is over", resume(call, item.tenant_id, item.owner, item.epoch))


def after_recovery(report: RecoveryReport, call: Invocation) -> Iterator[RenderableType]:
    """After a run that was found alive: how to take it over; what holds it up has to end first."""
    if report.is_locked and isinstance(report.error, dict):
        yield from next_step(str(report.error["hint"]), call)
    elif report.epoch is not UNSET:
        command = of_tenant(call, "migration-recover", report.tenant_id).plus("--take-over", report.run_id)
        yield from next_step(
            f"only if the run of {report.tenant_id!r} is known to be dead, take it over",
            command.plus("", str(report.epoch)),
        )


def resume(call: Invocation, tenant_id: str, owner: str | None, epoch: int) -> Invocation:
    """Return the command that ends an operator's pause."""
    return of_tenant(call, "tenant-resume", tenant_id).plus("--owner", owner or "").plus("--epoch", str(epoch))
