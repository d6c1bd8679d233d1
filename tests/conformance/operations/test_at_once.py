"""Several tenants at once, where processes cannot be had, or a signal comes between two tenants."""

from __future__ import annotations

from errno import EAGAIN
from itertools import count
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import pytest

import cicsc
from cicsc.report.live.models import Cutovers
from cicsc.store.protocol import Store
from conformance.operations.conftest import TENANTS
from conformance.store.desk import Desk
from e2e.shop import target


def cutover(url: str) -> Cutovers:
    return cicsc.cutover_pause_migrate_resume(url, None, target(), "v0_to_v1", execute=True, parallel=2)


def versions(store: Store) -> list[int]:
    return [gate.active_version for gate in store.gates()]


def refuse_starts(monkeypatch: pytest.MonkeyPatch, *refused: int) -> None:
    """Let the system have no process to give for the first start, the second, and so on."""
    start, numbers = SpawnProcess.start, count(1)

    def start_or_not(process: SpawnProcess) -> None:
        if next(numbers) in refused:
            raise BlockingIOError(EAGAIN, "Resource temporarily unavailable")
        start(process)

    monkeypatch.setattr(SpawnProcess, "start", start_or_not)


def test_fewer_processes_than_wanted_do_the_work(store: Store, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_starts(monkeypatch, 2)

    report = cutover(desk.url)

    assert (report.ok, report.counts) == (True, {"switched": 3})


def test_no_process_at_all_begins_no_tenant(store: Store, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_starts(monkeypatch, 1)

    report = cutover(desk.url)

    assert (report.ok, report.exit_code, report.counts) == (False, 3, {"not_begun": 3})
    assert report.error["code"] == "WORKERS_FAILED"
    assert versions(store) == [0, 0, 0]


def test_a_signal_between_two_tenants_of_a_process_loses_no_report(
    store: Store, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when a report has been heard, and the next tenant was named to the process."""
    send, named = Connection.send, count(1)

    def send_then_signal(connection: Connection[object, object], value: object) -> None:
        send(connection, value)
        if value in TENANTS and next(named) == 3:  # after one for each process
            raise KeyboardInterrupt

    monkeypatch.setattr(Connection, "send", send_then_signal)

    report = cutover(desk.url)

    told = {tenant.tenant_id: tenant.outcome == "switched" for tenant in report.tenants}
    assert told == {gate.tenant_id: gate.active_version == 1 for gate in store.gates()}
    assert report.not_moved == [tenant for tenant, is_moved in told.items() if not is_moved]
