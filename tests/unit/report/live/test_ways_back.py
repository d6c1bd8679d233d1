"""What the summaries of ways back say where the work could not be done: what is true of a tenant, and what to do next."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET

from cicsc.report.invocation import Invocation
from cicsc.report.live.models import Boundaries, Finalizes, StoreRollback
from cicsc.report.live.ways_back_text import finalize_summary, store_rollback_summary
from unit.report.live.test_many_tenants import finalized, lines

CALL = Invocation("migration-rollback", (("--migration", "m"), ("--tenant", "t"), ("--execute", None)))
AGAIN = "run the same command again"
SAME = "  cicsc migration-rollback --migration m --tenant t --execute"
RECOVER = "  cicsc migration-recover --tenant t"


def failed(code: str, hint: str | None, *, paused: bool | None = False, mutated: bool | None = False) -> StoreRollback:
    return StoreRollback(
        ok=False,
        mode="rollback",
        tenant_id="t",
        outcome="failed",
        migration_id="m",
        from_version=2,
        to_version=1,
        rolled_back_events=0,
        source_checked=True,
        boundaries=Boundaries(),
        active_version=None if paused is None else 2,
        tenant_paused=paused,
        mutated=mutated,
        exit_code=3,
        error={"code": code, "message": f"{code} it is", "hint": hint},
        reasons=UNSET,
    )


@pytest.mark.parametrize(
    ("code", "hint", "verdict", "step"),
    [
        ("STORE_LOCKED", "end these transactions, then try again", "failed", "end these transactions, then try again"),
        ("LEASE_OVER", "see what held it up", "failed", "see what held it up"),
        ("INTERRUPTED", "the report tells how the tenant stands", "interrupted", AGAIN),
        ("INTERNAL_ERROR", None, "failed", AGAIN),
    ],
)
def test_tenant_that_is_open_as_it_was_has_the_hint_and_the_call(code: str, hint: str, verdict: str, step: str) -> None:
    assert lines(store_rollback_summary(failed(code, hint), CALL)) == [
        f'rollback of tenant "t": {verdict}',
        f"{code} it is",
        "",
        "  note     the tenant was not changed: it is on version 2, and open",
        "",
        f"next: {step}",
        SAME,
    ]


@pytest.mark.parametrize(
    ("paused", "mutated", "note"),
    [
        (True, False, "the tenant was not changed: it is on version 2, and paused"),
        (False, True, "the tenant was changed: it is on version 2, and open"),
        (None, None, "the store does not tell how the tenant stands; its lease opens it"),
    ],
)
def test_tenant_that_may_be_left_behind_is_recovered(paused: bool | None, mutated: bool | None, note: str) -> None:
    told = lines(store_rollback_summary(failed("STORE_UNREACHABLE", None, paused=paused, mutated=mutated), CALL))

    assert told[3] == f"  note     {note}"
    assert told[-2:] == ["next: bring to an end what is left, then run the same command again", RECOVER]


def test_tenant_that_another_has_taken_over_is_looked_at_first() -> None:
    told = lines(store_rollback_summary(failed("RUN_LOST", f"whatever the hint says, {AGAIN}"), CALL))

    assert told[-2:] == [
        "next: another has taken the tenant over; see how it stands before you try again",
        "  cicsc migration-status --tenant t",
    ]


@pytest.mark.parametrize(
    ("code", "outcome", "step", "command"),
    [
        ("GATE_HELD", "refused", "wait until that pause is over; this shows what ends it before", "migration-status"),
        ("NOT_VERIFIED", "refused", "do this", "store-check"),
        ("STORE_LOCKED", "failed", "do this", None),
        ("INTERNAL_ERROR", "failed", AGAIN, None),
    ],
)
def test_finalize_that_did_not_end_well_has_a_command(code: str, outcome: str, step: str, command: str | None) -> None:
    call = Invocation("migration-finalize", (("--all", None), ("--execute", None)))
    hint = None if step == AGAIN else "do this"
    tenant = msgspec.structs.replace(
        finalized(60, code), outcome=outcome, error={"code": code, "message": code, "hint": hint}
    )
    report = Finalizes(
        ok=False, executed=True, exit_code=1, rows_removed=0, not_begun=[], tenants=[finalized(1), tenant]
    )

    told = lines(finalize_summary(report, call))

    typed = "cicsc migration-finalize --all --execute" if command is None else f"cicsc {command} --tenant t060"
    assert told[-2:] == [f"next: {step}", f"  {typed}"]
