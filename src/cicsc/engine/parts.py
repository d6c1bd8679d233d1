"""What running the stream function over some consecutive streams gives, and how parts become one result.

An engine cuts a history anywhere between streams, also inside a tenant, runs each part anywhere, and
hands all parts to `conclude`, in the order of their keys. Of a tenant that may go on in another part,
a part keeps what its queries need, and begins with them where that leaves less to keep; those of all others it
decides itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from cicsc.engine.leaves import Chain, Digests, LeavesPair
from cicsc.engine.queries import TenantRows, begin_queries, decide_queries
from cicsc.engine.rows import RowStore
from cicsc.history.rows import LineWriter, RecordWriter
from cicsc.migration.stream import migrate_stream
from cicsc.migration.verdict import Verdict
from cicsc.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from cicsc.history.integrity import FindingsTally
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Side
    from cicsc.replay.snapshot import Snapshot


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

    def positions(self, rows: Iterable[PositionRow]) -> None:
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
            begin_queries(self._plan, self.tenant, self._progress)
            self.part.undecided.append(self.tenant)
        else:
            decide_queries(self._plan, [self.tenant], self.part.verdict, self._progress)

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
                decide_queries(plan, waiting, verdict, progress)
                waiting = []
            waiting.append(rows)
        chain.add(part.leaves)
        part.leaves.close()
    if waiting:
        decide_queries(plan, waiting, verdict, progress)
    digests = chain.finish(verdict.integrity)
    digests.tenants = tenants
    return verdict, digests
