"""What the fence in a SQLite file refused, told with names: its triggers can only say a code."""

from __future__ import annotations

from cicsc.errors import FenceError
from cicsc.store.encoding import EventRow
from cicsc.store.records import Gate
from cicsc.store.refusals import paused, refusal, stale_generation, wrong_seq
from cicsc.store.sqlite.database import Database


def explained(error: FenceError, database: Database, gate: Gate, generation: int, row: EventRow) -> FenceError:
    """Return the refusal of an event, with what was found and what was expected."""
    entity_type, entity_id, seq, event_type = row[:4]
    key = (gate.tenant_id, entity_type, entity_id)
    match error.code:
        case "TENANT_PAUSED":
            return paused(gate)
        case "STALE_GENERATION":
            return stale_generation(gate, generation)
        case "UNKNOWN_EVENT_TYPE":
            return refusal(
                error.code,
                f"event type {event_type!r} of entity type {entity_type!r} has no reducer in the active bundle "
                f"{gate.active_bundle} of tenant {gate.tenant_id!r}",
            )
        case "WRONG_SEQ":
            ((last_seq,),) = database.rows("last_seq", (key[0], generation, *key[1:]))
            return wrong_seq(key, last_seq + 1, seq)
    return error
