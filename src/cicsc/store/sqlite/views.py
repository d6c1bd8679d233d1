# ruff: noqa: D102 - the protocol documents what its methods do
"""What is particular about a tenant inside a transaction on a SQLite file: how its events are read and written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cicsc.errors import FenceError
from cicsc.history.model import Event
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import EventRow, event_rows, snapshot_rows
from cicsc.store.journal import read_gate
from cicsc.store.protocol import StoreMoment
from cicsc.store.refusals import events_dropped
from cicsc.store.session import Value
from cicsc.store.sqlite.database import Database
from cicsc.store.sqlite.refusals import explained
from cicsc.store.views import Reading, Transaction, View


class _SqliteView(View[Database]):
    def _stream_rows(self, entity_type: str, entity_id: str, after_seq: int) -> Iterator[EventRow]:
        return self._database.rows("stream_events", (*self._active(), entity_type, entity_id, after_seq))


class SqliteReading(_SqliteView, Reading[Database]):
    """A tenant as it is when the reading transaction begins."""


class SqliteMoment(StoreMoment):
    """The file as it is when the reading transaction begins."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reading(self, tenant_id: str) -> SqliteReading:
        return SqliteReading(self._database, tenant_id)

    def share(self) -> str | None:
        return None


class SqliteTransaction(_SqliteView, Transaction[Database]):
    """A tenant while the file's write lock is held."""

    def append_to(self, generation: int, events: Iterable[Event]) -> None:
        self.import_into(generation, events)

    def import_into(self, generation: int, events: Iterable[Event]) -> int:
        rows = _Rows((self._tenant_id, generation), event_rows(self._tenant_id, events))
        with self._step():
            try:
                taken = self._database.run_many("append_event", rows)
            except FenceError as error:
                gate = read_gate(self._database, self._tenant_id)
                raise explained(error, self._database, gate, generation, rows.last) from error
            if taken < rows.count:
                raise events_dropped(self._tenant_id, rows.count, taken)
        return rows.count

    def put_snapshots(self, snapshots: Iterable[Snapshot]) -> None:
        with self._step():
            put_snapshots(self._database, self._active(), snapshots)


def put_snapshots(database: Database, target: tuple[str, int], snapshots: Iterable[Snapshot]) -> None:
    """Keep snapshots in (tenant, generation); one that is kept already and reaches as far stays."""
    database.run_many("put_snapshot", ((*target, *row) for row in snapshot_rows(target[0], snapshots)))


class _Rows:
    """Gives the rows to insert, counts them, and knows the one that a refusal is about."""

    def __init__(self, target: tuple[str, int], rows: Iterator[EventRow]) -> None:
        self._target = target
        self._rows = rows
        self.count = 0
        self.last: EventRow = ("", "", 0, "", "", 0, "", None)

    def __iter__(self) -> Iterator[tuple[Value, ...]]:
        target = self._target
        for row in self._rows:
            self.last = row
            self.count += 1
            yield target + row
