"""The in-process engine: one pass over the sorted streams, tenant after tenant.

It hands each stream to the one function that knows what to do with it, keeps the rows that query
constraints need until their tenant has passed, and chains leaf digests into roots, which works in
one pass because streams come in code-point order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cicsc.canonical import RootHasher
from cicsc.engine.rows import RowStore
from cicsc.migration.stream import migrate_stream
from cicsc.migration.undo import UndoVerdict, undo_stream
from cicsc.migration.verdict import Verdict, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cicsc.history.integrity import FindingsTally
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.stream import Part, Side
    from cicsc.migration.undo import UndoPlan
    from cicsc.migration.verdict import SideVerdict
    from cicsc.replay.constraints import ConstraintProgram
    from cicsc.replay.snapshot import Snapshot


class SortedStreams(Protocol):
    """A history as engines take it: streams by key in code-point order, each with its events by seq."""

    @property
    def malformed(self) -> FindingsTally:
        """The findings about values that are no events."""
        ...

    def streams(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield each stream; its events are taken once, before the next is asked for."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """Where a tenant's history stands: how many events it has, and their digest."""

    events: int
    digest: str


@dataclass(slots=True)
class Digests:
    """The digests of the history that was given and of the one that was made of it.

    `heads` are those of the given one, by tenant. A history with malformed events has none of these;
    where seqs are missing or repeated, nothing that counts is made, so only `made` is missing.
    `tenants` names every tenant that has a stream.
    """

    given: str | None = None
    made: str | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    tenants: list[str] = field(default_factory=list)


def migrate_history(
    plan: Plan,
    history: SortedStreams,
    events: RowWriter[Event] | None = None,
    positions: RowWriter[PositionRow] | None = None,
    snapshots: RowWriter[Snapshot] | None = None,
) -> tuple[Verdict, Digests]:
    """Migrate and verify a whole history; what the plan asks for is written as it comes, in stream order.

    Positions of events follow the events themselves, and a stream's snapshot follows both.
    """
    verdict = Verdict()
    verdict.integrity.merge(history.malformed)
    run = _Run(plan, verdict, events, positions, snapshots)
    for key, stream in history.streams():
        run.enter(key[0])
        migrate_stream(plan, key, stream, verdict, run)
    run.leave()
    digests = run.digests.finish(verdict.integrity)
    digests.tenants = run.tenants
    return verdict, digests


def undo_history(
    plan: UndoPlan,
    history: SortedStreams,
    events: RowWriter[Event] | None = None,
    snapshots: RowWriter[Snapshot] | None = None,
) -> tuple[UndoVerdict, Digests]:
    """Take a whole history back; a stream's snapshot follows its events."""
    verdict = UndoVerdict()
    verdict.integrity.merge(history.malformed)
    sink = _UndoRun(events, snapshots)
    tenants: dict[str, None] = {}
    for key, stream in history.streams():
        tenants[key[0]] = None
        undo_stream(plan, key, stream, verdict, sink)
    digests = sink.digests.finish(verdict.integrity)
    digests.tenants = list(tenants)
    return verdict, digests


class _Roots:
    """Chains leaves into the roots of the given and the made history, and of each tenant of the given one."""

    def __init__(self) -> None:
        self._roots: dict[Part, RootHasher] = {"given": RootHasher(), "made": RootHasher()}
        self._tenant: str | None = None
        self._tenant_root = RootHasher()
        self._tenant_events = 0
        self._heads: dict[str, Head] = {}

    def leaf(self, part: Part, key: StreamKey, count: int, digest: str) -> None:
        self._roots[part].update(key, count, digest)
        if part == "given":
            if key[0] != self._tenant:
                self._close_tenant()
                self._tenant, self._tenant_root, self._tenant_events = key[0], RootHasher(), 0
            self._tenant_root.update(key, count, digest)
            self._tenant_events += count

    def _close_tenant(self) -> None:
        if self._tenant is not None:
            self._heads[self._tenant] = Head(self._tenant_events, self._tenant_root.hexdigest())

    def finish(self, integrity: FindingsTally) -> Digests:
        """Return what the findings leave of the digests."""
        self._close_tenant()
        if "MALFORMED_EVENT" in integrity.counts:
            return Digests()
        made = self._roots["made"].hexdigest() if integrity.total == 0 else None
        return Digests(self._roots["given"].hexdigest(), made, self._heads)


class _Run:
    """The sink of one migration: writes, hashes, keeps rows, and decides queries when a tenant has passed."""

    def __init__(
        self,
        plan: Plan,
        verdict: Verdict,
        events: RowWriter[Event] | None,
        positions: RowWriter[PositionRow] | None,
        snapshots: RowWriter[Snapshot] | None,
    ) -> None:
        self.tenants: list[str] = []
        self.digests = _Roots()
        self.leaf = self.digests.leaf
        self._plan = plan
        self._verdict = verdict
        self._events = events
        self._positions = positions
        self._snapshots = snapshots
        self._tenant: str | None = None
        self._broken = 0
        self._kept: dict[tuple[Side, int, int], RowStore] = {}

    def enter(self, tenant_id: str) -> None:
        """Begin a tenant, if it is another than before."""
        if tenant_id != self._tenant:
            self.leave()
            self._tenant = tenant_id
            self.tenants.append(tenant_id)
            self._broken = self._verdict.broken_streams

    def leave(self) -> None:
        """Decide the queries of the tenant that has passed, unless some of its streams are not intact."""
        if self._tenant is None:
            return
        if self._verdict.broken_streams == self._broken:
            self._decide("source", self._plan.source_constraints, self._verdict.source)
            self._decide("target", self._plan.target_constraints, self._verdict.target)
        for store in self._kept.values():
            store.close()
        self._kept = {}

    def _decide(self, side: Side, constraints: ConstraintProgram, verdict: SideVerdict) -> None:
        plan, tenant_id = self._plan, self._tenant
        for position, check in enumerate(constraints.query_checks):
            kept = [self._kept.get((side, position, source), ()) for source in range(len(check.query.sources))]
            rows_count = check.rows_count(kept, plan.now, plan.actor)
            if not check.holds(rows_count, plan.now, plan.actor):
                message = (
                    f"constraint {check.id!r} does not hold for tenant {tenant_id!r}: its query gives {rows_count} rows"
                )
                sample = {"tenant_id": tenant_id, "rows_count": rows_count}
                violation = Violation(check.id, "bool_query", check.on_type, message, sample)
                verdict.violated("bool_query", check.id, check.on_type).include((tenant_id,), violation)

    def migrated(self, events: list[Event]) -> None:
        if self._events is not None:
            self._events.write(events)

    def positions(self, rows: list[PositionRow]) -> None:
        if self._positions is not None:
            self._positions.write(rows)

    def snapshot(self, snapshot: Snapshot) -> None:
        if self._snapshots is not None:
            self._snapshots.write((snapshot,))

    def row(self, side: Side, check: int, source: int, row: list[object]) -> None:
        store = self._kept.get((side, check, source))
        if store is None:
            store = self._kept[side, check, source] = RowStore()
        store.append(row)


class _UndoRun:
    """The sink of a way back: writes and hashes."""

    def __init__(self, events: RowWriter[Event] | None, snapshots: RowWriter[Snapshot] | None) -> None:
        self.digests = _Roots()
        self.leaf = self.digests.leaf
        self._events = events
        self._snapshots = snapshots

    def snapshot(self, snapshot: Snapshot) -> None:
        if self._snapshots is not None:
            self._snapshots.write((snapshot,))

    def migrated(self, events: list[Event]) -> None:
        if self._events is not None:
            self._events.write(events)
