"""Who writes to the tenants: through the store, through the runtime, and by plain SQL."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from conformance.protocol.application import CREATED, TYPES
from conformance.protocol.bench import Bench, tenants, totals
from conformance.store.history import INSERT, columns, event

FAULTS = ("old generation", "next generation", "unknown type", "seq too small", "seq too large")

entities = st.sampled_from(("a", "b"))


class Writers(Bench):
    """The rules of writers; whether an event is taken, and why not, is known before it is written."""

    @rule(
        tenant_id=tenants,
        entity_id=entities,
        number=st.integers(0, 2),
        total=totals,
        way=st.sampled_from(("store", "runtime", "sql", "import")),
    )
    def write(self, tenant_id: str, entity_id: str, number: int, total: int, way: str) -> None:
        """An event that is right in all but, perhaps, the moment."""
        types = TYPES[self.ledgers[tenant_id].version]
        self._write(tenant_id, entity_id, types[number % len(types)], total, way)

    @rule(tenant_id=tenants, fault=st.sampled_from(FAULTS), way=st.sampled_from(("store", "runtime", "sql")))
    def write_wrongly(self, tenant_id: str, fault: str, way: str) -> None:
        """An event of an old program, or of one that lost a race."""
        ledger = self.ledgers[tenant_id]
        known = TYPES[ledger.version]
        event_type, generation, seq = known[0], ledger.generation, ledger.next_seq("a")
        if fault == "unknown type":
            event_type = next(name for names in TYPES.values() for name in (*names, "never") if name not in known)
        elif fault == "seq too small":
            seq -= 1
        elif fault == "seq too large":
            seq += 1
        elif way == "runtime":
            return  # it names no generation
        else:
            generation += 1 if fault == "next generation" else -1
        self._write(tenant_id, "a", event_type, 1, way, generation=generation, seq=seq)

    def _write(
        self,
        tenant_id: str,
        entity_id: str,
        event_type: str,
        total: int,
        way: str,
        *,
        generation: int | None = None,
        seq: int | None = None,
    ) -> None:
        """Write an event; whether it is taken, and why not, is known before."""
        ledger, found = self.ledgers[tenant_id], self.seen[tenant_id]
        generation = ledger.generation if generation is None else generation
        seq = ledger.next_seq(entity_id) if seq is None else seq
        reasons = {
            "TENANT_PAUSED": found.is_paused(self._now()),
            "STALE_GENERATION": generation != ledger.generation,
            "UNKNOWN_EVENT_TYPE": event_type not in TYPES[ledger.version],
            "WRONG_SEQ": seq != ledger.next_seq(entity_id),
            "RUN_HELD": way == "import" and found.holder is not None,
            "RUN_ABANDONED": way == "import" and found.holder is not None,
            "GATE_HELD": way == "import" and found.gate.state == "paused",
            "STORE_LOCKED": way == "import" and self._is_written(tenant_id),
        }
        expected = {code for code, applies in reasons.items() if applies}
        one = event(entity_id, seq, event_type, tenant_id=tenant_id, payload={"total": total}, ts=seq)
        name = f"write by {way}"
        with self.acting(tenant_id) as written:
            if way == "sql":
                values = columns(one, generation, payload=f'{{"total": {total}}}')
                outcome = self._attempt(name, lambda: self.plain.execute(INSERT, *values))
            elif way == "runtime":
                outcome = self._attempt(name, lambda: self.runtime.append(tenant_id, [one]))
            elif way == "store":
                outcome = self._attempt(name, lambda: self.writer.append(tenant_id, [one], generation=generation))
            else:
                outcome = self._attempt(
                    name,
                    lambda: self.writer.import_events(tenant_id, [one], generation=generation, actor_id="ida"),
                )
            written.refused = outcome != "ok"
            if outcome == "ok":
                written.events.append((entity_id, event_type, total))
        lapsed = expected <= {"GATE_HELD"}  # a pause that ran out is over for an import too
        assert outcome in expected or (outcome == "ok" and lapsed), f"{way}: {outcome}, expected {expected or 'ok'}"

    @rule(tenant_id=tenants, number=st.integers(1, 3))
    def execute(self, tenant_id: str, number: int) -> None:
        """A command with an id, which may have been carried out before, also under another version."""
        ledger, found, command_id = self.ledgers[tenant_id], self.seen[tenant_id], f"command-{number}"
        repeated = command_id in ledger.receipts
        results: list[Any] = []
        with self.acting(tenant_id) as written:
            outcome = self._attempt(
                "command again" if repeated else "command",
                lambda: results.append(
                    self.runtime.execute(
                        tenant_id,
                        "Order",
                        f"c{number}",
                        "create",
                        {"total": number},
                        actor="ann",
                        now=1,
                        command_id=command_id,
                    )
                ),
            )
            written.refused = outcome != "ok" or repeated
            if outcome == "ok" and not repeated:
                ledger.receipts.add(command_id)
                written.events += [(f"c{number}", name, number) for name in CREATED[ledger.version]]
        assert (outcome == "ok") == (repeated or not found.is_paused(self._now()))
        assert outcome != "ok" or results[0].repeated == repeated

    @precondition(lambda self: not self.desk.one_writer and self.open_event is None)
    @rule(tenant_id=tenants, total=totals)
    def begin_to_write(self, tenant_id: str, total: int) -> None:
        """A program inserts an event in a transaction that it leaves open."""
        ledger = self.ledgers[tenant_id]
        event_type, seq = TYPES[ledger.version][0], ledger.next_seq("open")
        values = columns(event("open", seq, event_type, tenant_id=tenant_id, ts=seq), ledger.generation)
        self.open_writer = self._plain()
        self.open_writer.begin()
        with self.acting(tenant_id):
            outcome = self._attempt(
                "begin to write",
                lambda: self.open_writer.execute(INSERT, *values[:6], f'{{"total": {total}}}', *values[7:]),
            )
        if outcome == "ok":
            self.open_event = (tenant_id, "open", event_type, total)
        else:
            self.open_writer.close()
        assert (outcome == "TENANT_PAUSED") == self.seen[tenant_id].is_paused(self._now())

    @precondition(lambda self: self.open_event is not None)
    @rule(commits=st.sampled_from((True, True, False)))
    def end_writing(self, commits: bool) -> None:
        """The open transaction ends; what it commits is acknowledged, whatever happened since."""
        assert self.open_event is not None
        assert self.open_writer is not None
        tenant_id, *what = self.open_event
        self.open_event = None
        with self.acting(tenant_id) as written:
            if commits:
                self.open_writer.commit()
                written.events.append(tuple(what))  # type: ignore[arg-type]
            self.open_writer.close()
        self._note("end writing", "committed" if commits else "rolled back")
