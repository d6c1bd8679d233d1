"""Every kind of change is stopped after each of its commits; everything that another operator can order is refused then.

The first goes on to its end, or has been taken over, or its lease was over when it went on: then it switches nothing more.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from cicsc.errors import CicscError
from cicsc.operations.live.pausing import pause_tenant, resume_tenant
from cicsc.operations.live.recovery import recover_tenant
from cicsc.store.protocol import Store
from cicsc.store.records import BEFORE_SWITCH, Run
from crash import scenarios
from crash.application import late_event
from crash.fork_server import DyingProcess, ForkServer
from crash.ground import Ground, Tenant

LEASE_S = 60.0

COMMITS = {"cutover": 9, "reactivate": 8, "inverse": 9, "finalize": 5, "import": 2}
"""The transactions of each on a file; the last gives the tenant back. An import makes snapshots after it has done so."""

SCENARIO = {"reactivate": "rollback", "inverse": "rollback"}

CHANGES = pytest.mark.parametrize("change", COMMITS)


def _reported(report: Any) -> tuple[str, str]:
    """The code of a report, and all that is said."""
    return report.error["code"], f"{report.error['message']} {report.error['hint']}"


def _raised(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(CicscError) as caught:
        call()
    return caught.value.code, f"{caught.value.message} {caught.value.hint}"


def _changed(name: str, **more: Any) -> Callable[[Store, str, Run], tuple[str, str]]:
    return lambda store, tenant_id, run: _reported(
        scenarios.SCENARIOS[name](store, tenant_id, lease_s=LEASE_S, operator="second", **more)
    )


def _import(store: Store, tenant_id: str, run: Run) -> tuple[str, str]:
    events, generation = [late_event(tenant_id, 0)], store.gate(tenant_id).active_generation
    return _raised(lambda: store.import_events(tenant_id, events, generation=generation, actor_id="second"))


def _pause(store: Store, tenant_id: str, run: Run) -> tuple[str, str]:
    return _raised(lambda: pause_tenant(store, tenant_id, seconds=1, owner="second"))


def _resume(store: Store, tenant_id: str, run: Run) -> tuple[str, str]:
    return _raised(lambda: resume_tenant(store, tenant_id, owner="second", epoch=run.epoch))


def _recover(store: Store, tenant_id: str, run: Run) -> tuple[str, str]:
    return _raised(lambda: recover_tenant(store, tenant_id, actor_id="second"))


ORDERS = {
    "cutover": _changed("cutover", migration="rename"),
    "rollback": _changed("rollback", migration="rename"),
    "finalize": _changed("finalize"),
    "import": _import,
    "pause": _pause,
    "resume": _resume,
    "recover": _recover,
}
"""What another operator may order meanwhile, each told with a code and words."""

CODES = {"import": {"RUN_HELD", "TENANT_PAUSED"}, "resume": {"GATE_LOST"}}


def _orders(ground: Ground, tenant: Tenant) -> list[str]:
    """What can be ordered of a tenant as it stands; any more finds nothing to do, or no way back."""
    gate = ground.gate(tenant)
    old = {*ground.store.runs.generations(tenant.tenant_id)} - {gate.active_generation, gate.staging_generation}
    left_out = {"rollback" if gate.active_version == 1 else "cutover"} | (set() if old else {"finalize"})
    return [name for name in ORDERS if name not in left_out]


class Stopped(NamedTuple):
    """A change that has stopped after one of its commits, and the tenant as it was before it and is then."""

    tenant: Tenant
    process: DyingProcess
    run: Run
    generation: int


def _stopped(ground: Ground, forks: ForkServer, change: str, number: int) -> Stopped:
    tenant = ground.add_empty_tenant() if change == "import" else ground.add_tenant()
    tenant.may_lose_old = change == "finalize"
    if change in {"reactivate", "inverse", "finalize"}:
        assert scenarios.cutover(ground.store, tenant.tenant_id, migration="rename", lease_s=LEASE_S).ok
        assert change != "inverse" or ground.write(tenant) is None
    options: dict[str, Any] = {"operator": "first"}
    if change != "import":
        options["lease_s"] = LEASE_S
    if change in {"cutover", "reactivate", "inverse"}:
        options["migration"] = "rename"
    generation = ground.gate(tenant).active_generation
    ground.leave()
    name = SCENARIO.get(change, change)
    process = forks.start(name, ground.url, tenant.tenant_id, options, (int(signal.SIGSTOP), "after", number))
    assert process.wait() == "stopped"
    run = ground.store.runs.holder(tenant.tenant_id)
    assert run is not None
    return Stopped(tenant, process, run, generation)


def _numbers(ground: Ground, change: str) -> range:
    """After which commits somebody has the tenant."""
    return range(1, COMMITS[change] + (not ground.is_file and change not in {"finalize", "import"}))


def _goes_on(ground: Ground, stopped: Stopped) -> dict[str, Any]:
    stopped.process.go_on()
    assert stopped.process.wait() == "exited"
    ground.until_gone()
    assert stopped.process.answer is not None
    return stopped.process.answer


def _require_whole(ground: Ground, stopped: Stopped) -> None:
    if not stopped.tenant.before:  # an import
        stopped.tenant.before = ground.generation(stopped.tenant, 1)
    if ground.store.head(stopped.tenant.tenant_id).count:
        ground.require_whole(stopped.tenant, "rename")
        ground.require_settled(stopped.tenant)


@CHANGES
def test_everybody_else_is_refused_and_told_who_has_the_tenant(ground: Ground, forks: ForkServer, change: str) -> None:
    phases = set()
    for number in _numbers(ground, change):
        stopped = _stopped(ground, forks, change, number)
        tenant_id, run = stopped.tenant.tenant_id, stopped.run
        rows = ground.dump(stopped.tenant)

        for name in _orders(ground, stopped.tenant):
            code, words = ORDERS[name](ground.store, tenant_id, run)
            assert code in CODES.get(name, {"RUN_HELD"}), (name, run.phase, code, words)
            is_open = name == "resume" and not ground.gate(stopped.tenant).is_paused
            assert is_open or run.run_id in words, (name, run.phase, words)

        assert ground.dump(stopped.tenant) == rows
        assert _goes_on(ground, stopped)["ok"]
        _require_whole(ground, stopped)
        phases.add(run.phase)
    assert phases == {"finalize": {"PLANNED"}, "import": {"PLANNED"}}.get(change, {*BEFORE_SWITCH, "SWITCHED"})


@CHANGES
def test_who_was_taken_over_changes_nothing(ground: Ground, forks: ForkServer, change: str) -> None:
    for number in _numbers(ground, change):
        stopped = _stopped(ground, forks, change, number)
        named = (stopped.run.run_id, stopped.run.epoch)
        recover_tenant(ground.store, stopped.tenant.tenant_id, actor_id="second", take_over=named)
        rows = ground.dump(stopped.tenant)

        answer = _goes_on(ground, stopped)

        assert ground.dump(stopped.tenant) == rows
        had_done_all = stopped.run.phase == "SWITCHED" or (change, number) == ("finalize", COMMITS["finalize"] - 1)
        assert answer["ok"] == had_done_all, answer
        is_new = ground.gate(stopped.tenant).active_generation != stopped.generation
        assert is_new == (stopped.run.phase == "SWITCHED")
        _require_whole(ground, stopped)


@pytest.mark.parametrize("change", ["cutover", "reactivate", "inverse"])
def test_who_goes_on_after_its_lease_does_not_switch(ground: Ground, forks: ForkServer, change: str) -> None:
    for number in _numbers(ground, change):
        stopped = _stopped(ground, forks, change, number)
        tenant_id = stopped.tenant.tenant_id
        ground.plain.execute("update {cutover} set lease_until_ms = 1 where run_id = ?", stopped.run.run_id)
        ground.plain.execute("update {gate} set lease_until_ms = 1 where state = 'paused' and tenant_id = ?", tenant_id)
        was_switched = stopped.run.phase == "SWITCHED"
        assert ground.write(stopped.tenant) is None

        answer = _goes_on(ground, stopped)

        assert answer["ok"] == was_switched
        # Its lease was ended for it, which it cannot tell from a loss while its own clock says that there is time left.
        assert was_switched or answer["error"]["code"] in {"LEASE_OVER", "RUN_LOST"}
        assert (ground.gate(stopped.tenant).active_generation != stopped.generation) == was_switched
        _require_whole(ground, stopped)
