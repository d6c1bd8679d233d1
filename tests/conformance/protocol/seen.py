"""All that stands in a store, read by plain SQL: what the checks compare."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from conformance.protocol.application import History, Told
from conformance.store.desk import Plain

_EVENT = (
    "tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra, position, ordinal"
)
_STATEMENTS = {
    "event": f"select {_EVENT} from {{event}} order by tenant_id, generation, entity_type, entity_id, seq",
    "snapshot": "select * from {snapshot} order by tenant_id, generation, entity_type, entity_id",
    "command": "select * from {command} order by tenant_id, command_id",
    "audit": "select tenant_id, audit_id, at_ms, actor_id, action, detail from {audit} order by audit_id",
    "tenant": "select * from {tenant} order by tenant_id",
}


class GateRow(NamedTuple):
    """The gate of a tenant."""

    tenant_id: str
    state: str
    epoch: int
    owner: str | None
    lease_until_ms: int | None
    pause_deadline_ms: int | None
    active_version: int
    active_generation: int
    staging_generation: int | None


class RunRow(NamedTuple):
    """What the journal says of a run."""

    tenant_id: str
    run_id: str
    kind: str
    phase: str
    epoch: int
    lease_until_ms: int
    plan_digest: str | None
    method: str | None
    source_generation: int
    target_version: int | None
    target_generation: int | None
    head_position: int
    head_count: int | None
    head_digest: str | None
    target_count: int | None
    target_digest: str | None
    paused_at_ms: int | None
    switched_at_ms: int | None
    resumed_at_ms: int | None
    report: str | None


@dataclass(frozen=True)
class Tenant:
    """Everything about one tenant."""

    gate: GateRow
    runs: dict[str, RunRow]
    tables: dict[str, list[tuple[Any, ...]]]

    def rows(self, generation: int) -> list[tuple[Any, ...]]:
        """The rows of a generation."""
        return [row for row in self.tables["event"] if row[1] == generation]

    def history(self, generation: int) -> History:
        """A generation as the model would tell it; streams must be gapless."""
        found: History = {}
        for row in self.rows(generation):
            events = found.setdefault(row[3], [])
            assert row[4] == len(events) + 1, f"1: stream {row[3]!r} has seq {row[4]} after {len(events)}"
            events.append(Told(row[5], json.loads(row[6])["total"], row[10], row[11]))
        return found

    @property
    def holder(self) -> RunRow | None:
        """The run that has the tenant."""
        return self.runs.get(self.gate.owner or "")

    def is_paused(self, now_ms: float) -> bool:
        """Whether writes are refused."""
        gate = self.gate
        return gate.state == "paused" and gate.lease_until_ms is not None and gate.lease_until_ms > now_ms

    def is_held(self, now_ms: float) -> bool:
        """Whether somebody has the tenant whom nobody may take it from: a run that may live, or an operator who paused it."""
        run = self.holder
        return self.is_paused(now_ms) or (run is not None and run.lease_until_ms > now_ms)


def look(plain: Plain) -> dict[str, Tenant]:
    """Read the store."""
    gates = plain.execute(f"select {', '.join(GateRow._fields)} from {{gate}} order by tenant_id")
    runs = [
        RunRow(*row)  # type: ignore[arg-type]
        for row in plain.execute(f"select {', '.join(RunRow._fields)} from {{cutover}} order by run_id")
    ]
    tables = {name: plain.execute(statement) for name, statement in _STATEMENTS.items()}
    return {
        gate.tenant_id: Tenant(
            gate,
            {run.run_id: run for run in runs if run.tenant_id == gate.tenant_id},
            {name: [row for row in rows if row[0] == gate.tenant_id] for name, rows in tables.items()},
        )
        for gate in (GateRow(*row) for row in gates)  # type: ignore[arg-type]
    }
