"""The records of a store: what it says about tenants, their gates, receipts and its own state.

Times are milliseconds since the epoch on the database's own clock, never on this process's.
Snapshots are those of `cicsc.replay.snapshot`, events those of `cicsc.history.model`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from cicsc.history.model import Event, EventList

GateState: TypeAlias = Literal["open", "paused"]

RunKind: TypeAlias = Literal["cutover", "rollback", "import", "finalize"]

Phase: TypeAlias = Literal["PLANNED", "FENCED", "VERIFIED", "STAGED", "SWITCHED", "DONE", "ABORTED"]
"""How far a run has come; each is written in the same transaction as its effect.

    PLANNED   has the tenant, which is open                     FENCED    writes are refused, the head is known
    VERIFIED  what will be written means the same               STAGED    it is written, read back and equal
    SWITCHED  it is active and the tenant open again            DONE      nothing is left to do
    ABORTED   the tenant is open as it was before
"""

BEFORE_SWITCH: Final[tuple[Phase, ...]] = ("PLANNED", "FENCED", "VERIFIED", "STAGED")
"""The phases from which a run that died is undone; from SWITCHED it is completed."""


class Gate(Struct, frozen=True):
    """Who may write what for a tenant, as it was at `clock_ms`.

    `epoch` grows with every change of hands. `owner` is the run that has the tenant, open or paused,
    or the operator who paused it. A paused gate counts as open from `lease_until_ms` on, and no lease
    is renewed beyond `pause_deadline_ms`. Readers see `active_generation` alone;
    `staging_generation` is what a run is writing.
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


class RunPlan(Struct, frozen=True):
    """What a run is to do: its digest names all that was approved, `target` is the version it leads to."""

    kind: RunKind
    actor_id: str
    plan_digest: str | None = None
    migration_id: str | None = None
    target_bundle: str | None = None
    target_version: int | None = None


class StoreHead(Struct, frozen=True):
    """How far a generation reaches: its largest position (0 when empty) and its number of events."""

    generation: int
    position: int
    count: int


class Placed(NamedTuple):
    """Some consecutive events of a stream, and the position of each."""

    positions: Sequence[int]
    events: EventList

    def pairs(self) -> Iterator[tuple[int, Event]]:
        """Yield each position with its event."""
        return zip(self.positions, self.events, strict=True)


class StagedEvents(NamedTuple):
    """Events to be written into a generation, with the place of each.

    That is a position, and an ordinal that tells apart what was made of one event. `events` may be their records
    instead, as the lines of `encode_records`, which take less room and are written from with less work.
    """

    positions: list[int]
    ordinals: list[int]
    events: list[Event] | bytes


class Run(Struct, frozen=True):
    """One run on one tenant, as its journal says: who does what, how far it has come, when what happened.

    `epoch` is the gate's as long as the run has the tenant; every step names it. `source` is what was
    active when the run began. Heads are what was read under the fence; `target_count` and
    `target_digest` are of what the run makes active. `reason` says why it was aborted.
    """

    run_id: str
    tenant_id: str
    kind: RunKind
    actor_id: str
    phase: Phase
    epoch: int
    lease_until_ms: int
    plan_digest: str | None
    migration_id: str | None
    method: str | None
    source_bundle: str
    source_version: int
    source_generation: int
    target_bundle: str | None
    target_version: int | None
    target_generation: int | None
    head_position: int
    head_count: int | None
    head_digest: str | None
    target_count: int | None
    target_digest: str | None
    started_ms: int
    paused_at_ms: int | None
    verified_at_ms: int | None
    switched_at_ms: int | None
    resumed_at_ms: int | None
    resumed_by: str | None
    ended_ms: int | None
    reason: str | None
    report: str | None

    @property
    def head(self) -> StoreHead:
        """How far the source reached when the tenant was fenced; raises ValueError before."""
        if self.head_count is None:
            raise ValueError(f"run {self.run_id} has fenced nothing yet")
        return StoreHead(self.source_generation, self.head_position, self.head_count)


class Standing(Struct, frozen=True):
    """How a tenant stands: its gate, and the run that has it, or else its last one that was no import.

    `paused_ms` is when an operator last paused it, None unless the gate is paused. The run comes without its report.
    """

    gate: Gate
    paused_ms: int | None
    run: Run | None


class EndedWriter(Struct, frozen=True):
    """A session of the database that idled in a transaction, and was ended; `idle_ms` tells for how long."""

    pid: int
    user: str | None
    application: str
    idle_ms: int


class Receipt(Struct, frozen=True):
    """What a command with an id answered when it was carried out."""

    tenant_id: str
    command_id: str
    result: Mapping[str, object]
    at_ms: int


class FenceRepair(Struct, frozen=True):
    """What of a fence was not as installed, and what of that still is not after it was installed anew."""

    found: tuple[str, ...]
    left: tuple[str, ...]


class AuditEntry(Struct, frozen=True):
    """One thing that was done, to a tenant or (None) to the store."""

    audit_id: int
    at_ms: int
    tenant_id: str | None
    actor_id: str
    action: str
    detail: Mapping[str, object]
