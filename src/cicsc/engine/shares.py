"""The engine of worker processes: ranges of the file are read at once, then ranges of streams are folded at once.

    file ──ranges──> readers ──sorted runs──> folders, each merging its streams of all runs ──parts──> one result

A worker reads ranges of a file of lines and writes what it read as sorted runs. Where such a run can be
entered is known, so the streams can be cut into shares of about equal size when all runs are there,
and each share is run as a part. Other inputs are read by one process, and folded by all. What the
streams are turned into waits as text and is handed to the one writer in the order of the shares, so
that all bytes are those of the in-process engine, which small histories are left to.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cicsc.durable import require_space
from cicsc.engine.parts import Part, Writers, conclude, run_part
from cicsc.engine.pool import Pool, TaskError, still_wanted
from cicsc.engine.spool import Spool
from cicsc.errors import InputError
from cicsc.history.output import event_lines, events_of_lines, position_lines, positions_of_lines
from cicsc.history.ranges import RangedFile, RangeSums, added_up, read_range, refuse_range
from cicsc.history.rows import LineWriter
from cicsc.history.runs import KeyRange
from cicsc.history.sorted import stream_events
from cicsc.history.sorting import MEMORY_BYTES_MAX, Sorter, merged_runs
from cicsc.progress import SILENT, Amount, Progress, Relayed, noted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cicsc.engine.leaves import Digests
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.history.runs import Run
    from cicsc.history.sorted import SortedHistory
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict

Row = TypeVar("Row")

SHARES_PER_WORKER: Final = 4
"""Ranges of streams for each worker, so that none waits long for the last."""

_LINES_BYTES: Final = 1024 * 1024
_WANTED_STREAMS: Final = 256
"""Streams between two looks whether the parent is still there."""


def read_shared(
    ranged: RangedFile, tenants: frozenset[str] | None, sorter: Sorter, workers: int, progress: Progress = SILENT
) -> RangeSums:
    """Read the ranges of a file into runs of the sorter, in so many processes."""
    progress.begin("reading", Amount(bytes_read=ranged.size))
    make = partial(_Reader, ranged, tenants, sorter.folder(), workers, os.getpid())
    sums: dict[int, RangeSums] = {}
    with Pool(make, len(ranged.ranges), workers) as pool:
        try:
            for task, found in pool.results():
                sums[task] = found
                start, end = ranged.ranges[task]
                progress.note(Amount(found.events_count, bytes_read=end - start))
        except TaskError as failed:
            if isinstance(failed.error, InputError):
                refuse_range(ranged, failed.task, tenants)
            raise failed.error from None
    progress.worked(pool.peaks)
    sorter.adopt(chain.from_iterable(pool.last))
    return added_up([sums[number] for number in sorted(sums)])


class _Reader:
    """Reads ranges, and writes what it read as runs."""

    def __init__(
        self, ranged: RangedFile, tenants: frozenset[str] | None, folder: Path, workers: int, parent: int
    ) -> None:
        self._ranged = ranged
        self._tenants = tenants
        self._workers = workers
        self._parent = parent
        self._sorter = Sorter(MEMORY_BYTES_MAX // workers, place=folder)

    def run(self, task: int, tell: Callable[[Any], None]) -> RangeSums:  # noqa: ARG002 (a range is soon read)
        still_wanted(self._parent)
        return read_range(self._ranged, task, self._sorter, self._tenants)

    def finish(self) -> tuple[Run, ...]:
        self._sorter.spill()
        self._sorter.finish(self._workers)
        return self._sorter.runs()


def fold_shared(
    plan: Plan,
    history: SortedHistory,
    events: RowWriter[Event] | None,
    positions: RowWriter[PositionRow] | None,
    workers: int,
) -> tuple[Verdict, Digests]:
    """Migrate and verify a history of files."""
    runs, folder = history.spilled()
    progress = history.progress
    progress.begin("folding", Amount(history.events_count))
    bounds = bounds_of(runs, workers * SHARES_PER_WORKER)
    if events is not None or positions is not None:
        # What the shares are turned into waits until those before are done.
        require_space(folder, history.size * (workers + 1) // (len(bounds) + 1), "migrating")
    make = partial(_Folder, plan, runs, bounds, folder, os.getpid())
    waiting: dict[int, _Folded] = {}
    parts: list[Part] = []
    with Pool(make, len(bounds) + 1, workers, progress.note) as pool:
        try:
            for task, folded in pool.results():
                waiting[task] = folded
                while (following := waiting.pop(len(parts), None)) is not None:
                    waited = _hand_on(following.events, events, events_of_lines)
                    waited += _hand_on(following.positions, positions, positions_of_lines)
                    progress.note(Amount(temporary_bytes=waited))
                    parts.append(following.part)
        except TaskError as failed:
            raise failed.error from None
    progress.worked(pool.peaks)
    return conclude(plan, parts, history.malformed)


def bounds_of(runs: Iterable[Run], shares: int) -> list[StreamKey]:
    """Return where to cut into shares of about equal size: the first stream of each share but the first."""
    marks = sorted(key for run in runs for key, _ in run.marks)
    return sorted({marks[len(marks) * share // shares] for share in range(1, shares)}) if marks else []


def _hand_on(lines: Spool | None, writer: RowWriter[Row] | None, rows: Callable[[bytes], list[Row]]) -> int:
    """Write what a share was turned into, and return how many bytes have waited."""
    if lines is None or writer is None:
        return 0
    reader = lines.reader()
    while data := reader.read(_LINES_BYTES):
        hand_on_lines(data + reader.readline(), writer, rows)
    lines.close()
    return lines.size


def hand_on_lines(lines: bytes, writer: RowWriter[Row], rows: Callable[[bytes], list[Row]]) -> None:
    """Write rows that come as lines; a writer of other things gets the rows."""
    if isinstance(writer, LineWriter):
        writer.write_lines(lines)
    else:
        writer.write(rows(lines))


@dataclass(frozen=True, slots=True)
class _Folded:
    """A part, and what its streams are turned into, as lines."""

    part: Part
    events: Spool | None
    positions: Spool | None


class _Folder:
    """Folds shares of the streams."""

    def __init__(self, plan: Plan, runs: Sequence[Run], bounds: Sequence[StreamKey], folder: Path, parent: int) -> None:
        self._plan = plan
        self._runs = runs
        self._shares = [KeyRange(first, end) for first, end in pairwise([None, *bounds, None])]
        self._folder = folder
        self._parent = parent

    def run(self, task: int, tell: Callable[[Amount], None]) -> _Folded:
        events = Spool(self._folder) if self._plan.migrated else None
        positions = Spool(self._folder) if self._plan.positions else None
        writers = Writers(
            None if events is None else Lines(events, event_lines),
            None if positions is None else Lines(positions, position_lines),
        )
        streams = noted(self._streams(self._shares[task]), Relayed(tell))
        part = run_part(self._plan, streams, writers, folder=self._folder)
        return _Folded(part, events, positions)

    def _streams(self, share: KeyRange) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        for number, (key, stream) in enumerate(merged_runs(self._runs, share)):
            if number % _WANTED_STREAMS == 0:
                still_wanted(self._parent)
            yield key, stream_events(stream)

    def finish(self) -> None:
        """There is nothing left to say."""


class Lines:
    """Writes rows as lines into a spool."""

    def __init__(self, spool: Spool, encode: Callable[[Iterable[Any]], bytes]) -> None:
        self._spool = spool
        self._encode = encode

    def write(self, rows: Iterable[Any]) -> None:
        """Add rows to the lines."""
        self._spool.append(self._encode(rows))
