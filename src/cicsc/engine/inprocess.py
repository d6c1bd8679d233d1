"""The in-process engine: the whole history is one part, in one pass over the sorted streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cicsc.engine.leaves import Digests, Head, LeavesPair, chained
from cicsc.engine.parts import Writers, conclude, run_part
from cicsc.migration.undo import UndoVerdict, undo_stream
from cicsc.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cicsc.history.integrity import FindingsTally
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.undo import UndoPlan
    from cicsc.migration.verdict import Verdict
    from cicsc.replay.snapshot import Snapshot

__all__ = ["Digests", "Head", "SortedStreams", "migrate_history", "undo_history"]


class SortedStreams(Protocol):
    """A history as engines take it: streams by key in code-point order, each with its events by seq."""

    @property
    def malformed(self) -> FindingsTally:
        """The findings about values that are no events."""
        ...

    def streams(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield each stream; its events are taken once, before the next is asked for."""
        ...


def migrate_history(
    plan: Plan,
    history: SortedStreams,
    events: RowWriter[Event] | None = None,
    positions: RowWriter[PositionRow] | None = None,
    snapshots: RowWriter[Snapshot] | None = None,
    *,
    progress: Progress = SILENT,
) -> tuple[Verdict, Digests]:
    """Migrate and verify a whole history; what the plan asks for is written as it comes, in stream order.

    Positions of events follow the events themselves, and a stream's snapshot follows both. `progress` is told
    while queries are decided; a history that tells of its streams does that by itself.
    """
    part = run_part(plan, history.streams(), Writers(events, positions, snapshots), whole=True, progress=progress)
    return conclude(plan, [part], history.malformed)


def undo_history(
    plan: UndoPlan,
    history: SortedStreams,
    events: RowWriter[Event] | None = None,
    snapshots: RowWriter[Snapshot] | None = None,
) -> tuple[UndoVerdict, Digests]:
    """Take a whole history back; a stream's snapshot follows its events."""
    verdict = UndoVerdict()
    verdict.integrity.merge(history.malformed)
    leaves = LeavesPair()
    sink = _UndoRun(leaves, Writers(events, snapshots=snapshots))
    tenants: dict[str, None] = {}
    for key, stream in history.streams():
        tenants[key[0]] = None
        undo_stream(plan, key, stream, verdict, sink)
    digests = chained([leaves], verdict.integrity)
    digests.tenants = list(tenants)
    leaves.close()
    return verdict, digests


class _UndoRun:
    """The sink of a way back: writes and hashes."""

    def __init__(self, leaves: LeavesPair, writers: Writers) -> None:
        self.leaf = leaves.add
        self.migrated = writers.migrated
        self.snapshot = writers.snapshot
