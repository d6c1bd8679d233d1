"""Imports are killed around every commit, at the calls of the driver and at any instant: all of a history is there, or nothing.

Whatever happened, the tenant is open, and the next import makes it whole, also where who came next was killed as well.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from itertools import count
from typing import Any

import pytest

from crash import scenarios
from crash.application import digest_of
from crash.conftest import RUNS
from crash.fork_server import Death, ForkServer
from crash.ground import Ground, Tenant, facts

COMMITS = 3
"""The transactions of an import: begin, write and end, snapshots."""

CALLS_STEP = 1 if RUNS else 11
"""At every which call of the driver a process is killed."""

INSTANTS = 100 if RUNS else 6
"""How many are killed at any instant."""


class Importers:
    """Processes that import the history of a tenant, and what is seen of those that are killed."""

    def __init__(self, ground: Ground, forks: ForkServer) -> None:
        self._ground = ground
        self._forks = forks
        self.seen: Counter[str] = Counter()

    def usual_s(self) -> float:
        """How long an import takes that nobody kills."""
        began = time.monotonic()
        assert self.run(self._ground.add_empty_tenant(), None) == "exited"
        return time.monotonic() - began

    def run(self, tenant: Tenant, death: Death | None, *, after_s: float | None = None) -> str:
        """Let one import; tell how it ended."""
        self._ground.leave()
        process = self._forks.start("import", self._ground.url, tenant.tenant_id, {}, death)
        if after_s is not None:
            time.sleep(after_s)
            process.kill()
        ended = process.wait()
        self._ground.until_gone()
        assert process.answer is None or process.answer["ok"], facts(process.answer)
        return ended

    def tell(self, death: Death | None, *, after_s: float | None = None, twice: bool = False) -> bool:
        """Let an import die, and another after it if `twice`; tell whether the first one did."""
        tenant = self._ground.add_empty_tenant()
        deaths = 0
        for _ in range(1 + twice):
            if self.run(tenant, death, after_s=after_s) == "killed":
                deaths += 1
                self._look(tenant)
        self._bring_to_an_end(tenant)
        return deaths > 0

    def _look(self, tenant: Tenant) -> None:
        """Require that all of the history is there or nothing, and that a run that is left only has to be ended."""
        ground, gate = self._ground, self._ground.gate(tenant)
        assert (gate.state, gate.active_version, gate.active_generation) == ("open", 1, 1)
        events = ground.store.head(tenant.tenant_id).count
        assert events in {0, len(tenant.source())}
        holder = ground.store.runs.holder(tenant.tenant_id)
        assert holder is None or (holder.kind, holder.phase in {"PLANNED", "ABORTED"}, events) == ("import", True, 0)
        self.seen["all" if events else "nothing"] += 1
        self.seen["left a run"] += holder is not None
        ground.plain.execute("update {cutover} set lease_until_ms = 0 where tenant_id = ?", tenant.tenant_id)

    def _bring_to_an_end(self, tenant: Tenant) -> None:
        ground = self._ground
        report = scenarios.SCENARIOS["import"](ground.store, tenant.tenant_id)
        assert report.ok, facts({"error": report.error})
        assert report.digest == digest_of(tenant.source())
        tenant.before = ground.generation(tenant, 1)
        assert ground.require_whole(tenant, "rename") == 1
        ground.require_settled(tenant)


def test_killed_import_leaves_all_or_nothing(
    ground: Ground, forks: ForkServer, record_property: Any, request: pytest.FixtureRequest
) -> None:
    importers, chance = Importers(ground, forks), random.Random(20261125)
    usual_s = min(importers.usual_s() for _ in range(3))
    kill = int(signal.SIGKILL)

    for when in ("before", "after"):
        for number in count(1):
            if not importers.tell((kill, when, number), twice=number % 2 == 0):
                break
        assert number == COMMITS + 1
    for number in count(1, CALLS_STEP):
        if not importers.tell((kill, "at", number)):
            break
    for _ in range(INSTANTS):
        importers.tell(None, after_s=chance.uniform(0, 1.2 * usual_s))

    seen = ", ".join(f"{number} {name}" for name, number in sorted(importers.seen.items()))
    record_property("crash", f"{request.node.name}: {seen}; {number} calls")
    assert {name for name, number in importers.seen.items() if number} == {"all", "nothing", "left a run"}
