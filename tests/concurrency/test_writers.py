"""Many programs write while their tenant is cut over again and again; nothing that was acknowledged to them is lost.

`make writers`, and `make full`, run it in full, with 32 writers, 200 cutovers, 50 rollbacks and 100,000 events for each kind of store. Otherwise it is
small. The history of a tenant is copied by each cutover, so the writers go on to another tenant after some.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from cicsc.store.check import check_store
from concurrency.ledgers import RIGHT, judge
from concurrency.rounds import Measures, Writers, create_tenant, move, timed_store
from conformance.store.desk import Desk
from sizes import FULL


class Size(NamedTuple):
    """How much a run does for each kind of store."""

    writers: int
    think_s: float
    """how long a writer waits at most before it writes again"""
    tenants: int
    moves: int
    """of each tenant: cutovers, but every fourth a rollback"""
    events: int
    """acknowledged at least, in all"""

    @property
    def total_moves(self) -> int:
        """How often tenants are moved."""
        return self.tenants * self.moves


LARGE = Size(writers=32, think_s=0.15, tenants=25, moves=10, events=100_000)
SMALL = Size(writers=8, think_s=0.03, tenants=3, moves=4, events=5_000)
SIZE = LARGE if FULL or os.environ.get("CICSC_WRITERS") == "full" else SMALL

FENCE_WAIT_MS_MAX = 5_000
"""The bound of the wait for the fence: a store gives up after this time (`WAIT_S`), and the tenant stays open."""


@pytest.mark.slow
def test_writers_lose_nothing_to_cutovers_and_rollbacks(desk: Desk, tmp_path: Path) -> None:
    desk.initialised().close()
    measures = Measures()
    with timed_store(desk.url) as store, Writers(desk.url, tmp_path, SIZE.writers, SIZE.think_s) as writers:
        ledgers = writers.ledgers
        tenants = [f"tenant {number}" for number in range(SIZE.tenants)]
        for number, tenant_id in enumerate(tenants):
            create_tenant(store, tenant_id)
            writers.work_on(tenant_id)
            for step in range(SIZE.moves):
                writers.wait_for_events(SIZE.events * (number * SIZE.moves + step + 1) // SIZE.total_moves)
                measures.rounds.append(move(store, tenant_id, writers, back=step % 4 == 3))
        writers.stop()
        sys.stdout.write(f"\n{desk.url.partition(':')[0]}: {measures.summary(ledgers)}\n")

        assert {tenant_id: judge(store, tenant_id, ledgers) for tenant_id in tenants} == dict.fromkeys(tenants, RIGHT)
        assert check_store(store).counts == {}
    assert ledgers.events.total() >= SIZE.events
    assert any(version < now for version, now in ledgers.repeated), "no command was asked for again after a cutover"
    assert any(version > now for version, now in ledgers.repeated), "no command was asked for again after a rollback"
    assert [entry for entry in measures.rounds if not (entry.blocked and entry.refused and entry.switched_over)] == []
    assert [entry for entry in measures.rounds if entry.inside or entry.waited_ms > FENCE_WAIT_MS_MAX] == []
