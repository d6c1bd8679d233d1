"""What the fence in a SQLite file refused, told with names: its triggers can only say a code."""

from __future__ import annotations

from cicsc.errors import FenceError
from cicsc.store.encoding import EventRow
from cicsc.store.records import Gate
from cicsc.store.sqlite.database import Database


def unknown_tenant(tenant_id: str) -> FenceError:
    """Make the error for a tenant that was not created here."""
    return FenceError(
        "UNKNOWN_TENANT",
        f"tenant {tenant_id!r} has no gate: expected a tenant that was created",
        hint="run tenant-create",
    )


def paused(gate: Gate) -> FenceError:
    """Make the error for a write while the tenant is paused."""
    return FenceError(
        "TENANT_PAUSED",
        f"tenant {gate.tenant_id!r} is paused by {gate.owner!r} until {gate.lease_until_ms}",
        hint="nothing was written; try again when the pause is over",
    )


def stale_generation(gate: Gate, generation: int) -> FenceError:
    """Make the error for a write into a generation that is not the active one."""
    return FenceError(
        "STALE_GENERATION",
        f"cannot write into generation {generation} of tenant {gate.tenant_id!r}: "
        f"expected the active generation {gate.active_generation}",
        hint="nothing was written; the tenant was moved to another version, so look at it again",
    )


def explained(error: FenceError, database: Database, gate: Gate, generation: int, row: EventRow) -> FenceError:
    """Return the refusal of an event, with what was found and what was expected."""
    entity_type, entity_id, seq, event_type = row[:4]
    match error.code:
        case "TENANT_PAUSED":
            return paused(gate)
        case "STALE_GENERATION":
            return stale_generation(gate, generation)
        case "UNKNOWN_EVENT_TYPE":
            return FenceError(
                error.code,
                f"event type {event_type!r} of entity type {entity_type!r} has no reducer in the active bundle "
                f"{gate.active_bundle} of tenant {gate.tenant_id!r}",
                hint="nothing was written; the program that writes belongs to another version of the application",
            )
        case "WRONG_SEQ":
            key = (gate.tenant_id, entity_type, entity_id)
            (last,) = database.rows("last_seq", (gate.tenant_id, generation, entity_type, entity_id))
            return FenceError(
                error.code,
                f"cannot append to stream {key!r}: expected seq {last[0] + 1}, found {seq}",
                hint="nothing was written; read the stream again, then try again",
            )
    return error
