"""What every store does: the protocol that operations and the runtime work with.

A store keeps the histories of tenants and lets nothing in that its fence refuses. A `Store` is used
by one thread at a time, in the process that used it first; others get ValueError. Methods raise
StoreError where the store cannot be used, and FenceError, with nothing changed, where it refuses.
Every method but `initialise`, `upgrade` and `schema_version` raises STORE_NOT_INITIALISED,
STORE_TOO_OLD or STORE_TOO_NEW on a store of another schema.

Events are taken as `cicsc.history` gives them: JSON values, no lone surrogates, seq and ts of 64
bits; those of one stream in the order of seq. A store that cannot hold a text (NUL in PostgreSQL)
raises InputError TEXT_NOT_STORABLE.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

from cicsc.bundle.model import Bundle
from cicsc.history.model import Event, StreamKey
from cicsc.history.runs import EVERY_STREAM, KeyRange
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import PlacedRow, RowsHasher
from cicsc.store.records import AuditEntry, EndedWriter, FenceRepair, Gate, Placed, Receipt, StoreHead

if TYPE_CHECKING:
    from cicsc.store.runs import Runs


class TenantView(Protocol):
    """One tenant, looked at inside a transaction of the store."""

    @property
    def gate(self) -> Gate:
        """The tenant's gate, as it was when the transaction began."""
        ...

    def snapshot(self, entity_type: str, entity_id: str) -> Snapshot | None:
        """Return the kept snapshot of an entity in the active generation; events may follow its last_seq."""
        ...

    def events(self, entity_type: str, entity_id: str, *, after_seq: int = 0) -> Iterator[Event]:
        """Yield the events of one stream of the active generation beyond `after_seq`, by seq."""
        ...


class TenantReading(TenantView, Protocol):
    """One tenant as it was at one moment, whatever is written meanwhile; ends with its context.

    Without `generation`, the active one is meant.
    """

    def head(self, generation: int | None = None, *, upto_position: int | None = None) -> StoreHead:
        """Return how far a generation reaches, up to a position where one is given."""
        ...

    def last_position(self, generation: int | None = None) -> int:
        """Return the largest position in a generation, 0 when it is empty; counts nothing, as `head` does."""
        ...

    def latest_ts(self, generation: int | None = None, *, upto_position: int | None = None) -> int | None:
        """Return the largest ts (ms) in a generation, up to a position where one is given; None when it is empty."""
        ...

    def placed_streams(
        self,
        generation: int | None = None,
        *,
        upto_position: int | None = None,
        within: KeyRange = EVERY_STREAM,
        alone: bool = False,
    ) -> Iterator[tuple[StreamKey, Iterator[Placed]]]:
        """Yield streams as `streams` does, some events at a time, with their positions.

        Those beyond `upto_position` are left out. `within` names the streams that are wanted, by default all. With
        `alone` nothing else may be asked of the store by this reading before the last stream has passed, which may be
        quicker.
        """
        ...

    def rows(self, generation: int | None = None, *, within: KeyRange = EVERY_STREAM) -> Iterator[PlacedRow]:
        """Yield the rows of a generation as they are kept, in the order of `streams`."""
        ...

    def sum_rows(self, generation: int, tick: Callable[[int], None], *, within: KeyRange = EVERY_STREAM) -> RowsHasher:
        """Return the digest of the rows of a generation, in the form and order in which a run writes them.

        `tick` is called as rows pass, with how many there were since the last time.
        """
        ...

    def cuts(self, ends: Sequence[int], head: StoreHead) -> list[StreamKey]:
        """Return where to cut a generation, in the order of keys, so that shares end after about so many of its events.

        Each cut is the first stream of a share; there are fewer where the streams are few. The last share ends with the
        generation, so the last of `ends` is `head.count`.
        """
        ...

    def streams(self, generation: int | None = None) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield each stream with its events by seq, in code-point order of keys, in bounded memory.

        A stream is read as it is iterated, once, before the next is asked for. Raises InputError
        EVENT_UNREADABLE for a payload that is no strict JSON.
        """
        ...

    def snapshots(self, generation: int | None = None) -> Iterator[Snapshot]:
        """Yield the kept snapshots in code-point order of keys, in bounded memory."""
        ...


class StoreMoment(Protocol):
    """A store as it was at one moment, whatever is written meanwhile; ends with its context."""

    def reading(self, tenant_id: str) -> TenantReading:
        """Give a tenant as it was then. Raises UNKNOWN_TENANT."""
        ...

    def share(self) -> str | None:
        """Return the name by which other processes enter this moment while it is open; None where none can."""
        ...


class TenantTransaction(TenantView, Protocol):
    """One write transaction on one tenant's active generation; commits when its context ends well.

    Entering waits for whoever changes the gate. A paused tenant can be entered, since a receipt is
    given out even then; what is refused is `append`.
    """

    def receipt(self, command_id: str) -> Receipt | None:
        """Return what the command answered when it was carried out before."""
        ...

    def append(self, events: Iterable[Event]) -> None:
        """Write events into the active generation, through the fence."""
        ...

    def put_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        """Keep snapshots; one that is kept already and reaches as far stays."""
        ...

    def put_receipt(self, command_id: str, result: Mapping[str, object]) -> None:
        """Keep what a command answers; raises COMMAND_REPEATED when there is a receipt already."""
        ...

    def record(self, *, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
        """Add an entry about the tenant to the audit."""
        ...


class Store(Protocol):
    """A database that holds bundles and the live histories of tenants."""

    shared_url: str | None
    """Where other processes find the store, to work on it beside this one; None where they would only wait in turn."""

    files: Mapping[str, Path]
    """The files that the store consists of, by what messages call them: no output may be one of them."""

    batch_s: ClassVar[float]
    """How long a transaction of a run may hold others up, in seconds."""

    takes_records: ClassVar[bool]
    """Whether events are staged from their records with less work than from themselves."""

    has_sessions: ClassVar[bool]
    """Whether the store knows who is writing, and can end that."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections; the store can be used no more. May be called again."""
        ...

    def ending_idle_writers(self, actor_id: str) -> AbstractContextManager[list[EndedWriter]]:
        """Within, whoever idles in a transaction and so keeps a tenant's gate from being held is ended.

        Only who has written to that tenant, and has done nothing for half of the time that was waited. Yields
        the list of those who were ended, which grows; each is in the audit, as the work of `actor_id`. Where
        there are no sessions, none is ended.
        """
        ...

    def abandon(self) -> None:
        """Give up a transaction that a signal has left open between two statements; where none is, do nothing.

        For whoever goes on after KeyboardInterrupt. The connection is closed, so that a block which is
        left only later, when it is collected, cannot end another transaction.
        """
        ...

    # ------------------------------------------------------------------------------------- the schema

    def schema_version(self) -> int | None:
        """Return the version of the schema that is installed, None where none is."""
        ...

    def initialise(self) -> None:
        """Create what a store needs, in one transaction; on an initialised store do nothing."""
        ...

    def upgrade(self) -> None:
        """Bring the schema to the version of this program; do nothing where it is."""
        ...

    def fence_faults(self) -> tuple[str, ...]:
        """Name every object of the fence that is missing, disabled or not as this program installs it."""
        ...

    def reinstall_fence(self, *, actor_id: str) -> FenceRepair:
        """Install the fence anew where it is not as installed, in one transaction, and enter it into the audit.

        Histories, constraints, and what others have added, stay as they are. Raises STORE_LOCKED when writes under
        way do not end.
        """
        ...

    def damage(self) -> tuple[str, ...]:
        """Name what is wrong with the file of a store by itself: pages, indexes, values that a table cannot have."""
        ...

    def late_positions(self) -> tuple[str, ...]:
        """Name the tenants whose next events would stand before their last ones, as in a copy of the rows alone."""
        ...

    # ------------------------------------------------------------------------------ bundles and tenants

    def put_bundle(self, bundle: Bundle) -> None:
        """Keep a bundle and the event types that its reducers know; do nothing where it is kept already."""
        ...

    def bundle(self, digest: str) -> Bundle:
        """Return a kept bundle. Raises UNKNOWN_BUNDLE, and STORE_DAMAGED when it is not what its digest says."""
        ...

    def create_tenant(self, tenant_id: str, *, bundle_digest: str, version: int, actor_id: str) -> Gate:
        """Create a tenant, open, with an empty history at generation 1.

        Raises TENANT_EXISTS and UNKNOWN_BUNDLE.
        """
        ...

    def gate(self, tenant_id: str) -> Gate:
        """Return the gate of a tenant. Raises UNKNOWN_TENANT."""
        ...

    def gates(self) -> Iterator[Gate]:
        """Yield the gate of every tenant, in code-point order of their names."""
        ...

    # --------------------------------------------------------------------------------------- reading

    def moment(self, shared: str | None = None, *, settled: str | None = None) -> AbstractContextManager[StoreMoment]:
        """Give the store as it is now, or as it is in a moment that another process shares; others may be open.

        With `settled`, the name of a tenant, its writes under way are waited for first. Raises UNKNOWN_TENANT,
        STORE_LOCKED when the writes do not end, and STORE_MOMENT_LOST when the moment `shared` is not open any more.
        """
        ...

    @contextmanager
    def reading(self, tenant_id: str, *, settled: bool = False) -> Iterator[TenantReading]:
        """Give the tenant as it is now; may be open while other methods are called. Raises UNKNOWN_TENANT.

        With `settled`, writes under way are waited for first. One that was given a position before it took part
        may still commit an event below the largest position that is seen. Raises STORE_LOCKED when they do not end.
        """
        with self.moment(settled=tenant_id if settled else None) as moment:
            yield moment.reading(tenant_id)

    def head(self, tenant_id: str, generation: int | None = None) -> StoreHead:
        """Return how far a generation reaches, by default the active one."""
        with self.reading(tenant_id) as reading:
            return reading.head(generation)

    def latest_ts(self, tenant_id: str, generation: int | None = None) -> int | None:
        """Return the largest ts (ms) in a generation, by default the active one."""
        with self.reading(tenant_id) as reading:
            return reading.latest_ts(generation)

    def streams(self, tenant_id: str, generation: int | None = None) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield the streams of a generation, as `TenantReading.streams` does."""
        with self.reading(tenant_id) as reading:
            yield from reading.streams(generation)

    def snapshots(self, tenant_id: str, generation: int | None = None) -> Iterator[Snapshot]:
        """Yield the kept snapshots of a generation, as `TenantReading.snapshots` does."""
        with self.reading(tenant_id) as reading:
            yield from reading.snapshots(generation)

    # --------------------------------------------------------------------------------------- writing

    def append(
        self, tenant_id: str, events: Iterable[Event], *, generation: int, snapshots: Iterable[Snapshot] = ()
    ) -> None:
        """Write events, and snapshots with them, in one transaction, through the fence.

        Raises UsageError TENANT_DIFFERS for an event or a snapshot of another tenant.
        """
        ...

    def import_events(self, tenant_id: str, events: Iterable[Event], *, generation: int, actor_id: str) -> int:
        """Write many events through the fence, in bulk, all or nothing, as a run; return their number.

        Snapshots are not made; `put_snapshots` fills them in afterwards, since they are only a cache.
        An error that `events` raises passes through, and nothing is written.
        """
        ...

    def put_snapshots(self, tenant_id: str, snapshots: Iterable[Snapshot], *, generation: int) -> None:
        """Keep snapshots of the active generation, in one transaction; one that reaches as far already stays.

        Raises STALE_GENERATION when `generation` is not the active one.
        """
        ...

    def transaction(self, tenant_id: str) -> AbstractContextManager[TenantTransaction]:
        """Give a write transaction on a tenant. Raises UNKNOWN_TENANT.

        No other method of the store may be called inside, but `moment`, `reading` and `close`.
        """
        ...

    # -------------------------------------------------------------------------------------- the gate

    def pause(self, tenant_id: str, *, owner: str, seconds: float, max_seconds: float | None = None) -> Gate:
        """Refuse writes of a tenant for some seconds, once those under way have ended; return the new gate.

        The lease can be renewed up to `max_seconds` from now (by default not at all). Raises GATE_HELD
        when an operator has paused the tenant already, RUN_HELD when a run has it, RUN_ABANDONED when
        one has it that is dead.
        """
        ...

    def renew(self, tenant_id: str, *, owner: str, epoch: int, seconds: float) -> Gate:
        """Let the lease end some seconds from now, or at the deadline if that is earlier.

        Raises GATE_LOST when the lease has run out or the gate is not of this owner and epoch.
        """
        ...

    def resume(self, tenant_id: str, *, owner: str, epoch: int) -> Gate:
        """Open the gate again; return it with the next epoch.

        Raises GATE_LOST when the gate is not paused by this owner at this epoch.
        """
        ...

    @property
    def runs(self) -> Runs[Any]:
        """The journal of runs: what a cutover, a rollback, an import do to a tenant, step by step."""
        ...

    # ------------------------------------------------------------------------------------- the audit

    def record(self, *, tenant_id: str | None, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
        """Add an entry to the audit. Raises UNKNOWN_TENANT."""
        ...

    def audit(self, tenant_id: str | None = None) -> Iterator[AuditEntry]:
        """Yield the entries of the audit, of one tenant or all, in the order in which they were made."""
        ...
