"""A history that Spark reads, sorts and folds: what its driver does, in this process.

Opening reads everything once, to blocks on the disks of the executors, so that errors come first and the
sums are known, as for any history. Folding distributes the blocks by ranges of streams; the parts come
back in the order of their keys, a slice at a time, and are concluded as they pass.
"""

from __future__ import annotations

import pickle
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from cicsc.engine.parts import conclude
from cicsc.engine.spark.inputs import spark_errors, spark_input
from cicsc.engine.spark.session import spark_session
from cicsc.engine.spark.space import local_space
from cicsc.history.integrity import FindingsTally
from cicsc.history.ranges import RangeSums, added_up
from cicsc.progress import SILENT, Amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyspark.sql import DataFrame

    from cicsc.engine.leaves import Digests
    from cicsc.engine.parts import Part
    from cicsc.engine.spark.inputs import SparkInput
    from cicsc.engine.spark.reading import Piece, PieceSums
    from cicsc.engine.spark.space import LocalSpace
    from cicsc.history.rows import RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.progress import Progress

PART_EVENTS: Final = 100_000
"""Events of a part, about, where there are many."""

PARTS_MAX: Final = 20_000

_SHARED_EVENTS_MIN: Final = 5_000
"""Events from which on it pays to make several parts, one for each core."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a history takes, in bytes: its files, and its blocks on the disks of a local Spark."""

    space: LocalSpace
    files: int
    blocks: int


class SparkHistory:
    """A history on the executors of a Spark.

    `events_count`, `latest_ts` and `malformed` are what `SortedHistory` has; `progress` is told as parts come back.
    """

    def __init__(
        self, name: str, blocks: DataFrame, sums: RangeSums, taken: _Taken, progress: Progress = SILENT
    ) -> None:
        self._name = name
        self._blocks = blocks
        self._taken = taken
        self._progress = progress
        self.events_count = sums.events_count
        self.latest_ts = sums.latest_ts
        self.malformed = sums.malformed

    def fold(self, plan: Plan, *writers: RowWriter[Any] | None) -> tuple[Verdict, Digests]:
        """Migrate and verify as `migrate_history` does."""
        from cicsc.engine.spark import folding  # noqa: PLC0415 - loads pyarrow

        events, positions, snapshots = writers
        assert snapshots is None, "only a store takes snapshots"
        self._progress.begin("folding", Amount(self.events_count))
        with ExitStack() as stack:
            stack.enter_context(spark_errors(self._name))
            count = self._parts_count()
            self._require_space(count, 1 if events is None and positions is None else 2)
            blocks = self._blocks.where("key is not null").repartitionByRange(count, "key").select("data")
            folder = folding.StreamFolder(plan, folding.SLICE_BYTES)
            parts = stack.enter_context(_on_disk(blocks.mapInArrow(folder, folding.PARTS_SCHEMA)))
            came = folding.assembled(_in_slices(parts), events, positions)
            return conclude(plan, self._noted(came), self.malformed)

    def _noted(self, parts: Iterable[Part]) -> Iterator[Part]:
        for part in parts:
            found = part.verdict
            self._progress.note(Amount(found.source_events, found.source.entities + found.broken_streams))
            yield part

    def _parts_count(self) -> int:
        if self.events_count < _SHARED_EVENTS_MIN:
            return max(1, min(self.events_count // PART_EVENTS, PARTS_MAX))
        return max(min(self.events_count // PART_EVENTS, PARTS_MAX), 2 * self._cores())

    def _cores(self) -> int:
        return int(self._blocks.sparkSession.sparkContext.defaultParallelism)

    def _require_space(self, parts: int, copies: int) -> None:
        """Raise WorkError where the disks of this machine do not take what folding writes.

        The blocks go there once more, as they are shuffled, and again as what they are turned into; beside
        them what each core works on, which is not compressed.
        """
        at_once = self._taken.files * min(self._cores(), parts) // parts
        self._taken.space.require(copies * (self._taken.blocks + at_once), f"folding {self._name}")


@contextmanager
def open_spark(
    source: object, *, tenants: frozenset[str] | None, master: str | None, progress: Progress = SILENT
) -> Iterator[SparkHistory]:
    """Read a history with Spark: a path, a folder or a glob of JSON Lines or Parquet.

    Raises what `spark_session` and `spark_input` raise, InputError for what cannot be decoded: of several
    faults the first in the first file, by path, and WorkError where a local Spark has no room for it.
    """
    progress.begin("reading", Amount())
    with spark_session(master) as session:
        name = repr(str(source))
        given = spark_input(session, source)
        space = local_space(session.sparkContext)
        space.require(given.size, f"reading {name}")
        before = space.used()
        with ExitStack() as stack:
            with spark_errors(name):
                blocks = stack.enter_context(_on_disk(_read(given, tenants)))
                found = _sums(blocks)
                given.require_unchanged()
                _refuse_first(found, given, tenants)
                given.require_read(one.piece.path for one in found)
            sums = _total(found, given)
            progress.note(Amount(sums.events_count))
            taken = _Taken(space, given.size, max(0, space.used() - before))
            yield SparkHistory(name, blocks, sums, taken, progress)


def _read(given: SparkInput, tenants: frozenset[str] | None, first_lines: dict[Piece, int] | None = None) -> DataFrame:
    from cicsc.engine.spark.reading import BLOCKS_SCHEMA, LineReader, RowReader  # noqa: PLC0415 - loads pyarrow

    if given.form == "parquet":
        return given.frame.mapInArrow(RowReader(tenants, given.single), BLOCKS_SCHEMA)
    return given.frame.mapInArrow(LineReader(tenants, given.single, first_lines or {}), BLOCKS_SCHEMA)


@contextmanager
def _on_disk(frame: DataFrame) -> Iterator[DataFrame]:
    """Let executors keep on their disks what is computed, until it is not needed any more."""
    from py4j.protocol import Py4JError  # noqa: PLC0415 - optional, comes with pyspark
    from pyspark import StorageLevel  # noqa: PLC0415 - optional, and takes long to import

    kept = frame.persist(StorageLevel.DISK_ONLY)
    try:
        yield kept
    finally:
        with suppress(Py4JError, OSError):  # Java may have ended; its disks are then free, and the error is another
            kept.unpersist()


def _sums(blocks: DataFrame) -> list[PieceSums]:
    """Return the sums of all pieces in the order of their places."""
    rows = blocks.where("key is null").select("data").collect()
    found: list[PieceSums] = [pickle.loads(row.data) for row in rows]  # noqa: S301 - executors run our own code
    return sorted(found, key=lambda one: (unquote(one.piece.path), one.piece.start))


def _refuse_first(found: list[PieceSums], given: SparkInput, tenants: frozenset[str] | None) -> None:
    """Raise the first fault, if there is one; in the midst of a file, once its line is known."""
    first = next((one for one in found if one.fault is not None), None)
    if first is None:
        return
    if given.form == "lines" and first.piece.start > 0:
        before = [one for one in found if one.piece.path == first.piece.path and one.piece.start < first.piece.start]
        lines = 1 + sum(one.sums.lines for one in before)
        again = _sums(_read(given, tenants, {first.piece: lines}))
        first = next((one for one in again if one.piece == first.piece and one.fault is not None), first)
    assert first.fault is not None
    raise first.fault


def _total(found: list[PieceSums], given: SparkInput) -> RangeSums:
    """Add up the sums of all pieces; those of lines know where they stand in their file only together."""
    if given.form == "parquet":
        return _merged([one.sums for one in found])
    by_file: dict[str, list[RangeSums]] = {}
    for one in found:
        by_file.setdefault(one.piece.path, []).append(one.sums)
    return _merged([added_up(sums) for sums in by_file.values()])


def _merged(sums: list[RangeSums]) -> RangeSums:
    malformed = FindingsTally()
    for one in sums:
        malformed.merge(one.malformed)
    latest = max((one.latest_ts for one in sums if one.latest_ts is not None), default=None)
    return RangeSums(sum(one.lines for one in sums), sum(one.events_count for one in sums), latest, malformed)


def _in_slices(parts: DataFrame) -> Iterator[Any]:
    """Yield the rows of all parts in their order, holding no more than a slice of one of them."""
    # Looking for their ends computes all parts, at once; fetching one after the other would compute them in turn.
    slices = sorted(parts.where("kind in ('part', 'error')").select("part", "slice").collect())
    if all(last == 0 for _, last in slices):
        yield from parts.toLocalIterator()
        return
    context, rows = parts.sparkSession.sparkContext, parts.rdd
    for number, last in slices:
        for piece in range(last + 1):
            # A part is the partition of its number; a condition would send all partitions through a job each.
            yield from context.runJob(rows, partial(_of_slice, piece), [number])


def _of_slice(number: int, rows: Iterable[Any]) -> Iterator[Any]:
    return (row for row in rows if row.slice == number)
