"""What the reports on every change of a tenant say alike: what went wrong, and what is true of the tenant now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast

import msgspec
from msgspec import UNSET, UnsetType

from cicsc.errors import CicscError, FenceError, RefusedError
from cicsc.report.live.models import Cutover, Finalize, StoreRollback

if TYPE_CHECKING:
    from cicsc.operations.live.change import TenantChange
    from cicsc.store.records import Gate, Run

Ended = TypeVar("Ended", bound=str)

NotDone: TypeAlias = Literal["refused", "failed"]

ChangeReport = TypeVar("ChangeReport", Cutover, StoreRollback, Finalize)

NOT_DONE = 3


def attempted(change: TenantChange, work: Callable[[], Ended]) -> tuple[Ended | NotDone, BaseException | None]:
    """Do the work of a change; return how it ended, and what kept it from its end, for its report."""
    try:
        return work(), None
    except RefusedError as refusal:
        return "refused", refusal
    except FenceError as refusal:
        # Whoever has the tenant comes first: where it was never taken, nothing was done.
        return "failed" if change.has_run else "refused", refusal
    except (Exception, KeyboardInterrupt) as failure:  # noqa: BLE001 - also a signal: the tenant was let go on the way here
        if isinstance(failure, KeyboardInterrupt) and change.has_switched:
            change.is_interrupted = True  # when all was done, on the way back from it
            return cast("Ended", "switched"), None
        return "failed", failure


def with_note(report: ChangeReport, error: BaseException | None) -> ChangeReport:
    """Say in a report that its end could not be recorded, if it could not; what it says of the tenant stands."""
    if error is None or report.error is not UNSET:
        return report
    known, _ = described(error)
    note: dict[str, object] = {
        "code": known["code"],
        "message": f"the work is done, but its end was not recorded: {known['message']}",
        "hint": "run migration-recover",
    }
    return msgspec.structs.replace(report, ok=False, exit_code=NOT_DONE, error=note)


def described(error: BaseException) -> tuple[dict[str, object], int]:
    """Return the error object of a report, and the exit code."""
    match error:
        case CicscError():
            return {"code": error.code, "message": error.message, "hint": error.hint}, error.exit_code
        case KeyboardInterrupt():
            code, message = "INTERRUPTED", "interrupted by a signal before the work was done"
        case MemoryError():
            code, message = "OUT_OF_MEMORY", "the memory does not suffice for this work"
        case _:
            code, message = "INTERNAL_ERROR", f"unexpected {type(error).__name__}: {error}"
    hint = "the report tells how the tenant stands; the same command can be run again"
    return {"code": code, "message": message, "hint": hint}, NOT_DONE


def pause_ms(run: Run | None) -> int | UnsetType:
    """Return how long a run paused its tenant, UNSET also where the clock was set back meanwhile, so nobody knows."""
    if run is None or run.paused_at_ms is None or run.resumed_at_ms is None or run.resumed_at_ms < run.paused_at_ms:
        return UNSET
    return run.resumed_at_ms - run.paused_at_ms


def gate_now(change: TenantChange) -> Gate | None:
    """Return the tenant's gate as it is now, None where it cannot be had; nothing keeps the report from being made."""
    try:
        return change.store.gate(change.tenant_id)
    except (Exception, KeyboardInterrupt):  # noqa: BLE001 - also a signal: what was done is done, and has to be told
        with suppress(Exception):
            change.store.abandon()  # else what the signal broke off is in the way when the end is recorded
        return None


def mutated_by(change: TenantChange) -> bool | None:
    """Tell whether a change made something else active; None where the store was lost while it did."""
    if not change.has_run:
        return False
    if change.is_lost and change.live.may_have_switched:
        return None
    return change.live.run.switched_at_ms is not None
