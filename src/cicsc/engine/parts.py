"""What running the stream function over some consecutive streams gives, and how parts become one result.

An engine cuts a history anywhere between streams, also inside a tenant, runs each part anywhere, and
hands all parts to `conclude`, in the order of their keys. Of a tenant that may go on in another part,
a part keeps what its queries need; those of all others it decides itself.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from cicsc.engine.leaves import Chain, Digests, LeavesPair
from cicsc.engine.rows import RowStore
from cicsc.history.rows import LineWriter, RecordWriter
from cicsc.migration.stream import migrate_stream
from cicsc.migration.verdict import Verdict, Violation
from cicsc.progress import SILENT, Amount, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cicsc.history.integrity import FindingsTally
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Side, SideVerdict
    from cicsc.replay.constraints import ConstraintProgram
    from cicsc.replay.snapshot import Snapshot

DECIDED_ROWS: Final = 10_000
"""Rows that a query takes between two words that there was progress, by which a live tenant keeps its lease."""


class TenantRows(Struct):
    """What the queries of a tenant need of some of its streams, by side, check and source.

    `broken` tells that one of the streams is not intact, so that the tenant cannot be judged.
    """

    tenant_id: str
    broken: bool = False
    kept: dict[tuple[Side, int, int], RowStore] = field(default_factory=dict)

    def close(self) -> None:
        """Give memory and disk back."""
        for rows in self.kept.values():
            rows.close()
        self.kept = {}


class Part(Struct):
    """The result on consecutive streams; can be handed to another process where it was made in a folder.

    `tenants` are those with a stream in it, in order, `undecided` the ones of these that may go on
    before or after it: at most the first and the last.
    """

    verdict: Verdict = field(default_factory=Verdict)
    tenants: list[str] = field(default_factory=list)
    undecided: list[TenantRows] = field(default_factory=list)
    leaves: LeavesPair = field(default_factory=LeavesPair)

    def close(self) -> None:
        """Give memory and disk back."""
        self.leaves.close()
        for rows in self.undecided:
            rows.close()


class Writers:
    """What takes the rows that streams are turned into; nothing, where they are not asked for."""

    def __init__(
        self,
        events: RowWriter[Event] | None = None,
        positions: RowWriter[PositionRow] | None = None,
        snapshots: RowWriter[Snapshot] | None = None,
    ) -> None:
        self.takes_lines = isinstance(events, LineWriter | RecordWriter)
        self._events = events
        self._positions = positions
        self._snapshots = snapshots

    def migrated(self, events: list[Event]) -> None:
        """Write events of the history that is made."""
        if self._events is not None:
            self._events.write(events)

    def positions(self, rows: list[PositionRow]) -> None:
        """Write rows of the position map."""
        if self._positions is not None:
            self._positions.write(rows)

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write the snapshot of a stream of the history that is made."""
        if self._snapshots is not None:
            self._snapshots.write((snapshot,))


def run_part(
    plan: Plan,
    streams: Iterable[tuple[StreamKey, Iterable[Event]]],
    writers: Writers,
    *,
    whole: bool = False,
    folder: Path | None = None,
    progress: Progress = SILENT,
) -> Part:
    """Migrate and verify consecutive streams.

    `whole` tells that they are the whole history, so that no tenant goes on elsewhere. In `folder`
    waits what the part does not keep in memory; without one the part is for this process only.
    `progress` is told while queries are decided; whoever gives the streams tells of these.
    """
    run = _PartRun(plan, writers, folder, progress)
    part = run.part
    for key, stream in streams:
        if run.tenant is None or key[0] != run.tenant.tenant_id:
            run.leave(keep=not whole and len(part.tenants) == 1)
            run.enter(key[0])
        broken = part.verdict.broken_streams
        migrate_stream(plan, key, stream, part.verdict, run)
        if part.verdict.broken_streams > broken:
            assert run.tenant is not None
            run.tenant.broken = True
    run.leave(keep=not whole)
    return part


class _PartRun:
    """The sink of one part: writes, hashes, and keeps rows until their tenant has passed."""

    def __init__(self, plan: Plan, writers: Writers, folder: Path | None, progress: Progress) -> None:
        self.part = Part(leaves=LeavesPair(folder))
        self.tenant: TenantRows | None = None
        self.takes_lines = writers.takes_lines
        self.migrated = writers.migrated
        self.positions = writers.positions
        self.snapshot = writers.snapshot
        self.leaf = self.part.leaves.add
        self._plan = plan
        self._folder = folder
        self._progress = progress

    def enter(self, tenant_id: str) -> None:
        """Begin the next tenant."""
        self.tenant = TenantRows(tenant_id)
        self.part.tenants.append(tenant_id)

    def leave(self, *, keep: bool) -> None:
        """End a tenant, if there is one: keep what its queries need, or decide them."""
        if self.tenant is None:
            return
        if keep:
            self.part.undecided.append(self.tenant)
        else:
            _decide(self._plan, [self.tenant], self.part.verdict, self._progress)

    def row(self, side: Side, check: int, source: int, row: list[object]) -> None:
        assert self.tenant is not None
        store = self.tenant.kept.get((side, check, source))
        if store is None:
            store = self.tenant.kept[side, check, source] = RowStore(folder=self._folder)
        store.append(row)


def conclude(
    plan: Plan, parts: Iterable[Part], malformed: FindingsTally, progress: Progress = SILENT
) -> tuple[Verdict, Digests]:
    """Make the result on a whole history of its parts, in the order of their keys, and close each as it passes.

    `malformed` are the findings about values that are no events. `progress` is told while queries are decided.
    """
    chain = Chain()
    verdict = Verdict()
    verdict.integrity.merge(malformed)
    tenants: list[str] = []
    waiting: list[TenantRows] = []
    for part in parts:
        verdict.merge(part.verdict)
        tenants.extend(part.tenants[1:] if tenants[-1:] == part.tenants[:1] else part.tenants)
        for rows in part.undecided:
            if waiting and rows.tenant_id != waiting[0].tenant_id:
                _decide(plan, waiting, verdict, progress)
                waiting = []
            waiting.append(rows)
        chain.add(part.leaves)
        part.leaves.close()
    if waiting:
        _decide(plan, waiting, verdict, progress)
    digests = chain.finish(verdict.integrity)
    digests.tenants = tenants
    return verdict, digests


def _decide(plan: Plan, pieces: list[TenantRows], verdict: Verdict, progress: Progress) -> None:
    """Decide the queries of a tenant of which all rows are there, unless some of its streams are not intact."""
    if not any(piece.broken for piece in pieces):
        _decide_side("source", plan.source_constraints, plan, pieces, verdict.source, progress)
        _decide_side("target", plan.target_constraints, plan, pieces, verdict.target, progress)
    for piece in pieces:
        piece.close()


def _decide_side(
    side: Side,
    constraints: ConstraintProgram,
    plan: Plan,
    pieces: list[TenantRows],
    verdict: SideVerdict,
    progress: Progress,
) -> None:
    tenant_id = pieces[0].tenant_id
    for position, check in enumerate(constraints.query_checks):
        kept = [_kept(pieces, (side, position, source), progress) for source in range(len(check.query.sources))]
        rows_count = check.rows_count(kept, plan.now, plan.actor)
        progress.note(Amount())
        if not check.holds(rows_count, plan.now, plan.actor):
            message = (
                f"constraint {check.id!r} does not hold for tenant {tenant_id!r}: its query gives {rows_count} rows"
            )
            sample = {"tenant_id": tenant_id, "rows_count": rows_count}
            violation = Violation(check.id, "bool_query", check.on_type, message, sample)
            verdict.violated("bool_query", check.id, check.on_type).include((tenant_id,), violation)


def _kept(pieces: list[TenantRows], name: tuple[Side, int, int], progress: Progress) -> Iterator[list[object]]:
    """Iterate over the rows that one source of a query has in all pieces; `progress` is told that there are some."""
    rows = chain.from_iterable(piece.kept.get(name, ()) for piece in pieces)
    while some := list(islice(rows, DECIDED_ROWS)):
        yield from some
        progress.note(Amount())
