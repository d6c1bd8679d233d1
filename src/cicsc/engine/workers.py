"""The engine of worker processes, from outside: a history is shared where that pays, else worked through in-process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeGuard, runtime_checkable

from cicsc.durable import require_space
from cicsc.history.ranges import ranged_file
from cicsc.history.sorted import SortedHistory, open_history
from cicsc.history.sorting import Sorter
from cicsc.progress import SILENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cicsc.engine.inprocess import SortedStreams
    from cicsc.engine.leaves import Digests
    from cicsc.history.model import Event
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.progress import Progress
    from cicsc.replay.snapshot import Snapshot

SHARED_BYTES_MIN: Final = 8 * 1024 * 1024
"""Bytes of a history from which on it pays to start processes."""


@runtime_checkable
class FoldsItself(Protocol):
    """A history that knows by itself how it is shared, and where what it is turned into goes."""

    def fold(self, plan: Plan, *writers: RowWriter[Any] | None) -> tuple[Verdict, Digests]:
        """Migrate and verify it, as `migrate_history` does."""
        ...


def open_shared(
    source: str | Path | Iterable[Event | Mapping[str, object]],
    *,
    tenants: frozenset[str] | None,
    workers: int,
    progress: Progress = SILENT,
) -> SortedHistory:
    """Read a history as `open_history` does, with so many processes where its form and size allow it."""
    ranged = None
    if workers > 1 and isinstance(source, str | Path):
        ranged = ranged_file(source, SHARED_BYTES_MIN)
    if ranged is None:
        return open_history(source, tenants=tenants, progress=progress)
    from cicsc.engine.reading import read_shared  # noqa: PLC0415 (small calls must not load multiprocessing)

    sorter = Sorter(progress=progress)
    try:
        require_space(sorter.folder(), ranged.size, f"sorting {ranged.name}")
        return SortedHistory(sorter, read_shared(ranged, tenants, sorter, workers, progress), progress)
    except BaseException:
        sorter.close()
        raise


def pays_to_share(history: object, workers: int) -> TypeGuard[SortedHistory]:
    """Tell whether so many processes go through a history sooner than one: a large one of files."""
    return workers > 1 and isinstance(history, SortedHistory) and history.size >= SHARED_BYTES_MIN


def migrate_shared(
    plan: Plan,
    history: SortedStreams | FoldsItself,
    events: RowWriter[Event] | None = None,
    positions: RowWriter[PositionRow] | None = None,
    snapshots: RowWriter[Snapshot] | None = None,
    *,
    workers: int,
) -> tuple[Verdict, Digests]:
    """Migrate and verify as `migrate_history` does, with so many processes where it pays.

    It does not where snapshots are asked for, and where the history is not one of files. One that
    folds itself does it in its own way.
    """
    if isinstance(history, FoldsItself):
        return history.fold(plan, events, positions, snapshots)
    if snapshots is not None or not pays_to_share(history, workers):
        from cicsc.engine.inprocess import migrate_history  # noqa: PLC0415 (a large history is read without)

        return migrate_history(plan, history, events, positions, snapshots)
    from cicsc.engine.shares import fold_shared  # noqa: PLC0415 (small calls must not load multiprocessing)

    return fold_shared(plan, history, events, positions, workers)
