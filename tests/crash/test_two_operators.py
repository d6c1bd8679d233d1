"""Two operators on one tenant, in every phase: one proceeds, the other is told who holds it; who was followed changes nothing.

The first is a process that stops around one of its commits, as one does whose machine is suspended. It goes on when another
has taken the tenant from it, or when its lease is over.
"""

from __future__ import annotations

import signal
from typing import Any

import pytest

from cicsc.errors import FenceError, StoreError
from cicsc.operations.live.recovery import recover_tenant
from cicsc.report.live.models import Cutover
from cicsc.store.records import Run
from cicsc.store.sqlite.store import SqliteStore
from crash import scenarios
from crash.fork_server import DyingProcess, ForkServer
from crash.ground import Ground, Tenant

LONG_LEASE_S = 60.0
SHORT_LEASES_S = (0.4, 1.6, 6.4, 25.6)
"""A run has to come as far as it is to stop before its lease is over; on a slow machine it gets a longer one."""

STOPS = {
    "PLANNED": ("after", 1),
    "PLANNED, aimed": ("after", 3),
    "FENCED": ("after", 4),
    "FENCED, staged": ("after", 5),
    "VERIFIED": ("after", 6),
    "STAGED": ("after", 7),
    "STAGED, about to switch": ("before", 8),
    "SWITCHED": ("after", 8),
}


def _stopped(ground: Ground, forks: ForkServer, tenant: Tenant, phase: str) -> tuple[DyingProcess, Run]:
    """Let the first operator begin, and stop."""
    ground.leave()
    options = {"migration": "split", "lease_s": LONG_LEASE_S, "operator": "first"}
    when, number = STOPS[phase]
    death = (int(signal.SIGSTOP), when, ground.commit(number))
    process = forks.start("cutover", ground.url, tenant.tenant_id, options, death)
    assert process.wait() == "stopped"
    run = ground.store.runs.holder(tenant.tenant_id)
    assert run is not None
    assert run.phase == phase.partition(",")[0]
    return process, run


def _stopped_on_a_short_lease(ground: Ground, forks: ForkServer, phase: str) -> tuple[Tenant, DyingProcess]:
    """Let the first operator begin, and stop in good time, with as short a lease as that takes."""
    when, number = STOPS[phase]
    for lease_s in SHORT_LEASES_S:
        tenant = ground.add_tenant()
        ground.leave()
        options = {"migration": "split", "lease_s": lease_s, "operator": "first"}
        death = (int(signal.SIGSTOP), when, ground.commit(number))
        process = forks.start("cutover", ground.url, tenant.tenant_id, options, death)
        stopped = process.wait() == "stopped"
        run = ground.store.runs.holder(tenant.tenant_id)
        if stopped and run is not None and run.phase == phase.partition(",")[0]:
            return tenant, process
        if stopped:
            process.kill()
            process.wait()
    raise AssertionError(f"no run came to {phase} before its lease was over")


def _second(ground: Ground, tenant: Tenant) -> Cutover:
    report: Cutover = scenarios.cutover(
        ground.store, tenant.tenant_id, migration="split", lease_s=LONG_LEASE_S, operator="second"
    )
    return report


def _changed_nothing(ground: Ground, process: DyingProcess, tenant: Tenant) -> dict[str, Any]:
    """Let the first go on to its end; return its report, once it is seen that it has changed nothing."""
    rows = ground.dump(tenant)
    process.go_on()
    assert process.wait() == "exited"
    ground.until_gone()
    assert ground.dump(tenant) == rows
    assert process.answer is not None
    return process.answer


@pytest.mark.parametrize("phase", [phase for phase in STOPS if phase != "STAGED, about to switch"])
def test_the_second_is_told_who_holds_the_tenant(ground: Ground, forks: ForkServer, phase: str) -> None:
    tenant = ground.add_tenant()
    process, run = _stopped(ground, forks, tenant, phase)
    rows = ground.dump(tenant)

    with pytest.raises(FenceError, match=f"{run.run_id} of 'first': epoch {run.epoch}") as held:
        recover_tenant(ground.store, tenant.tenant_id, actor_id="second")
    report = _second(ground, tenant)
    rows_after = ground.dump(tenant)

    assert held.value.code == "RUN_HELD"
    assert f"since {run.started_ms}, lease until {run.lease_until_ms}" in held.value.message
    assert rows_after == rows
    if phase == "SWITCHED":  # what the second wants is done already; the first still has to say so
        assert (report.outcome, report.ok) == ("already", True)
    else:
        assert report.error["code"] == "RUN_HELD"
        assert report.error["message"].partition(", now is")[0] == held.value.message.partition(", now is")[0]
        assert f"--take-over {run.run_id} {run.epoch}" in str(report.error["hint"])
    process.go_on()
    assert process.wait() == "exited"
    assert process.answer["outcome"] == "switched"
    ground.until_gone()
    assert ground.require_whole(tenant, "split") == 2


@pytest.mark.parametrize("phase", list(STOPS))
def test_who_was_taken_over_changes_nothing(ground: Ground, forks: ForkServer, phase: str) -> None:
    tenant = ground.add_tenant()
    process, run = _stopped(ground, forks, tenant, phase)

    if ground.is_file and phase == "STAGED, about to switch":
        # It holds the lock of the file, so there is no following it while it lives.
        with SqliteStore(ground.desk.path, wait_s=0.05) as store, pytest.raises(StoreError) as locked:
            recover_tenant(store, tenant.tenant_id, actor_id="second", take_over=(run.run_id, run.epoch))
        assert locked.value.code == "STORE_LOCKED"
        process.kill()
        process.wait()
        assert _second(ground, tenant).error["code"] == "RUN_HELD"
        return
    if phase == "STAGED, about to switch":
        ground.cut_off()  # it holds the tenant's lock in the server, until the server ends its connection
    recover_tenant(ground.store, tenant.tenant_id, actor_id="second", take_over=(run.run_id, run.epoch))
    report = _second(ground, tenant)

    assert report.outcome == ("already" if phase == "SWITCHED" else "switched")
    answer = _changed_nothing(ground, process, tenant)
    if phase == "SWITCHED":  # it had done its work before it stopped
        assert answer["outcome"] == "switched"
    else:
        assert (answer["outcome"], answer["mutated"]) == ("failed", False)
        assert answer["error"]["code"] in {"RUN_LOST", "STORE_OUTCOME_UNKNOWN", "STORE_UNREACHABLE"}
    assert ground.require_whole(tenant, "split") == 2
    ground.require_settled(tenant)


@pytest.mark.parametrize("phase", [phase for phase in STOPS if phase not in {"STAGED, about to switch", "SWITCHED"}])
def test_a_run_that_outlived_its_lease_cannot_switch(ground: Ground, forks: ForkServer, phase: str) -> None:
    tenant, process = _stopped_on_a_short_lease(ground, forks, phase)
    ground.until_lease_is_over(tenant)
    assert ground.write(tenant) is None  # nobody has followed it, but it counts as open

    process.go_on()
    assert process.wait() == "exited"
    ground.until_gone()
    assert process.answer is not None
    assert (process.answer["outcome"], process.answer["mutated"]) == ("failed", False)
    assert process.answer["error"]["code"] == "LEASE_OVER"
    assert not process.answer["tenant_paused"]
    assert ground.gate(tenant).active_generation == 1
    assert ground.write(tenant) is None
    assert _second(ground, tenant).outcome == "switched"
    assert ground.require_whole(tenant, "split") == 2


@pytest.mark.parametrize("ground", ["postgres-18"], indirect=True)
@pytest.mark.parametrize(
    ("phase", "number"), [("PLANNED", 4), ("STAGED", 8)], ids=["about to pause", "about to switch"]
)
def test_a_run_that_stops_while_it_holds_the_tenant_is_ended_by_the_server(
    ground: Ground, forks: ForkServer, phase: str, number: int
) -> None:
    """Writers wait for it until then, also beyond its lease; on a file nobody but the system could end it."""
    tenant = ground.add_tenant()
    options = {"migration": "split", "lease_s": LONG_LEASE_S, "operator": "first"}
    death = (int(signal.SIGSTOP), "before", ground.commit(number))
    process = forks.start("cutover", ground.url, tenant.tenant_id, options, death)
    assert process.wait() == "stopped"
    ground.plain.execute("set statement_timeout = '60s'")
    ground.plain.execute("update {cutover} set lease_until_ms = 0 where tenant_id = ?", tenant.tenant_id)
    ground.plain.execute(
        "update {gate} set lease_until_ms = 0 where state = 'paused' and tenant_id = ?", tenant.tenant_id
    )

    assert ground.write(tenant) is None

    holder = ground.store.runs.holder(tenant.tenant_id)
    assert holder is not None
    assert holder.phase == phase
    assert _second(ground, tenant).outcome == "switched"
    assert _changed_nothing(ground, process, tenant)["error"]["code"] in {"RUN_LOST", "STORE_UNREACHABLE"}
    assert ground.require_whole(tenant, "split") == 2
    ground.require_settled(tenant)
