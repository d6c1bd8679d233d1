# ruff: noqa: D102 - the protocol documents what its methods do
"""One tenant inside a transaction: looked at, read whole, or written to. The bodies that all kinds of stores share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, compress, groupby, islice, pairwise
from operator import itemgetter, ne, or_
from typing import Any, Final, Generic, TypeVar

from cicsc.errors import StoreError
from cicsc.history.model import INTEGER_MAX, Event, EventList, StreamKey, stream_key
from cicsc.history.runs import EVERY_STREAM, KeyRange
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import (
    EventDecoder,
    EventRow,
    PlacedRow,
    RowsHasher,
    decode_document,
    encode_text,
    stored_event,
    stored_snapshot,
)
from cicsc.store.journal import read_gate, record
from cicsc.store.protocol import TenantReading, TenantTransaction
from cicsc.store.records import Gate, Placed, Receipt, StoreHead
from cicsc.store.refusals import command_repeated
from cicsc.store.session import Session, Value

Database = TypeVar("Database", bound=Session)

CUT_PLACES: Final = 256
"""Places in a history, evenly apart, whose streams tell where to cut it."""

SUMMED_ROWS: Final = 1_000
"""Rows that are summed up between two words that there was progress."""

DECODED_ROWS: Final = 256
"""Rows that are decoded at once, which take ten times their text."""

_stream_of = itemgetter(0)
_placed_of = itemgetter(1)


def _at_most(number: int, batches: Iterable[list[PlacedRow]]) -> Iterator[list[PlacedRow]]:
    return (rows[start : start + number] for rows in batches for start in range(0, len(rows), number))


def segments_of(decoder: EventDecoder, rows: Sequence[PlacedRow]) -> Iterator[tuple[StreamKey, Placed]]:
    """Yield the events of some rows, which are decoded at once, cut where another stream begins."""
    columns: Any = tuple(zip(*rows, strict=True))
    types, ids = columns[2], columns[3]
    events = decoder.events(columns[2:])
    begins = compress(range(1, len(rows)), map(or_, map(ne, ids, ids[1:]), map(ne, types, types[1:])))
    return cut_events(columns[0], events, [(begin, 0) for begin in (0, *begins)])


def cut_events(
    positions: Sequence[int], events: EventList, begins: Iterable[tuple[int, int]]
) -> Iterator[tuple[StreamKey, Placed]]:
    """Yield events with their positions, cut where each stream begins: its number, and its offset in the records."""
    is_plain, records = events.is_plain, events.records
    for (start, here), (end, there) in pairwise((*begins, (len(events), len(records)))):
        some = EventList(events[start:end], is_plain=is_plain, records=records[here:there])
        yield stream_key(events[start]), Placed(positions[start:end], some)


def streams_of(segments: Iterable[tuple[StreamKey, Placed]]) -> Iterator[tuple[StreamKey, Iterator[Placed]]]:
    """Yield the streams that segments are cut of; raises StoreError STORE_DAMAGED where they do not come by key."""
    before: StreamKey | None = None
    for key, some in groupby(segments, _stream_of):
        if before is not None and key < before:
            raise _out_of_order(before, key)
        before = key
        yield key, map(_placed_of, some)


def _out_of_order(before: StreamKey, key: StreamKey) -> StoreError:
    """Make the error for an index whose keys do not ascend; both kinds of stores read streams by one."""
    return StoreError(
        "STORE_DAMAGED",
        f"cannot read streams by the index event_key: {key!r} comes after {before!r}",
        hint="a disk or memory at fault changes what is stored; keep a copy of it before anything else",
    )


def _joined(batches: Iterator[Placed]) -> Iterable[Event]:
    """Return the events of a stream: a list where they came at once."""
    first = next(batches).events
    second = next(batches, None)
    if second is None:
        return first
    return chain(first, second.events, chain.from_iterable(batch.events for batch in batches))


def stretch_of(generation: int, within: KeyRange) -> dict[str, Value]:
    """Return what names streams of a generation in a statement; what has no end ends where the next would begin."""
    first, end = within.first, within.end
    return {
        "generation": generation,
        "first_type": "" if first is None else first[1],
        "first_id": "" if first is None else first[2],
        "end_generation": generation + (end is None),
        "end_type": "" if end is None else end[1],
        "end_id": "" if end is None else end[2],
    }


class View(ABC, Generic[Database]):
    """What can be asked about one tenant in any transaction."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._gate = read_gate(database, tenant_id)

    @property
    def gate(self) -> Gate:
        return self._gate

    def snapshot(self, entity_type: str, entity_id: str) -> Snapshot | None:
        row = self._database.row("snapshot", (*self._active(), entity_type, entity_id))
        return None if row is None else stored_snapshot(self._tenant_id, row)

    def events(self, entity_type: str, entity_id: str, *, after_seq: int = 0) -> Iterator[Event]:
        rows = self._stream_rows(entity_type, entity_id, after_seq)
        return (stored_event(self._tenant_id, row) for row in rows)

    @abstractmethod
    def _stream_rows(self, entity_type: str, entity_id: str, after_seq: int) -> Iterator[EventRow]:
        """Yield the rows of one stream of the active generation beyond `after_seq`, by seq."""

    def _active(self) -> tuple[str, int]:
        return (self._tenant_id, self._gate.active_generation)


class Reading(View[Database], TenantReading):
    """A tenant as it is when the reading transaction begins."""

    def head(self, generation: int | None = None, *, upto_position: int | None = None) -> StoreHead:
        target = self._generation(generation)
        if upto_position is None:
            found = self._database.row("head", target)
        else:
            found = self._database.row("head_upto", (*target, upto_position))
        position, count = found or (0, 0)
        return StoreHead(target[1], position, count)

    def last_position(self, generation: int | None = None) -> int:
        return self._database.value("last_position", self._generation(generation)) or 0

    def latest_ts(self, generation: int | None = None, *, upto_position: int | None = None) -> int | None:
        limit = INTEGER_MAX if upto_position is None else upto_position
        return self._database.value("latest_ts", (*self._generation(generation), limit))

    def streams(self, generation: int | None = None) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        return ((key, _joined(batches)) for key, batches in self.placed_streams(generation))

    def placed_streams(
        self,
        generation: int | None = None,
        *,
        upto_position: int | None = None,
        within: KeyRange = EVERY_STREAM,
        alone: bool = False,
    ) -> Iterator[tuple[StreamKey, Iterator[Placed]]]:
        position = INTEGER_MAX if upto_position is None else upto_position
        return streams_of(self._segments(generation, position, within, alone=alone))

    def _segments(
        self,
        generation: int | None,
        upto_position: int,
        within: KeyRange,
        *,
        alone: bool,  # noqa: ARG002 - for others
    ) -> Iterator[tuple[StreamKey, Placed]]:
        """Yield the streams that `placed_streams` does, in segments."""
        decoder = EventDecoder(self._tenant_id)
        for rows in _at_most(DECODED_ROWS, self._batches(generation, upto_position, within)):
            yield from segments_of(decoder, rows)

    def rows(self, generation: int | None = None, *, within: KeyRange = EVERY_STREAM) -> Iterator[PlacedRow]:
        return chain.from_iterable(self._batches(generation, INTEGER_MAX, within))

    def _batches(self, generation: int | None, upto_position: int, within: KeyRange) -> Iterator[list[PlacedRow]]:
        tenant_id, number = self._generation(generation)
        stretch = stretch_of(number, within)
        return self._database.batches("placed_events", stretch | {"tenant_id": tenant_id, "position": upto_position})

    def sum_rows(self, generation: int, tick: Callable[[int], None], *, within: KeyRange = EVERY_STREAM) -> RowsHasher:
        rows, found = self.rows(generation, within=within), RowsHasher()
        while batch := list(islice(rows, SUMMED_ROWS)):
            found.update(batch)
            tick(len(batch))
        return found

    def cuts(self, ends: Sequence[int], head: StoreHead) -> list[StreamKey]:
        tenant_id = self._tenant_id
        names: dict[str, Value] = {"tenant_id": tenant_id, "generation": head.generation}
        first = self._database.row("stream_at", names | {"position": 0})
        if first is None:
            return []
        span = head.position - first[0]
        places = (first[0] + span * place // CUT_PLACES for place in range(CUT_PLACES))
        found = (self._database.row("stream_at", names | {"position": place}) for place in places)
        keys = sorted((tenant_id, row[1], row[2]) for row in found if row is not None)
        cuts = {keys[len(keys) * end // head.count] for end in ends[:-1]}
        return sorted(cuts - {keys[0]})

    def snapshots(self, generation: int | None = None) -> Iterator[Snapshot]:
        for row in self._database.rows("generation_snapshots", self._generation(generation)):
            yield stored_snapshot(self._tenant_id, row)

    def _generation(self, generation: int | None) -> tuple[str, int]:
        return (self._tenant_id, self._gate.active_generation if generation is None else generation)


class Transaction(View[Database], TenantTransaction):
    """A tenant while it is written to.

    A write that fails may have been done in part, so nothing commits after it, even if the caller
    goes on.
    """

    def __init__(self, database: Database, tenant_id: str) -> None:
        super().__init__(database, tenant_id)
        self._failure: BaseException | None = None

    @property
    def database(self) -> Database:
        """The connection, for what else belongs into the transaction."""
        return self._database

    def require_whole(self) -> None:
        """Raise again what a write raised, if one did."""
        if self._failure is not None:
            raise self._failure

    def receipt(self, command_id: str) -> Receipt | None:
        row = self._database.row("receipt", (self._tenant_id, command_id))
        if row is None:
            return None
        result, at_ms = row
        return Receipt(self._tenant_id, command_id, decode_document(result, f"receipt {command_id!r}"), at_ms)

    def append(self, events: Iterable[Event]) -> None:
        self.append_to(self._gate.active_generation, events)

    @abstractmethod
    def append_to(self, generation: int, events: Iterable[Event]) -> None:
        """Write events into a generation, through the fence."""

    @abstractmethod
    def import_into(self, generation: int, events: Iterable[Event]) -> int:
        """Write many events into a generation, in bulk, through the fence; return their number."""

    def put_receipt(self, command_id: str, result: Mapping[str, object]) -> None:
        with self._step():
            if not self._database.run("put_receipt", (self._tenant_id, command_id, encode_text(result))):
                raise command_repeated(self._tenant_id, command_id)

    def record(self, *, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
        with self._step():
            record(self._database, self._tenant_id, actor_id, action, detail)

    @contextmanager
    def _step(self) -> Iterator[None]:
        self.require_whole()
        try:
            yield
        except BaseException as error:
            self._failure = error
            raise
