"""What becomes of the active generation of a tenant, on its way into a new one beside it.

An ordinal tells apart what was made of one event, which all keep its position. Whether it is right is decided by the
engine that hands it on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, compress, repeat
from operator import sub
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from msgspec import Struct

from cicsc import signals
from cicsc.history.model import Event, EventList
from cicsc.history.rows import Moves, PositionRow
from cicsc.history.runs import EVERY_STREAM, KeyRange, encode_records
from cicsc.operations.live.places import Places
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import RowsHasher
from cicsc.store.protocol import Store
from cicsc.store.records import StagedEvents

PLACED_MAX: Final = 20_000
"""Positions that are remembered of a stream; those of events that have passed are forgotten beyond."""

Row = TypeVar("Row")

Stage = Callable[[StagedEvents, list[Snapshot], RowsHasher], object]

FIRST_BATCH_ROWS: Final = 2_000
BATCH_ROWS_MAX: Final = 50_000
"""Rows of the first batch, and of any; a batch grows or shrinks until it takes the time it may."""


class Written(Struct, frozen=True):
    """What was written into some streams of a generation: how many rows, and their digest."""

    within: KeyRange
    count: int
    digest: str


class Staging:
    """Takes what a migration makes of a tenant's events, and hands it on in batches of about `batch_s` seconds each.

    `as_records` tells that events are handed on as their records. So none waits in memory, which has a price beside the
    room: events that are let go at once are made in memory that is in the processor's cache.

    Its three faces are what an engine writes to: events, then their positions, then the snapshot.
    `written` sums up all that was handed on, to compare what is read back with. A batch is
    written by a thread while the next is made; on leaving the context none is under way any more.
    """

    def __init__(self, tenant_id: str, places: Places, stage: Stage, *, batch_s: float, as_records: bool) -> None:
        self._tenant_id = tenant_id
        self._places = places
        self._stage = stage
        self._batch_s = batch_s
        self._batch_rows = FIRST_BATCH_ROWS
        self._as_records = as_records
        self._batch = _Batch()
        self._snapshots: list[Snapshot] = []
        self._last = (-1, 0)
        self._old_seq = 0
        self._hasher = RowsHasher()
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="staging")
        self._under_way: Future[None] | None = None
        self.events = _RecordFace(self._take_records) if as_records else _Face(self._take_events)
        self.positions = _Face(self._take_positions)
        self.snapshots = _Face(self._take_snapshots)

    def __enter__(self) -> Self:
        try:
            # A signal that came while the thread is being started would leave one that nobody waits for, and that goes
            # on to use the connection by which the tenant is to be let go.
            with signals.deferred():
                self._writer.submit(_nothing).result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        with signals.deferred():
            self._writer.shutdown(wait=True)

    def finish(self) -> None:
        """Hand on what is left, and wait until all is written; raises what writing raised."""
        self._hand_on()
        self._wait()

    def written(self, within: KeyRange = EVERY_STREAM) -> Written:
        """Return what was written in all; it is about the streams of `within`."""
        return Written(within, self._hasher.count, self._hasher.hexdigest())

    def _hand_on(self) -> None:
        self._wait()
        if self._batch.positions or self._snapshots:
            batch, self._batch = self._batch, _Batch()
            snapshots, self._snapshots = self._snapshots, []
            self._under_way = self._writer.submit(self._write, batch, snapshots)

    def _wait(self) -> None:
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            under_way.result()

    def _write(self, batch: _Batch, snapshots: list[Snapshot]) -> None:
        began = time.monotonic()
        events = b"".join(batch.records) if self._as_records else batch.events
        self._stage(StagedEvents(batch.positions, batch.ordinals, events), snapshots, self._hasher)
        self._adapt(len(batch.positions), time.monotonic() - began)

    def _take_events(self, events: Iterable[Event]) -> None:
        self._batch.events.extend(events)

    def _take_records(self, events: Iterable[Event]) -> None:
        lines = events.lines if isinstance(events, EventList) else b""
        self._batch.records.append(lines or encode_records(events))

    def _take_positions(self, rows: Iterable[PositionRow]) -> None:
        places = self._moved(rows.counts) if isinstance(rows, Moves) else self._found(rows)
        self._batch.positions.extend(places)
        self._batch.ordinals.extend(self._ordinals(places))
        if len(self._batch.positions) >= self._batch_rows:
            self._hand_on()

    def _moved(self, counts: list[int]) -> list[int]:
        """Return the place of each new event of a whole stream, of whose old ones `counts` tells what they became."""
        places = self._places.in_order
        assert len(places) == len(counts)
        steps = list(map(sub, counts, chain((0,), counts)))
        if max(steps, default=0) > 1:
            return list(chain.from_iterable(map(repeat, places, steps)))
        return list(compress(places, steps))

    def _found(self, rows: Iterable[PositionRow]) -> list[int]:
        """Return the place of each new event, and forget those of old ones of which nothing more comes."""
        moves = [(row[3], row[4] is not None) for row in rows]
        if not moves:
            return []
        places = [self._places[old_seq] for old_seq, is_kept in moves if is_kept]
        if len(self._places) > PLACED_MAX:
            for old_seq in {self._old_seq, *(old_seq for old_seq, _ in moves)}:
                if old_seq != moves[-1][0]:  # of which more may come
                    self._places.forget(old_seq)
        self._old_seq = moves[-1][0]
        return places

    def _ordinals(self, places: list[int]) -> list[int]:
        """Return what tells the events at one position apart; these follow each other."""
        ordinals = [0] * len(places)
        if places and (places[0] == self._last[0] or len(set(places)) < len(places)):
            last, ordinal = self._last
            for number, position in enumerate(places):
                ordinal = ordinal + 1 if position == last else 0
                last, ordinals[number] = position, ordinal
        if places:
            self._last = (places[-1], ordinals[-1])
        return ordinals

    def _take_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        self._snapshots.extend(snapshots)

    def _adapt(self, rows: int, took_s: float) -> None:
        if rows >= self._batch_rows // 2 and took_s > 0:
            wanted = int(rows * self._batch_s / took_s)
            self._batch_rows = max(100, min(BATCH_ROWS_MAX, 2 * self._batch_rows, wanted))


def staging_into(store: Store, tenant_id: str, places: Places, stage: Stage) -> Staging:
    """Return what hands on to a store, as it is quickest there."""
    return Staging(tenant_id, places, stage, batch_s=store.batch_s, as_records=store.takes_records)


def _nothing() -> None:
    """Have the thread that does it."""


class _Batch:
    """Events that wait to be written, or their records, and their places."""

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.ordinals: list[int] = []
        self.events: list[Event] = []
        self.records: list[bytes] = []


class _Face(Generic[Row]):
    """A `RowWriter` that hands on to a method."""

    def __init__(self, take: Callable[[Iterable[Row]], None]) -> None:
        self._take = take

    def write(self, rows: Iterable[Row]) -> None:
        self._take(rows)


class _RecordFace(_Face[Event]):
    """A `RecordWriter`."""

    takes_records: Final = True
