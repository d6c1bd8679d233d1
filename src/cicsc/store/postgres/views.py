# ruff: noqa: D102 - the protocol documents what its methods do
"""What is particular about a tenant inside a transaction on PostgreSQL: how its events are read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

from cicsc.errors import FenceError
from cicsc.history.model import INTEGER_MAX, Event, StreamKey
from cicsc.history.native import native_part
from cicsc.history.runs import EVERY_STREAM, KeyRange
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import EventRow, RowsHasher, event_rows, snapshot_rows
from cicsc.store.postgres.copying import CopiedDecoder
from cicsc.store.postgres.database import Database
from cicsc.store.postgres.driver_errors import unstorable_text
from cicsc.store.protocol import StoreMoment
from cicsc.store.records import Placed
from cicsc.store.refusals import events_dropped, paused, stale_generation, wrong_seq
from cicsc.store.views import DECODED_ROWS, SUMMED_ROWS, Reading, Transaction, View, stretch_of

ROWS_MAX: Final = 256
"""Rows in one statement, and rows of a stream that are read at once."""


class _PostgresView(View[Database]):
    def _stream_rows(self, entity_type: str, entity_id: str, after_seq: int) -> Iterator[EventRow]:
        tenant_id, generation = self._active()
        bindings: dict[str, object] = {
            "tenant_id": tenant_id,
            "generation": generation,
            "entity_type": entity_type,
            "entity_id": entity_id,
            "limit": ROWS_MAX,
        }
        rows: list[EventRow] = []
        while not rows or len(rows) == ROWS_MAX:
            rows = self._database.all_rows("stream_events", bindings | {"after_seq": after_seq})
            if not rows:
                return
            yield from rows
            after_seq = rows[-1][2]


class PostgresReading(_PostgresView, Reading[Database]):
    """A tenant as it is when the reading transaction begins."""

    def sum_rows(self, generation: int, tick: Callable[[int], None], *, within: KeyRange = EVERY_STREAM) -> RowsHasher:
        self._bound_copy(generation, INTEGER_MAX, within)
        found = RowsHasher()
        for lines in self._database.copied_pieces("sum_events", SUMMED_ROWS):
            rows_count = lines.count(b"\n")
            found.add(lines, rows_count)
            tick(rows_count)
        return found

    def _segments(
        self, generation: int | None, upto_position: int, within: KeyRange, *, alone: bool
    ) -> Iterator[tuple[StreamKey, Placed]]:
        native = native_part()
        # While rows are copied, the connection can do nothing else.
        if native is None or not alone:
            yield from super()._segments(generation, upto_position, within, alone=alone)
            return
        tenant_id, number = self._generation(generation)
        self._bound_copy(number, upto_position, within)
        decoder = CopiedDecoder(tenant_id, native)
        for lines in self._database.copied_pieces("copied_events", DECODED_ROWS):
            yield from decoder.segments(lines)

    def _bound_copy(self, generation: int, upto_position: int, within: KeyRange) -> None:
        names = {"tenant_id": self._tenant_id, "position": upto_position}
        self._database.run("copy_bounds", stretch_of(generation, within) | names)


class PostgresMoment(StoreMoment):
    """The database as it is when the reading transaction begins, or as another transaction sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reading(self, tenant_id: str) -> PostgresReading:
        return PostgresReading(self._database, tenant_id)

    def share(self) -> str | None:
        return self._database.export_snapshot()


class PostgresTransaction(_PostgresView, Transaction[Database]):
    """A tenant while its lock is held, shared: others write too, but nobody changes the gate."""

    def __init__(self, database: Database, tenant_id: str) -> None:
        # A statement of its own, so that the gate is read after whoever held the lock has committed.
        database.run("lock_shared", (tenant_id,))
        super().__init__(database, tenant_id)

    def append_to(self, generation: int, events: Iterable[Event]) -> None:
        with self._step():
            rows = self._storable(events)
            while batch := list(islice(rows, ROWS_MAX)):
                try:
                    taken = self._database.run("append_events", (self._tenant_id, generation, *_columns(batch)))
                except FenceError as error:
                    if error.code == "WRONG_SEQ":
                        self._database.rollback()  # nothing can be read before
                        raise self._wrong_seq(generation, batch, error) from error
                    raise
                if taken != len(batch):
                    raise events_dropped(self._tenant_id, len(batch), taken)

    def import_into(self, generation: int, events: Iterable[Event]) -> int:
        with self._step():
            # A gate that is shut is told before anything is read.
            if self._gate.is_paused:
                raise paused(self._gate)
            if generation != self._gate.active_generation:
                raise stale_generation(self._gate, generation)
            target = (self._tenant_id, generation)
            return self._database.copy("import_events", (target + row for row in self._storable(events)))

    def put_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        with self._step():
            put_snapshots(self._database, self._active(), snapshots)

    def _storable(self, events: Iterable[Event]) -> Iterator[EventRow]:
        """Yield the columns of events; raises InputError TEXT_NOT_STORABLE, which names the event and the field."""
        for row in event_rows(self._tenant_id, events):
            entity_type, entity_id, seq, event_type, _, _, actor_id, _ = row
            if "\0" in entity_type or "\0" in entity_id or "\0" in event_type or "\0" in actor_id:
                texts = {
                    "entity_type": entity_type,
                    "entity_id": entity_id,
                    "event_type": event_type,
                    "actor_id": actor_id,
                }
                name = next(name for name, text in texts.items() if "\0" in text)
                key = (self._tenant_id, entity_type, entity_id)
                raise unstorable_text(f"{name} of the event of stream {key!r} at seq {seq}", "NUL")
            yield row

    def _wrong_seq(self, generation: int, rows: list[EventRow], error: FenceError) -> FenceError:
        """Return the refusal with the first event that does not follow, unless another writer has mended it since."""
        next_seqs: dict[tuple[str, str], int] = {}
        for row in rows:
            entity, seq = row[:2], row[2]
            if entity not in next_seqs:
                last = self._database.value("last_seq", (self._tenant_id, generation, *entity))
                next_seqs[entity] = 1 if last is None else last + 1
            if seq != next_seqs[entity]:
                return wrong_seq((self._tenant_id, *entity), next_seqs[entity], seq)
            next_seqs[entity] += 1
        return error


def put_snapshots(database: Database, target: tuple[str, int], snapshots: Iterable[Snapshot]) -> None:
    """Keep snapshots in (tenant, generation); one that is kept already and reaches as far stays."""
    rows = snapshot_rows(target[0], snapshots)
    while batch := list(islice(rows, ROWS_MAX)):
        database.run("put_snapshots", (*target, *_columns(batch)))


def _columns(rows: list[Any]) -> list[list[Any]]:
    """Turn rows into columns, which become the arrays of one statement."""
    return [list(column) for column in zip(*rows, strict=True)]
