"""What a store refuses, told with names: the FenceErrors that every store makes from what it found."""

from __future__ import annotations

from shlex import quote
from types import MappingProxyType
from typing import Final

from cicsc.errors import FenceError, InputError, StoreError, and_more
from cicsc.history.model import StreamKey
from cicsc.store.records import Gate, Run

HINTS: Final = MappingProxyType(
    {
        "TENANT_PAUSED": "nothing was written; try again when the pause is over",
        "STALE_GENERATION": "nothing was written; the tenant was moved to another version, so look at it again",
        "UNKNOWN_EVENT_TYPE": "nothing was written; the program that writes is of another version of the application",
        "WRONG_SEQ": "nothing was written; read the stream again, then try again",
        "UNKNOWN_TENANT": "nothing was written; tenant-create makes a tenant",
        "HISTORY_IMMUTABLE": "nothing was changed; a migration writes a new generation beside the old one",
        "LONE_SURROGATE": "nothing was written; a text was cut in the middle of a character: see where it comes from",
    }
)
"""What to do about each refusal of the fence in the database."""


def refusal(code: str, message: str) -> FenceError:
    """Make the error for what the fence refused."""
    return FenceError(code, message, hint=HINTS.get(code))


def lone_surrogate() -> InputError:
    """Make the error for a text that is none: no store can hold half of a character."""
    return InputError(
        "TEXT_NOT_STORABLE",
        "a store cannot hold a text with a lone surrogate",
        hint="UTF-8 has none; see where the text comes from",
    )


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


def other_version(gate: Gate, version: int | None) -> FenceError:
    """Make the error for a program of another version of the application than the one that is active."""
    return refusal(
        "STALE_GENERATION",
        f"cannot write to tenant {gate.tenant_id!r} as version {version}: expected the active version "
        f"{gate.active_version}",
    )


def wrong_seq(key: StreamKey, expected: int, found: int) -> FenceError:
    """Make the error for an event that does not follow the last one of its stream."""
    return refusal("WRONG_SEQ", f"cannot append to stream {key!r}: expected seq {expected}, found {found}")


def tenant_exists(tenant_id: str) -> FenceError:
    """Make the error for a tenant that cannot be created again."""
    return FenceError(
        "TENANT_EXISTS",
        f"tenant {tenant_id!r} exists already",
        hint="the tenant was not changed; tenant-list shows it, and migration-cutover moves it to another version",
    )


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
    """Make the error for a pause or a run of a tenant that an operator has paused."""
    return FenceError(
        "GATE_HELD",
        f"tenant {gate.tenant_id!r} is paused by {gate.owner!r}, epoch {gate.epoch}, until {gate.lease_until_ms}",
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
        hint=f"nothing was changed; migration-status --tenant {quote(gate.tenant_id)} tells how the tenant stands",
    )


def rights_missing(tenant_id: str, kind: str, missing: tuple[str, ...]) -> StoreError:
    """Make the error for a run that could not be carried out, or not be taken back."""
    return StoreError(
        "STORE_FORBIDDEN",
        f"cannot begin a {kind} of tenant {tenant_id!r}: this role lacks {', '.join(missing)}",
        hint="nothing was changed; grant what is missing, or use a role that has it",
    )


def run_held(gate: Gate, run: Run) -> FenceError:
    """Make the error for who comes while another run has the tenant."""
    return FenceError(
        "RUN_HELD",
        f"tenant {run.tenant_id!r} is taken by {run.kind} {run.run_id} of {run.actor_id!r}: epoch {run.epoch}, "
        f"phase {run.phase}, since {run.started_ms}, lease until {run.lease_until_ms}, now is {gate.clock_ms}",
        hint=f"wait for it; if it is known to be dead, migration-recover --tenant {quote(run.tenant_id)} "
        f"--take-over {run.run_id} {run.epoch}",
    )


def run_abandoned(run: Run) -> FenceError:
    """Make the error for a tenant whose run has died."""
    return FenceError(
        "RUN_ABANDONED",
        f"tenant {run.tenant_id!r} was left by {run.kind} {run.run_id} of {run.actor_id!r} in phase {run.phase}; "
        f"its lease ended at {run.lease_until_ms}",
        hint=f"migration-recover --tenant {quote(run.tenant_id)} brings it to its end",
    )


def run_lost(what: str, run: Run, gate: Gate) -> FenceError:
    """Make the error for a step by a run that has the tenant no more, RUN_LOST, or was too slow, LEASE_OVER."""
    found = f"owner {gate.owner!r}, epoch {gate.epoch}, lease until {gate.lease_until_ms}"
    lease_until = min(until for until in (run.lease_until_ms, gate.lease_until_ms) if until is not None)
    is_late = (gate.owner, gate.epoch) == (run.run_id, run.epoch) and lease_until <= gate.clock_ms
    code, hint = "RUN_LOST", "migration-status tells how the tenant stands"
    if is_late:
        code = "LEASE_OVER"
        hint = (
            "nobody has taken the run over, but its lease ran out without progress: see what held it up, or allow a "
            "longer one with --lease, then run the same command again"
        )
    return FenceError(
        code,
        f"cannot {what} tenant {run.tenant_id!r} as run {run.run_id} at epoch {run.epoch}, "
        f"lease until {run.lease_until_ms}: found {found}, now is {gate.clock_ms}",
        hint=f"nothing was changed by this step; {hint}",
    )


def unknown_run(tenant_id: str, run_id: str) -> FenceError:
    """Make the error for a run that is not in the journal."""
    return FenceError(
        "UNKNOWN_RUN", f"tenant {tenant_id!r} has no run {run_id!r}", hint="migration-status lists the runs"
    )


def generations_unknown(tenant_id: str) -> StoreError:
    """Make the error for a tenant that has a gate and no row of its own, which tells its latest generation."""
    return StoreError(
        "STORE_DAMAGED",
        f"cannot give tenant {tenant_id!r} another generation: the table of tenants does not have it",
        hint="nothing was changed; something removed the row, so restore it, or the whole store, from a backup",
    )


def events_dropped(tenant_id: str, sent: int, taken: int) -> StoreError:
    """Make the error for events that the database said nothing against, and did not write."""
    return StoreError(
        "STORE_DAMAGED",
        f"cannot write to tenant {tenant_id!r}: the table of events took {taken} of {sent}",
        hint="nothing was written; a trigger or rule that others made there drops events: store-check names it",
    )


def head_moved(run: Run, position: int, count: int) -> FenceError:
    """Make the error for a history that is not the one that was verified."""
    return FenceError(
        "HEAD_MOVED",
        f"cannot switch tenant {run.tenant_id!r}: verified {run.head_count} events up to position "
        f"{run.head_position}, found {count} up to {position}",
        hint="nothing was switched; something wrote past the pause, so run store-check, then the cutover again",
    )


def staging_differs(run: Run, found: str) -> FenceError:
    """Make the error for a generation that does not hold what was verified."""
    return FenceError(
        "STAGING_DIFFERS",
        f"cannot switch tenant {run.tenant_id!r}: expected {run.target_count} events in generation "
        f"{run.target_generation}, found {found}",
        hint="nothing was switched; run store-check, then the same command again",
    )


def fence_changed(tenant_id: str, faults: tuple[str, ...]) -> FenceError:
    """Make the error for a fence that may have let writes through."""
    more = and_more(len(faults))
    return FenceError(
        "FENCE_CHANGED",
        f"cannot switch tenant {tenant_id!r}: the fence is not as installed: {faults[0]}{more}",
        hint="nothing was switched; store-check lists what is wrong, store-upgrade --reinstall-fence puts it right "
        "and names what has to be done by hand",
    )
