"""Summaries about more tenants than are shown: what few have comes first, and nothing suggests a smaller call."""

from __future__ import annotations

import msgspec
from rich.console import Console, RenderableType

from cicsc.report.invocation import Invocation
from cicsc.report.live.cutovers_text import REASONS_MAX, cutovers_summary
from cicsc.report.live.models import (
    Boundaries,
    Cutover,
    Cutovers,
    Finalize,
    Finalizes,
    GenerationReport,
    Recovery,
    RecoveryReport,
    StatusReport,
)
from cicsc.report.live.status_text import ROWS_MAX, recovery_summary, status_summary
from cicsc.report.live.ways_back_text import finalize_summary
from unit.report.live.test_metrics import OPEN, RUN

CALL = Invocation("migration-cutover", (("--all", None), ("--parallel", "4"), ("--execute", None)))


def lines(summary: RenderableType) -> list[str]:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(summary)
    return captured.get().splitlines()


def tenant(number: int, code: str | None = None, outcome: str = "refused") -> Cutover:
    name = f"t{number:03}"
    error = msgspec.UNSET if code is None else {"code": code, "message": f"{code} of {name}", "hint": ""}
    return Cutover(
        ok=code is None,
        mode="pause_migrate_resume",
        tenant_id=name,
        outcome="switched" if code is None else outcome,
        migration_id="m",
        from_version=1,
        to_version=2,
        migrated_events=3,
        boundaries=Boundaries(),
        active_version=2 if code is None else 1,
        tenant_paused=False,
        mutated=code is None,
        exit_code=0 if code is None else 1,
        error=error,
    )


def several(tenants: list[Cutover], not_begun: int = 0) -> Cutovers:
    counts = {outcome: sum(one.outcome == outcome for one in tenants) for outcome in {one.outcome for one in tenants}}
    return Cutovers(
        ok=False,
        mode="pause_migrate_resume",
        migration_id="m",
        executed=True,
        counts=counts | ({"not_begun": not_begun} if not_begun else {}),
        not_moved=[one.tenant_id for one in tenants if not one.ok] + [f"w{number}" for number in range(not_begun)],
        exit_code=1,
        tenants=tenants,
    )


def test_the_one_with_a_reason_of_its_own_comes_before_the_many_that_are_taken() -> None:
    taken = [tenant(number, "RUN_HELD") for number in range(60)]
    told = lines(cutovers_summary(several([*taken, tenant(60, "PREFLIGHT_FAILED"), tenant(61)]), CALL))

    assert told[0] == "cutover of 62 tenants: 1 switched, 61 refused"
    table = next(number for number, line in enumerate(told) if line.startswith("tenant "))
    assert told[table + 2].split()[0] == "t060"
    reasons = [line.strip() for line in told if line.startswith("  FAILED")]
    assert reasons[0].endswith('"t060": PREFLIGHT_FAILED of t060')
    assert len(reasons) == REASONS_MAX
    assert f"  and {61 - REASONS_MAX} more; in all 60 RUN_HELD, 1 PREFLIGHT_FAILED" in told


def test_after_a_signal_the_whole_call_is_to_be_repeated() -> None:
    told = lines(cutovers_summary(several([tenant(0), tenant(1, "INTERRUPTED", "failed")], not_begun=98), CALL))

    assert told[-2:] == [
        "next: run the same command again: who has moved is left alone",
        "  cicsc migration-cutover --all --parallel 4 --execute",
    ]


def test_after_a_signal_before_the_first_there_is_nothing_to_mend() -> None:
    told = lines(cutovers_summary(several([], not_begun=100), CALL))

    assert told[-2] == "next: run the same command again: who has moved is left alone"


def test_what_was_refused_before_the_signal_is_to_be_mended() -> None:
    told = lines(cutovers_summary(several([tenant(1, "PREFLIGHT_FAILED")], not_begun=9), CALL))

    assert told[-2].startswith("next: mend what is named above, then run the same command again")


def test_the_status_counts_versions_and_shows_who_was_not_moved() -> None:
    named = msgspec.structs.replace
    moved = [named(OPEN, tenant_id=f"t{number:03}") for number in range(ROWS_MAX)]
    aborted = named(RUN, outcome="aborted", phase="ABORTED", to_version=None)
    left = named(moved[0], tenant_id="z", active_version=OPEN.active_version + 1, run=aborted)
    told = lines(status_summary(StatusReport(ok=True, at=0, tenants=[*moved, left]), CALL))

    version = OPEN.active_version
    assert told[2] == f"versions  {ROWS_MAX} on {version}, 1 on {version + 1}"
    assert told[6].split()[0] == "z"


def finalized(number: int, code: str | None = None) -> Finalize:
    return Finalize(
        ok=code is None,
        tenant_id=f"t{number:03}",
        outcome="dropped" if code is None else "refused",
        mutated=code is None,
        exit_code=0 if code is None else 1,
        active_generation=2,
        generations=[GenerationReport(generation=1, events=3)],
        rows_removed=3,
        error=msgspec.UNSET if code is None else {"code": code, "message": f"{code} of t{number:03}", "hint": ""},
    )


def test_the_one_that_was_not_finalized_comes_before_those_that_were() -> None:
    tenants = [*(finalized(number) for number in range(60)), finalized(60, "GATE_HELD")]
    report = Finalizes(ok=False, executed=True, exit_code=1, rows_removed=180, not_begun=[], tenants=tenants)

    told = lines(finalize_summary(report, CALL))

    assert told[0] == "finalize: 1 tenant not finalized"
    assert told[1].startswith('  FAILED   "t060": ')
    assert told[2].strip() == "GATE_HELD of t060"


def test_the_run_that_may_still_live_comes_before_those_that_were_ended() -> None:
    ended = [
        RecoveryReport(
            tenant_id=f"t{number:03}",
            run_id="r",
            kind="cutover",
            actor_id="ann",
            found_phase="FENCED",
            outcome="reopened",
            boundaries=Boundaries(),
        )
        for number in range(60)
    ]
    held = msgspec.structs.replace(ended[0], tenant_id="z", outcome="held")

    told = lines(recovery_summary(Recovery(ok=False, exit_code=1, tenants=[*ended, held]), CALL))

    assert told[0] == "recovery: 60 runs brought to an end, 1 run may still live"
    assert told[1].startswith('  FAILED   "z": ')


def held(code: str) -> RecoveryReport:
    return RecoveryReport(
        tenant_id="z",
        run_id="r",
        kind="rollback",
        actor_id="ann",
        found_phase="FENCED",
        outcome="held",
        boundaries=Boundaries(),
        epoch=4,
        started_at=0,
        lease_until=0,
        error={"code": code, "message": f"{code} until 1795831405538", "hint": "end these transactions"},
    )


def test_run_behind_writers_is_tried_again_and_not_taken_over() -> None:
    call = Invocation("migration-recover", ())
    told = lines(recovery_summary(Recovery(ok=False, exit_code=3, tenants=[held("STORE_LOCKED")]), call))

    assert told == [
        "recovery: 1 run held by writes under way",
        '  FAILED   "z": rollback in phase FENCED, could not be brought to an end',
        "           run r of ann",
        "           begun 1970-01-01 00:00:00.000 UTC, lease until 1970-01-01 00:00:00.000 UTC",
        "           STORE_LOCKED until 2026-11-28 02:03:25.538 UTC",
        "",
        "next: end these transactions",
        "  cicsc migration-recover",
    ]


def test_take_over_of_what_has_moved_on_says_what_was_found() -> None:
    call = Invocation("migration-recover", (("--tenant", "z"), ("--take-over", "r"), ("", "3")))
    told = lines(recovery_summary(Recovery(ok=False, exit_code=1, tenants=[held("RUN_LOST")]), call))

    assert told[0] == "recovery: 1 run may still live"
    assert "           RUN_LOST until 2026-11-28 02:03:25.538 UTC" in told
    assert told[-1] == "  cicsc migration-recover --tenant z --take-over r 4"
