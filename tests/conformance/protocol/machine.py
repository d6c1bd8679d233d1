"""The protocol as a state machine: operators, writers, crashes and the clock come in any order, on a real store.

Rules are also called by hand (`test_walks.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from cicsc.errors import CicscError, FenceError, StoreError
from cicsc.store.check import check_store
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import Run
from conformance.protocol.application import BUNDLES, TYPES
from conformance.protocol.bench import LEASE_S, OPERATORS, TENANTS, tenants
from conformance.protocol.passers import Passers
from conformance.protocol.walk import BEGIN, LOOK, OVER, RECORD, Crash, Walk
from conformance.store.running import staged

PLACES = ("look", "open", "pause", "verify_and_write", "read_back", "switch")
MEANWHILE = (
    "late",
    "late and written",
    "clock set back",
    "recovered",
    "taken over",
    "claimed",
    "written",
    "being written",
    "moved",
    "spoilt",
    "written",
)

THEN = ("go on", "stop", "renew", "do all")

operators = st.integers(0, OPERATORS - 1)
kinds = st.sampled_from(("cutover", "cutover", "rollback", "rollback", "finalize"))

ROW = (1, 0, "Order", "zombie", 1, "created", '{"total":1}', 1, "ann", None)

DEEDS: dict[str, Callable[[Store, Run], object]] = {
    "keep": lambda store, run: store.runs.keep(run, lease_s=LEASE_S),
    "stage": lambda store, run: store.runs.stage(run, staged([ROW])),
    "verify": lambda store, run: store.runs.verified(run, head_digest="0", target_count=0, target_digest="0"),
    "staged": lambda store, run: store.runs.staged(run),
    "switch": lambda store, run: store.runs.switch(run),
    "abort": lambda store, run: store.runs.abort(run, reason="a zombie", lease_s=LEASE_S),
    "finish": lambda store, run: store.runs.finish(run),
    "remove": lambda store, run: store.runs.remove(run, run.target_generation or 1, lease_s=LEASE_S),
    "sweep": lambda store, run: exhaust(store.runs.sweep(run, lease_s=LEASE_S)),
}
"""What a process can still try for a run that it has no more."""


class Protocol(Passers):
    """The rules of operators, and the end of each example."""

    @rule(tenant_id=tenants, kind=kinds)
    def start(self, tenant_id: str, kind: str) -> None:
        """An operator who has nothing to do looks at a tenant; the run begins with a later step.

        There is no way back from the first version, and none forward from the last.
        """
        idle = [number for number, walk in enumerate(self.walks) if walk is None or walk.next == OVER]
        if idle:
            version = self.ledgers[tenant_id].version
            kind = {(1, "rollback"): "cutover", (3, "cutover"): "rollback"}.get((version, kind), kind)
            walk = Walk(self._store(idle[0]), kind, tenant_id, version)
            self.walks[idle[0]] = walk
            self._step(walk)

    @precondition(lambda self: self._busy())
    @rule(operator=operators)
    def advance(self, operator: int) -> None:
        """The next step of a run, whether or not its operator still has the tenant."""
        self._step(self._walk(operator))

    @precondition(lambda self: self._busy())
    @rule(operator=operators, last=st.sampled_from(("open_preflight", "pause", "read_back", "switch", RECORD, RECORD)))
    def advance_beyond(self, operator: int, last: str) -> None:
        """All the steps of a run until a certain one is done, or until it is over."""
        walk = self._walk(operator)
        while walk.next != OVER:
            done = walk.next
            self._step(walk)
            if done == last or (last == "open" and done.startswith("open_")):
                break

    @rule(
        tenant_id=tenants, kind=kinds, last=st.sampled_from(("pause", "verify_and_write", "read_back", RECORD, RECORD))
    )
    def run(self, tenant_id: str, kind: str, last: str) -> None:
        """An operator begins a run, and comes as far as a certain step before others do anything."""
        before = list(self.walks)
        self.start(tenant_id, kind)
        for number, walk in enumerate(self.walks):
            if walk is not before[number] and walk is not None and walk.next != OVER:
                self.advance_beyond(self._busy().index(walk), last)

    def _busy(self) -> list[Walk]:
        """The runs that processes are at, whether or not they still have their tenants."""
        return [walk for walk in self.walks if walk is not None and walk.next != OVER]

    def _walk(self, number: int) -> Walk:
        busy = self._busy()
        return busy[number % len(busy)]

    @precondition(lambda self: self._busy())
    @rule(operator=operators, inside=st.booleans())
    def crash(self, operator: int, inside: bool) -> None:
        """An operator's process is gone, between two steps or in the middle of one; a new one has a store of its own."""
        walk = self._walk(operator)
        place = self.walks.index(walk)
        if inside and walk.next in {"verify_and_write", "read_back", "drop"}:
            step = walk.next
            with self.acting(walk.tenant_id, walk=walk, drops=walk.kind == "finalize"):
                try:
                    walk.crash_inside()
                except Crash:
                    self._note("crash", f"inside {step}")
                except CicscError as error:
                    self._note("crash", error.code)
        else:
            self._note("crash", f"before {walk.next}")
        walk.change.store.close()
        self.walks[place] = self.stores[place] = None

    @precondition(lambda self: self._busy())
    @rule(operator=operators)
    def renew(self, operator: int) -> None:
        """A run says that there is progress, and its lease is prolonged."""
        walk = self._walk(operator)
        if walk.next in {LOOK, BEGIN, RECORD, "end"}:
            return
        kept, walk.next = walk.next, "renew"
        with self.acting(walk.tenant_id, walk=walk):
            self._attempt("renew", walk.renew)
        walk.next = kept

    @precondition(lambda self: self._busy())
    @rule(operator=operators, deed=st.sampled_from(sorted(DEEDS)))
    def act_as_zombie(self, operator: int, deed: str) -> None:
        """A process whose tenant was taken by another does what it was about to do, with what it knew."""
        walk = self._walk(operator)
        run, store = walk.mine, walk.change.store
        if run is None or run.target_generation is None or walk.owns(self.seen[walk.tenant_id], self._now()):
            return
        if not walk.is_lost:
            return  # only its lease is over
        with self.acting(walk.tenant_id, walk=walk):
            assert self._attempt(f"zombie {deed}", lambda: DEEDS[deed](store, run)) != "ok", f"5: {deed} was done"

    @rule(
        tenant_id=tenants,
        kind=kinds,
        last=st.sampled_from(PLACES),
        what=st.sampled_from(MEANWHILE),
        then=st.sampled_from(THEN),
    )
    def meanwhile(self, tenant_id: str, kind: str, last: str, what: str, then: str) -> None:
        """Something that matters happens to the tenant of a run, a new one if there is none, between two of its steps."""
        if all(walk.tenant_id != tenant_id for walk in self._busy()):
            self.start(tenant_id, kind)
        found = [number for number, walk in enumerate(self._busy()) if walk.tenant_id == tenant_id]
        if not found:
            return
        walk = self._walk(found[0])
        if last != LOOK:
            self.advance_beyond(found[0], last)
        self._note(f"meanwhile {what}", f"before {walk.next}")
        self._happen(tenant_id, what)
        if walk in self._busy() and then == "renew":
            self.renew(self._busy().index(walk))
        if walk in self._busy() and then == "do all":
            for deed in DEEDS:
                self.act_as_zombie(self._busy().index(walk), deed)
        while walk.next != OVER:
            self._step(walk)
            if then == "stop":
                break

    def _happen(self, tenant_id: str, what: str) -> None:
        if what in {"late", "late and written", "clock set back", "recovered", "claimed"}:
            self.let_lease_end(tenant_id)
        if what in {"late and written", "clock set back", "written"}:
            self.write(tenant_id, "b", 0, 2, "sql")
        if what == "clock set back":
            self.set_clock_back(tenant_id)
        if what == "recovered":
            self.recover(tenant_id)
        if what == "spoilt":
            self.spoil(tenant_id)
        if what == "moved":
            self.run(tenant_id, "cutover", RECORD)
        if what == "claimed":
            self.claim_and_crash(tenant_id)
        if what == "taken over":
            self.take_over(tenant_id, is_stale=False)
        if what == "being written" and not self.desk.one_writer and self.open_event is None:
            self.begin_to_write(tenant_id, 3)

    def _step(self, walk: Walk) -> None:
        """Take one step of a run; who has the tenant, with a lease that holds and nobody in the way, is not refused."""
        step, tenant_id = walk.next, walk.tenant_id
        found, now = self.seen[tenant_id], self._now()
        owns = walk.owns(found, now) and (walk.run_id is None or found.runs[walk.run_id].lease_until_ms > now)
        with self.acting(tenant_id, walk=walk, drops=walk.kind == "finalize"):
            name = f"{walk.kind} {step}" if owns else f"{walk.kind} {step}, lost"
            outcome = self._attempt(name, walk.take_step, quiet=True)
        if walk.run_id is not None and step == BEGIN:
            self.ledgers[tenant_id].plans[walk.run_id] = self._plan(walk)
        may_fail = not owns or step in {LOOK, BEGIN} or self._is_written(tenant_id)
        if isinstance(outcome, FenceError | StoreError) and not may_fail:
            ledger = self.ledgers[tenant_id]
            reasons = {"HEAD_MOVED": ledger.clock_moved, "STAGING_DIFFERS": ledger.spoilt}
            known = walk.run_id in reasons.get(outcome.code, ())
            assert known, f"refused for no reason: {outcome.code}: {outcome.message}"
        if isinstance(outcome, CicscError) and step == "switch":
            assert self.ledgers[tenant_id].generation == found.gate.active_generation

    def _plan(self, walk: Walk) -> str | None:
        """What the journal must say of the plan: that of a migration from the version on which the run began."""
        if walk.kind != "cutover":
            return None
        source = BUNDLES[self.ledgers[walk.tenant_id].version]
        return walk.change.order.intent(source).digest(None)  # type: ignore[attr-defined]

    # -------------------------------------------------------------------------------------------- the end

    def teardown(self) -> None:
        """However the example left it: when the leases are over, and after one recovery, every tenant is open."""
        try:
            if self.is_sound:  # else what was found first is what is to be told
                self._end()
        finally:
            for plain in (self.plain, self.open_writer):
                if plain is not None:
                    plain.close()
            for store in (self.writer, *self.stores):
                if store is not None:
                    store.close()
            self.give_back()

    def _end(self) -> None:
        if self.open_event is not None:
            self.end_writing(commits=True)
        for tenant_id in TENANTS:
            self._settle(tenant_id)
        check = check_store(self.writer)
        assert check.ok, check.findings

    def _settle(self, tenant_id: str) -> None:
        self.moved.pop(tenant_id, None)
        self.let_lease_end(tenant_id)
        assert not self.seen[tenant_id].is_paused(self._now()), "7: paused although every lease is over"
        self._write(tenant_id, "a", TYPES[self.ledgers[tenant_id].version][0], 1, "sql")
        self.recover(tenant_id)
        found = self.seen[tenant_id]
        assert not found.is_paused(self._now()), "7: paused after recovery"
        assert found.holder is None, "7: a run has the tenant after recovery"
        assert {run.phase for run in found.runs.values()} <= {"DONE", "ABORTED"}, "7: a run is left unfinished"
        self._write(tenant_id, "a", TYPES[self.ledgers[tenant_id].version][0], 1, "runtime")
