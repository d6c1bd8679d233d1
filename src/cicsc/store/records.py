"""The records of a store: what it says about tenants, their gates, receipts and its own state.

Times are milliseconds since the epoch on the database's own clock, never on this process's.
Snapshots are those of `cicsc.replay.snapshot`, events those of `cicsc.history.model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

GateState: TypeAlias = Literal["open", "paused"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may write what for a tenant, as it was at `clock_ms`.

    `epoch` grows with every change of hands. A paused gate has an owner, counts as open from
    `lease_until_ms` on, and no lease is renewed beyond `pause_deadline_ms`. Readers see
    `active_generation` alone; `staging_generation` is what a cutover is writing.
    """

    tenant_id: str
    state: GateState
    epoch: int
    owner: str | None
    lease_until_ms: int | None
    pause_deadline_ms: int | None
    active_version: int
    active_bundle: str
    active_generation: int
    staging_generation: int | None
    clock_ms: int

    @property
    def is_paused(self) -> bool:
        """Whether writes are refused: the gate is paused and its lease has not run out."""
        return self.state == "paused" and self.lease_until_ms is not None and self.lease_until_ms > self.clock_ms


@dataclass(frozen=True, slots=True)
class StoreHead:
    """How far a generation reaches: its largest position (0 when empty) and its number of events."""

    generation: int
    position: int
    count: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a command with an id answered when it was carried out."""

    tenant_id: str
    command_id: str
    result: Mapping[str, object]
    at_ms: int


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that was done, to a tenant or (None) to the store."""

    audit_id: int
    at_ms: int
    tenant_id: str | None
    actor_id: str
    action: str
    detail: Mapping[str, object]
