"""Gates, runs and the audit, row by row: reading them, and the records that belong into a transaction at hand."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from cicsc.errors import FenceError, UnknownTenantError
from cicsc.store.encoding import encode_text
from cicsc.store.records import Gate, Run
from cicsc.store.refusals import gate_held, run_abandoned, run_held, run_lost, unknown_run
from cicsc.store.session import Session, Value


def exhaust(steps: Iterator[object]) -> None:
    """Take all the steps of a generator that does its work as it is iterated."""
    deque(steps, maxlen=0)


def finish_run(
    database: Session, run: Run, *, report: str | None, detail: Mapping[str, object] = MappingProxyType({})
) -> None:
    """Record the end of a run and give the tenant back, in the transaction at hand."""
    names = names_of(run) | {"now_ms": now_ms(database), "report": report}
    if database.run("finish_run", names) != 1 or database.run("release_gate", names) != 1:
        raise run_lost("end", run, read_gate(database, run.tenant_id))
    record(database, run.tenant_id, run.actor_id, f"{run.kind}-end", {"run": run.run_id, **detail})


def abort_run(database: Session, run: Run, now: int, *, reason: str, lease: int, by: str) -> None:
    """Open the tenant as it was before and record why, in the transaction at hand; `lease` is in milliseconds."""
    gate = read_gate(database, run.tenant_id)
    resumed_at, resumed_by = None, None
    if run.paused_at_ms is not None:
        ended = gate.lease_until_ms is not None and gate.lease_until_ms <= now
        resumed_at, resumed_by = (gate.lease_until_ms, "lease") if ended else (now, by)
    names = names_of(run) | {
        "now_ms": now,
        "resumed_at_ms": resumed_at,
        "resumed_by": resumed_by,
        "reason": reason,
        "lease_until_ms": now + lease,
    }
    if database.run("open_gate", names) != 1 or database.run("abort_run", names) != 1:
        raise run_lost("resume", run, gate)
    record(database, run.tenant_id, run.actor_id, f"{run.kind}-abort", {"run": run.run_id, "reason": reason})


def names_of(run: Run) -> dict[str, Value]:
    """Return what every statement about a run names: its tenant, itself, its epoch."""
    return {"tenant_id": run.tenant_id, "run_id": run.run_id, "epoch": run.epoch}


def now_ms(database: Session) -> int:
    """Return the clock of the database, in milliseconds since the epoch."""
    now = database.value("now")
    assert isinstance(now, int)
    return now


def read_run(database: Session, tenant_id: str, run_id: str) -> Run:
    """Return a run as its journal says; raises UNKNOWN_RUN."""
    row = database.row("run", {"tenant_id": tenant_id, "run_id": run_id})
    if row is None:
        raise unknown_run(tenant_id, run_id)
    return Run(*row)


def holder_of(database: Session, gate: Gate) -> Run | None:
    """Return the run that has a tenant, None where none has."""
    if gate.owner is None:
        return None
    row = database.row("run", {"tenant_id": gate.tenant_id, "run_id": gate.owner})
    return None if row is None else Run(*row)


def taken(database: Session, gate: Gate, now: int) -> FenceError:
    """Return the error that says who has the tenant."""
    run = holder_of(database, gate)
    if run is None:
        return gate_held(gate)
    if max(run.lease_until_ms, gate.lease_until_ms or 0) > now:
        return run_held(gate, run)
    return run_abandoned(run)


def read_gate(session: Session, tenant_id: str) -> Gate:
    """Return the gate of a tenant; raises UNKNOWN_TENANT."""
    row = session.row("gate", (tenant_id,))
    if row is None:
        raise UnknownTenantError(tenant_id)
    return Gate(*row)


def record(session: Session, tenant_id: str | None, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
    """Add an entry to the audit."""
    session.run("put_audit", (tenant_id, actor_id, action, encode_text(detail)))
