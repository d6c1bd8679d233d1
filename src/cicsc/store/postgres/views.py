# ruff: noqa: D102 - the protocol documents what its methods do
"""One tenant inside a transaction on PostgreSQL: looked at, read whole, or written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, Final

from cicsc.errors import FenceError
from cicsc.history.model import Event, StreamKey
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import (
    EventRow,
    decode_document,
    encode_text,
    event_rows,
    snapshot_rows,
    stored_event,
    stored_snapshot,
)
from cicsc.store.postgres.database import Database
from cicsc.store.postgres.driver_errors import unstorable_text
from cicsc.store.protocol import TenantReading, TenantTransaction
from cicsc.store.records import Gate, Receipt, StoreHead
from cicsc.store.refusals import command_repeated, paused, stale_generation, unknown_tenant, wrong_seq

ROWS_MAX: Final = 256
"""Rows in one statement, and rows of a stream that are read at once."""

_entity = itemgetter(0, 1)


def read_gate(database: Database, tenant_id: str) -> Gate:
    """Return the gate of a tenant; raises UNKNOWN_TENANT."""
    row = database.row("gate", (tenant_id,))
    if row is None:
        raise unknown_tenant(tenant_id)
    return Gate(*row)


def record(database: Database, tenant_id: str | None, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
    """Add an entry to the audit."""
    database.run("put_audit", (tenant_id, actor_id, action, encode_text(detail)))


class _View:
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
            yield from (stored_event(tenant_id, row) for row in rows)
            after_seq = rows[-1][2]

    def _active(self) -> tuple[str, int]:
        return (self._tenant_id, self._gate.active_generation)


class PostgresReading(_View, TenantReading):
    """A tenant as it is when the reading transaction begins."""

    def head(self, generation: int | None = None) -> StoreHead:
        target = self._generation(generation)
        position, count = self._database.row("head", target) or (0, 0)
        return StoreHead(target[1], position, count)

    def latest_ts(self, generation: int | None = None) -> int | None:
        return self._database.value("latest_ts", self._generation(generation))

    def streams(self, generation: int | None = None) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        tenant_id = self._tenant_id
        rows = self._database.rows("generation_events", self._generation(generation))
        for (entity_type, entity_id), group in groupby(rows, _entity):
            yield (tenant_id, entity_type, entity_id), (stored_event(tenant_id, row) for row in group)

    def snapshots(self, generation: int | None = None) -> Iterator[Snapshot]:
        for row in self._database.rows("generation_snapshots", self._generation(generation)):
            yield stored_snapshot(self._tenant_id, row)

    def _generation(self, generation: int | None) -> tuple[str, int]:
        return (self._tenant_id, self._gate.active_generation if generation is None else generation)


class PostgresTransaction(_View, TenantTransaction):
    """A tenant while its lock is held, shared: others write too, but nobody changes the gate.

    A statement that fails fails the transaction, so nothing commits after it, even if the caller
    goes on.
    """

    def __init__(self, database: Database, tenant_id: str) -> None:
        # A statement of its own, so that the gate is read after whoever held the lock has committed.
        database.run("lock_shared", (tenant_id,))
        super().__init__(database, tenant_id)
        self._failure: BaseException | None = None

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

    def append_to(self, generation: int, events: Iterable[Event]) -> None:
        """Write events into a generation, through the fence."""
        with self._step():
            rows = self._storable(events)
            while batch := list(islice(rows, ROWS_MAX)):
                try:
                    self._database.run("append_events", (self._tenant_id, generation, *_columns(batch)))
                except FenceError as error:
                    if error.code == "WRONG_SEQ":
                        self._database.rollback()  # nothing can be read before
                        raise self._wrong_seq(generation, batch, error) from error
                    raise

    def import_into(self, generation: int, events: Iterable[Event]) -> int:
        """Write many events into a generation, in one statement, through the fence; return their number.

        A gate that is shut is told before anything is read.
        """
        with self._step():
            if self._gate.is_paused:
                raise paused(self._gate)
            if generation != self._gate.active_generation:
                raise stale_generation(self._gate, generation)
            target = (self._tenant_id, generation)
            return self._database.copy("import_events", (target + row for row in self._storable(events)))

    def put_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        with self._step():
            rows = snapshot_rows(self._tenant_id, snapshots)
            while batch := list(islice(rows, ROWS_MAX)):
                self._database.run("put_snapshots", (*self._active(), *_columns(batch)))

    def put_receipt(self, command_id: str, result: Mapping[str, object]) -> None:
        with self._step():
            if not self._database.run("put_receipt", (self._tenant_id, command_id, encode_text(result))):
                raise command_repeated(self._tenant_id, command_id)

    def record(self, *, actor_id: str, action: str, detail: Mapping[str, object]) -> None:
        with self._step():
            record(self._database, self._tenant_id, actor_id, action, detail)

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

    @contextmanager
    def _step(self) -> Iterator[None]:
        self.require_whole()
        try:
            yield
        except BaseException as error:
            self._failure = error
            raise


def _columns(rows: list[Any]) -> list[list[Any]]:
    """Turn rows into columns, which become the arrays of one statement."""
    return [list(column) for column in zip(*rows, strict=True)]
