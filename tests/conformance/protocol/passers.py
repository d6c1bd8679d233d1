"""Who comes by when something went wrong, or pauses a tenant, and the clock."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import rule

from cicsc.operations.live.recovery import recover_tenant
from cicsc.store.records import RunPlan
from conformance.protocol.bench import LEASE_S, TENANTS, tenants
from conformance.protocol.seen import RunRow, look
from conformance.protocol.writers import Writers
from conformance.store.history import columns, event

HOUR_MS = 10_000_000
"""How far a lease is moved, in ms: beyond any lease and deadline."""

DISTURBANCES: dict[str, Callable[[Passers, str], None]] = {
    "recover": lambda machine, tenant_id: machine.recover(tenant_id),
    "take over": lambda machine, tenant_id: machine.take_over(tenant_id, is_stale=False),
    "take over, stale": lambda machine, tenant_id: machine.take_over(tenant_id, is_stale=True),
    "claim and crash": lambda machine, tenant_id: machine.claim_and_crash(tenant_id),
    "import and crash": lambda machine, tenant_id: machine.begin_import_and_crash(tenant_id),
    "pause": lambda machine, tenant_id: machine.pause(tenant_id),
    "resume": lambda machine, tenant_id: machine.resume(tenant_id, is_stale=False),
    "resume, stale": lambda machine, tenant_id: machine.resume(tenant_id, is_stale=True),
    "spoil": lambda machine, tenant_id: machine.spoil(tenant_id),
    "lease ends": lambda machine, tenant_id: machine.let_lease_end(tenant_id),
    "clock set back": lambda machine, tenant_id: machine.set_clock_back(tenant_id),
}


class Passers(Writers):
    """The rules of those who have no run of their own."""

    @rule(tenant_id=tenants, how=st.sampled_from(sorted(DISTURBANCES)))
    def disturb(self, tenant_id: str, how: str) -> None:
        """Whoever is no writer and has no run does something to a tenant."""
        DISTURBANCES[how](self, tenant_id)

    def recover(self, tenant_id: str) -> None:
        """Whoever comes brings a run that has died to its end; a second one finds nothing left to do."""
        run = self.seen[tenant_id].holder
        with self.acting(tenant_id):
            outcome = self._attempt("recover", lambda: recover_tenant(self.writer, tenant_id, actor_id="eve"))
        if outcome == "ok":
            self._follow(run)
            once = self.seen[tenant_id]
            assert recover_tenant(self.writer, tenant_id, actor_id="eve") is None, "6: found something twice"
            assert look(self.plain)[tenant_id] == once, "6: recovering twice is not recovering once"

    def take_over(self, tenant_id: str, is_stale: bool) -> None:
        """An operator says that a run is dead, by its epoch; a stale one is refused."""
        run = self.seen[tenant_id].holder
        if run is None:
            return
        epoch = run.epoch - is_stale
        with self.acting(tenant_id, by_force=not is_stale):
            outcome = self._attempt(
                "take over" if not is_stale else "take over, stale epoch",
                lambda: recover_tenant(self.writer, tenant_id, actor_id="eve", take_over=(run.run_id, epoch)),
            )
        if outcome == "ok":
            self._follow(run)
        # Writes under way are waited for before the epoch is looked at.
        assert not is_stale or outcome in {"RUN_LOST", "STORE_LOCKED"}, "5: a take-over of what has moved on"

    def claim_and_crash(self, tenant_id: str) -> None:
        """A recovery dies after its first step, so that another has to recover it."""
        run = self.seen[tenant_id].holder
        if run is None:
            return
        with self.acting(tenant_id):
            outcome = self._attempt(
                "claim and crash",
                lambda: self.writer.runs.claim(tenant_id, run.run_id, lease_s=LEASE_S, actor_id="eve"),
            )
        if outcome == "ok":
            self._follow(run)

    def _follow(self, run: RunRow | None) -> None:
        """From here on a run is not that of the process which began it."""
        for walk in self.walks:
            if walk is not None and run is not None and walk.run_id == run.run_id:
                walk.is_lost = True

    def begin_import_and_crash(self, tenant_id: str) -> None:
        """An import dies when it has taken the tenant, which stays open."""
        plan = RunPlan("import", "ida")
        with self.acting(tenant_id):
            run_id = f"import-{len(self.seen[tenant_id].runs)}-{TENANTS.index(tenant_id)}"
            self._attempt(
                "begin import", lambda: self.writer.runs.begin(tenant_id, run_id, plan, lease_s=LEASE_S), quiet=True
            )

    def pause(self, tenant_id: str) -> None:
        """An operator pauses a tenant for a while."""
        with self.acting(tenant_id):
            self._attempt("pause", lambda: self.writer.pause(tenant_id, owner="ops", seconds=LEASE_S))

    def resume(self, tenant_id: str, is_stale: bool) -> None:
        """An operator ends a pause, by its epoch; that of a run cannot be ended so."""
        gate = self.seen[tenant_id].gate
        if gate.state == "open":
            return
        epoch = gate.epoch - is_stale
        with self.acting(tenant_id, by_force=gate.owner == "ops" and not is_stale):
            outcome = self._attempt("resume", lambda: self.writer.resume(tenant_id, owner="ops", epoch=epoch))
        assert (outcome == "ok") == (gate.owner == "ops" and not is_stale)

    def spoil(self, tenant_id: str) -> None:
        """A program that says it is the run writes into what the run has staged."""
        gate = self.seen[tenant_id].gate
        if gate.owner is None or gate.staging_generation is None or self._is_written(tenant_id):
            return
        row = columns(event("spoilt", 1, tenant_id=tenant_id), gate.staging_generation, payload='{"total": 1}')

        def write() -> None:
            assert gate.owner is not None
            assert gate.staging_generation is not None
            claimed = {"owner": gate.owner, "epoch": gate.epoch}
            with self.desk.as_owner(self.plain, tenant_id, gate.staging_generation, **claimed):
                self.desk.put_staged(self.plain, row, 1, 7)

        with self.acting(tenant_id):
            if self._attempt("spoil", write) == "ok":
                self.ledgers[tenant_id].spoilt.add(gate.owner)

    # -------------------------------------------------------------------------------------------- the clock

    def let_lease_end(self, tenant_id: str) -> None:
        """So much time passes that the lease of whoever has the tenant is over, and its deadline."""
        gate = self.seen[tenant_id].gate
        is_over = self.moved.get(tenant_id) == (gate.owner, gate.epoch)
        if gate.owner is not None and not is_over and self._move_clock(tenant_id, -HOUR_MS, "lease ends"):
            self.moved[tenant_id] = (gate.owner, gate.epoch)

    def set_clock_back(self, tenant_id: str) -> None:
        """The clock is set back to before the lease was over, as the wall clock of SQLite can be."""
        gate = self.seen[tenant_id].gate
        is_over = self.moved.get(tenant_id) == (gate.owner, gate.epoch)
        if gate.owner is not None and is_over and self._move_clock(tenant_id, HOUR_MS, "clock is set back"):
            del self.moved[tenant_id]
            self.ledgers[tenant_id].clock_moved.add(gate.owner)

    def _move_clock(self, tenant_id: str, by_ms: int, name: str) -> bool:
        """Move the lease and the deadline of a tenant, which is what the clock does to them."""
        gate = self.seen[tenant_id].gate
        if gate.state == "paused" and self._is_written(tenant_id):
            return False  # who writes holds the gate's row
        for table, column in (("gate", "lease_until_ms"), ("gate", "pause_deadline_ms"), ("cutover", "lease_until_ms")):
            names = "owner" if table == "gate" else "run_id"
            with_pause = "and state = 'paused'" if table == "gate" else ""
            self.plain.execute(
                f"update {{{table}}} set {column} = {column} + ? where tenant_id = ? and {names} = ? {with_pause}",
                by_ms,
                tenant_id,
                gate.owner,
            )
        self.seen = look(self.plain)
        self._note(name, "paused" if gate.state == "paused" else "open")
        return True
