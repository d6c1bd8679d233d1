"""Folding on executors: a range of streams becomes a part, and the part becomes rows for the driver.

A part travels as rows, not as files, since executors and driver need not share a file system. A row is a
piece of something: lines of events or positions, lines of leaves, rows that queries keep, and at last the
rest, which tells that the part is complete. The driver puts them together as they come.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pyarrow as pa

from cicsc.durable import TemporaryFolder
from cicsc.engine.leaves import Leaves, LeavesPair
from cicsc.engine.lines import WaitingRows, hand_on_lines
from cicsc.engine.parts import Part, run_part
from cicsc.engine.queries import TenantRows
from cicsc.engine.rows import RowStore
from cicsc.engine.spark.space import executor_folder
from cicsc.engine.spool import Spool
from cicsc.errors import CicscError
from cicsc.history.output import events_of_lines, positions_of_lines
from cicsc.history.runs import decode_block
from cicsc.history.sorted import decoded_streams
from cicsc.history.sorting import Sorter

if TYPE_CHECKING:
    from cicsc.engine.leaves import TenantLeaves
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Side, Verdict

PARTS_SCHEMA: Final = "part int, slice int, kind string, data binary"
"""Rows of parts, in the order of the parts: the number of the part, and of the slice of it that is fetched at once."""

SORTED_BYTES_MAX: Final = 64 * 1024 * 1024
"""Memory for the records of one task; further ones go to the executor's disk."""

SLICE_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a part that the driver fetches at once."""

_DATA_BYTES: Final = 1024 * 1024
_ROWS_PER_DATA: Final = 1000
_ARROW: Final = pa.schema([("part", pa.int32()), ("slice", pa.int32()), ("kind", pa.string()), ("data", pa.binary())])

_encode_rows: Final = msgspec.json.Encoder().encode
_decode_rows: Final = msgspec.json.Decoder(list[list[object]]).decode

_Data = tuple[str, bytes]
_LeavesHead = tuple["list[TenantLeaves]", "StreamKey | None", "StreamKey | None"]


@dataclass(frozen=True)
class StreamFolder:
    """Folds the streams whose blocks a task is given, in any order, and no other task."""

    plan: Plan
    slice_bytes: int

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Fold, and yield the part in rows; an error of ours becomes a row too, since Spark would repeat the task."""
        from pyspark import TaskContext  # noqa: PLC0415 - optional, and takes long to import

        context = TaskContext.get()
        assert context is not None, "folding is done by tasks"
        number = size = 0
        for kind, data in self._rows(batches):
            if size >= self.slice_bytes:
                number, size = number + 1, 0
            size += len(data)
            values = [[context.partitionId()], [number], [kind], [data]]
            columns = [pa.array(value, field.type) for value, field in zip(values, _ARROW, strict=True)]
            yield pa.RecordBatch.from_arrays(columns, schema=_ARROW)

    def _rows(self, batches: Iterable[pa.RecordBatch]) -> Iterator[_Data]:
        try:
            with TemporaryFolder(executor_folder()) as place:
                yield from self._folded(batches, Path(place))
        except CicscError as error:
            yield "error", pickle.dumps(error)

    def _folded(self, batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[_Data]:
        with closing(Sorter(SORTED_BYTES_MAX, place=folder)) as sorter:
            for batch in batches:
                for data in batch.column(0).to_pylist():
                    sorter.take(decode_block(data))
            sorter.finish()
            rows = WaitingRows(self.plan, folder)
            part = run_part(self.plan, decoded_streams(sorter.streams()), rows.writers(), folder=folder)
        yield from _spooled("events", rows.events)
        yield from _spooled("positions", rows.positions)
        yield from _disassembled(part)


def _spooled(kind: str, spool: Spool | None) -> Iterator[_Data]:
    """Yield the lines of a spool, some whole ones at a time, and close it."""
    if spool is None:
        return
    with closing(spool):
        reader = spool.reader()
        while data := reader.read(_DATA_BYTES):
            yield kind, data + reader.readline()


def _disassembled(part: Part) -> Iterator[_Data]:
    """Yield a part in pieces, and close it."""
    with closing(part):
        yield from _spooled("given", part.leaves.given.lines)
        yield from _spooled("made", part.leaves.made.lines)
        for number, tenant in enumerate(part.undecided):
            for name, store in tenant.kept.items():
                rows = iter(store)
                while some := list(islice(rows, _ROWS_PER_DATA)):
                    yield "kept", pickle.dumps((number, name, _encode_rows(some)))
        tenants = [(tenant.tenant_id, tenant.broken, tenant.gathered) for tenant in part.undecided]
        heads = _head(part.leaves.given), _head(part.leaves.made)
        yield "part", pickle.dumps((part.verdict, part.tenants, tenants, heads))


def _head(leaves: Leaves) -> _LeavesHead:
    return leaves.tenants, leaves.first, leaves.last


def assembled(
    rows: Iterable[Any], events: RowWriter[Event] | None, positions: RowWriter[PositionRow] | None
) -> Iterator[Part]:
    """Put parts together from their rows, writing what the streams were turned into as it comes.

    Raises the error of a task that failed.
    """
    assembly = _Assembly()
    for row in rows:
        data = bytes(row.data)
        if row.kind == "events":
            _hand_on(data, events, events_of_lines)
        elif row.kind == "positions":
            _hand_on(data, positions, positions_of_lines)
        elif row.kind == "error":
            raise pickle.loads(data)  # noqa: S301 - executors run our own code, as this process does
        elif row.kind == "part":
            yield assembly.finish(data)
            assembly = _Assembly()
        else:
            assembly.take(row.kind, data)


def _hand_on(lines: bytes, writer: RowWriter[Any] | None, rows: Callable[[bytes], list[Any]]) -> None:
    assert writer is not None, "only what is asked for is made"
    hand_on_lines(lines, writer, rows)


class _Assembly:
    """A part of which some pieces are there."""

    def __init__(self) -> None:
        self._leaves = LeavesPair()
        self._kept: dict[int, dict[tuple[Side, int, int], RowStore]] = {}

    def take(self, kind: str, data: bytes) -> None:
        """Take the next piece."""
        if kind == "given":
            self._leaves.given.lines.append(data)
        elif kind == "made":
            self._leaves.made.lines.append(data)
        else:
            number, name, rows = pickle.loads(data)  # noqa: S301 - from an executor, which runs our own code
            kept = self._kept.setdefault(number, {})
            if name not in kept:
                kept[name] = RowStore()
            for row in _decode_rows(rows):
                kept[name].append(row)

    def finish(self, data: bytes) -> Part:
        """Return the part."""
        verdict: Verdict
        verdict, tenants, undecided, heads = pickle.loads(data)  # noqa: S301 - from an executor, as above
        for leaves, head in zip((self._leaves.given, self._leaves.made), heads, strict=True):
            leaves.tenants, leaves.first, leaves.last = head
        kept = [
            TenantRows(tenant_id, broken, self._kept.get(number, {}), gathered)
            for number, (tenant_id, broken, gathered) in enumerate(undecided)
        ]
        return Part(verdict, tenants, kept, self._leaves)
