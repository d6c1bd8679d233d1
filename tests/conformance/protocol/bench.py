"""What the state machine stands on: one real store, a ledger beside it, and the look around each rule.

Every rule is about one tenant. Around each stands `acting`, which looks at the whole store before and after and checks the
nine invariants of the protocol; each check names the number of its invariant.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from cicsc.errors import CicscError
from cicsc.runtime import Runtime
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.protocol import Store
from conformance.protocol.application import BUNDLES
from conformance.protocol.ledger import Ledger
from conformance.protocol.seen import look
from conformance.protocol.walk import Walk
from conformance.store.desk import Desk, Plain, RefusedError

TENANTS = ("t", "'; drop table event; --")
OPERATORS = 3
LEASE_S = 600

tenants = st.sampled_from(TENANTS)
totals = st.sampled_from((1, 2, 3, 4, -1))


class Written:
    """What a rule wrote: events (entity, type, total), or nothing because it was refused."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, int]] = []
        self.refused = False


class Bench(RuleBasedStateMachine):
    """One store, from empty to the end of an example."""

    new_desk: ClassVar[Callable[[], tuple[Desk, Callable[[], None]]]]
    """Gives an empty database, and how to be rid of it."""

    tally: ClassVar[Counter[tuple[str, str]]]
    """How often which rule ended how; "ok" where nothing was refused."""

    def __init__(self) -> None:
        super().__init__()
        self.desk, self.give_back = self.new_desk()
        self.stores: list[Store | None] = [None] * OPERATORS
        self.walks: list[Walk | None] = [None] * OPERATORS
        self.desk.initialised().close()
        self.writer = self._open()
        self.runtime = Runtime(self.writer)
        self.plain = self._plain()
        self.open_writer: Plain | None = None
        self.open_event: tuple[str, str, str, int] | None = None
        self.moved: dict[str, tuple[str | None, int]] = {}
        self.is_sound = True
        for bundle in BUNDLES.values():
            self.writer.put_bundle(bundle)
        for tenant_id in TENANTS:
            self.writer.create_tenant(tenant_id, bundle_digest=BUNDLES[1].digest, version=1, actor_id="ann")
        self.seen = look(self.plain)
        self.ledgers = {name: Ledger(found) for name, found in self.seen.items()}

    def _open(self) -> Store:
        return PostgresStore(self.desk.url, wait_s=0.05) if not self.desk.one_writer else self.desk.open()

    def _plain(self) -> Plain:
        plain = self.desk.plain()
        if not self.desk.one_writer:
            plain.execute("set lock_timeout = '2s'")
        return plain

    def _store(self, operator: int) -> Store:
        store = self.stores[operator]
        if store is None:
            store = self.stores[operator] = self._open()
        return store

    def _now(self) -> float:
        return time.time() * 1000

    def _is_written(self, tenant_id: str) -> bool:
        """Tell whether a transaction that has written is open."""
        return self.open_event is not None and self.open_event[0] == tenant_id

    def _note(self, name: str, outcome: str) -> None:
        self.tally[name, outcome] += 1

    @contextmanager
    def acting(
        self, tenant_id: str, *, walk: Walk | None = None, drops: bool = False, by_force: bool = False
    ) -> Iterator[Written]:
        """Check what a rule about one tenant did; the events that it wrote are put into what this gives.

        `drops` says that a run may remove old generations, `by_force` that the tenant may be taken from who has it.
        """
        before, written, now_ms = self.seen, Written(), self._now()
        owned = walk is None or walk.owns(before[tenant_id], now_ms)
        self.is_sound = False
        yield written
        after = self.seen = look(self.plain)
        for name in before:
            assert name == tenant_id or before[name] == after[name], f"9: a rule about {tenant_id!r} changed {name!r}"
        old, new, ledger = before[tenant_id], after[tenant_id], self.ledgers[tenant_id]
        if not owned:
            assert old == new, "5: a step by a run that no longer owns the tenant changed something"
        if written.refused:
            assert old == new, "a refused write changed something"
        if not by_force and old.is_held(now_ms) and (walk is None or walk.run_id != old.gate.owner):
            assert (old.gate.owner, old.gate.epoch) == (new.gate.owner, new.gate.epoch), "taken from who still has it"
        if new.gate.active_generation != ledger.generation:
            assert walk is not None, "4: another generation is active, and no run switched"
            assert walk.run_id is not None
            ledger.switch(old, new, walk.run_id)
        if written.events:
            ledger.acknowledge(new, written.events)
        ledger.compare(new, may_drop=drops and owned, now_ms=self._now())
        for run_id, run in new.runs.items():
            if run.phase == "ABORTED" and run_id in old.runs and old.runs[run_id].phase != "ABORTED":
                rows = (old.rows(run.source_generation), new.rows(run.source_generation))
                assert rows[0] == rows[1], "8: an aborted run changed the old history"
                assert new.gate.active_generation == run.source_generation, "8: an aborted run switched"
        self.is_sound = True

    def _attempt(self, name: str, work: Callable[[], object], *, quiet: bool = False) -> Any:
        """Do something that may be refused; return "ok", or the refusal's code (the refusal itself where `quiet`)."""
        try:
            work()
        except (CicscError, RefusedError) as error:
            self._note(name, error.code)
            return error if quiet else error.code
        self._note(name, "ok")
        return "ok"
