"""What a store refuses, told with names: the FenceErrors that every store makes from what it found."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from cicsc.errors import FenceError
from cicsc.history.model import StreamKey
from cicsc.store.records import Gate

HINTS: Final = MappingProxyType(
    {
        "TENANT_PAUSED": "nothing was written; try again when the pause is over",
        "STALE_GENERATION": "nothing was written; the tenant was moved to another version, so look at it again",
        "UNKNOWN_EVENT_TYPE": "nothing was written; the program that writes is of another version of the application",
        "WRONG_SEQ": "nothing was written; read the stream again, then try again",
        "UNKNOWN_TENANT": "run tenant-create",
        "HISTORY_IMMUTABLE": "nothing was changed; a migration writes a new generation beside the old one",
    }
)
"""What to do about each refusal of the fence in the database."""


def refusal(code: str, message: str) -> FenceError:
    """Make the error for what the fence refused."""
    return FenceError(code, message, hint=HINTS.get(code))


def unknown_tenant(tenant_id: str) -> FenceError:
    """Make the error for a tenant that was not created here."""
    return refusal("UNKNOWN_TENANT", f"tenant {tenant_id!r} has no gate: expected a tenant that was created")


def paused(gate: Gate) -> FenceError:
    """Make the error for a write while the tenant is paused."""
    return refusal(
        "TENANT_PAUSED", f"tenant {gate.tenant_id!r} is paused by {gate.owner!r} until {gate.lease_until_ms}"
    )


def stale_generation(gate: Gate, generation: int) -> FenceError:
    """Make the error for a write into a generation that is not the active one."""
    return refusal(
        "STALE_GENERATION",
        f"cannot write into generation {generation} of tenant {gate.tenant_id!r}: "
        f"expected the active generation {gate.active_generation}",
    )


def wrong_seq(key: StreamKey, expected: int, found: int) -> FenceError:
    """Make the error for an event that does not follow the last one of its stream."""
    return refusal("WRONG_SEQ", f"cannot append to stream {key!r}: expected seq {expected}, found {found}")


def tenant_exists(tenant_id: str) -> FenceError:
    """Make the error for a tenant that cannot be created again."""
    return FenceError("TENANT_EXISTS", f"tenant {tenant_id!r} exists already")


def unknown_bundle(digest: str) -> FenceError:
    """Make the error for a bundle that is not kept."""
    return FenceError("UNKNOWN_BUNDLE", f"the store has no bundle {digest}")


def command_repeated(tenant_id: str, command_id: str) -> FenceError:
    """Make the error for a second receipt of a command."""
    return FenceError(
        "COMMAND_REPEATED",
        f"command {command_id!r} of tenant {tenant_id!r} has a receipt already",
        hint="nothing was written; read the receipt, the command was carried out",
    )


def gate_held(gate: Gate) -> FenceError:
    """Make the error for a pause of a tenant that is paused."""
    return FenceError(
        "GATE_HELD",
        f"cannot pause tenant {gate.tenant_id!r}: it is paused by {gate.owner!r}, epoch {gate.epoch}, "
        f"until {gate.lease_until_ms}",
        hint="wait until the pause is over, or resume it with its owner and epoch",
    )


def gate_lost(what: str, gate: Gate, owner: str, epoch: int) -> FenceError:
    """Make the error for a step by an owner whose gate it is not, or no longer."""
    found = f"it is open at epoch {gate.epoch}"
    if gate.state == "paused":
        found = f"it was paused by {gate.owner!r} at epoch {gate.epoch} until {gate.lease_until_ms}"
    return FenceError(
        "GATE_LOST",
        f"cannot {what} tenant {gate.tenant_id!r} as {owner!r} at epoch {epoch}: {found}, now is {gate.clock_ms}",
        hint="nothing was changed; look at the gate before anything else",
    )
