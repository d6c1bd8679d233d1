"""What the suite needs of a kind of store beside the protocol: a database of its own, and a writer that uses plain SQL.

A `Desk` stands for one empty database. Its plain writers are what programs in other languages are: they know the tables
and nothing of this package. Statements are written once, with `?` for parameters and `{event}` for names of tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Self

import apsw
import msgspec

from cicsc.bundle.model import Bundle
from cicsc.history.model import Event
from cicsc.store import open_store
from cicsc.store.encoding import event_types
from cicsc.store.protocol import Store
from cicsc.store.sqlite.schema import APPLICATION_ID
from conformance.store.history import INSERT, columns
from conformance.store.plain_sqlite import other_program

TABLES = (
    "schema_version",
    "bundle",
    "event_type",
    "tenant",
    "gate",
    "event",
    "snapshot",
    "command",
    "audit",
    "cutover",
)


_COLUMNS = "tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id"
_REST = "'created', '{}', 2, 'mallory'"


def with_tables(statement: str, form: str) -> str:
    """Write the names of tables in a statement as `form` says, such as "cicsc.{}"."""
    for table in TABLES:
        statement = statement.replace(f"{{{table}}}", form.format(table))
    return statement


VERSION_1 = Path(__file__).parent / "version_1"
"""The schema as the first version installed it."""


def fill_version_1(writer: Plain, bundle: Bundle, events: Iterable[Event]) -> None:
    """Write a tenant 't' with events into a store of the first version, as its programs did."""
    writer.execute("insert into {schema_version} (version) values (1)")
    document = msgspec.json.encode(bundle.document).decode()
    writer.execute("insert into {bundle} (digest, body, version) values (?, ?, null)", bundle.digest, document)
    for row in event_types(bundle):
        writer.execute("insert into {event_type} values (?, ?, ?)", bundle.digest, *row)
    writer.execute("insert into {tenant} (tenant_id, created_ms, latest_generation) values ('t', 1, 1)")
    writer.execute(
        "insert into {gate} (tenant_id, state, epoch, active_version, active_bundle, active_generation)"
        " values ('t', 'open', 1, 3, ?, 1)",
        bundle.digest,
    )
    for written in events:
        writer.execute(INSERT, *columns(written))


class RefusedError(Exception):
    """What the database refused to a plain writer; `code` is that of the fence."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Plain(ABC):
    """A connection of a program that writes by itself; outside of a transaction every statement commits."""

    @abstractmethod
    def execute(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Run a statement and return its rows; raises RefusedError for what the fence refuses."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a transaction that writes."""

    def commit(self) -> None:
        """End the transaction well."""
        self.execute("commit")

    def rollback(self) -> None:
        """Undo the transaction."""
        self.execute("rollback")

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Desk(ABC):
    """One empty database, and what is particular about its kind."""

    url: str

    keeps_nul: ClassVar[bool]
    """Whether the kind keeps NUL in names; one that does not refuses it."""

    bypasses: ClassVar[tuple[str, ...]]
    """Further statements of the kind that would change an event that is there: tenant 't', Order '1', seq 1."""

    switches: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Settings of the kind, as statements, that a plain writer may try to turn the fence off with, before it inserts."""

    one_writer: ClassVar[bool] = False
    """Whether nobody else can write while a transaction of the store is open."""

    @abstractmethod
    def install_version_1(self, bundle: Bundle, events: Iterable[Event]) -> None:
        """Make a store as the first version of the schema was, with a tenant 't' that has these events."""

    def open(self) -> Store:
        """Return a store on the database; several may be open."""
        return open_store(self.url)

    def initialised(self) -> Store:
        """Return a store on the database once it is initialised."""
        store = self.open()
        store.initialise()
        return store

    @abstractmethod
    def plain(self) -> Plain:
        """Return a plain writer."""

    @abstractmethod
    @contextmanager
    def as_owner(self, plain: Plain, tenant_id: str, generation: int, *, owner: str, epoch: int) -> Iterator[None]:
        """Let a plain writer be the owner of the gate, which works on `generation`, in one transaction."""
        yield

    @abstractmethod
    def put_staged(self, plain: Plain, event: tuple[object, ...], position: int, ordinal: int) -> None:
        """Insert an event (the columns of `INSERT`) at a position of its own."""

    @abstractmethod
    def drop_trigger(self, plain: Plain, name: str) -> None:
        """Remove a trigger from the table of events."""

    @abstractmethod
    def weaken_fence(self, plain: Plain) -> None:
        """Put something of the same name that lets everything in into the place of fence_insert."""


class PlainSqlite(Plain):
    """Writes from a process of its own, with another SQLite than the store's."""

    def __init__(self, path: Path) -> None:
        self._program = other_program()
        self._number = self._program.ask("open", str(path))[1]

    def execute(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        kind, answer = self._program.ask("execute", self._number, with_tables(statement, "{}"), parameters)
        if kind == "refused":
            code, _, rest = answer.partition(": ")
            raise RefusedError(code, rest)
        assert kind == "rows", answer
        return [tuple(row) for row in answer]

    def begin(self) -> None:
        self.execute("begin immediate")

    def close(self) -> None:
        self._program.ask("close", self._number)


class SqliteDesk(Desk):
    """A file in a folder of the test."""

    keeps_nul = True
    one_writer = True
    bypasses = (
        f"insert or replace into event ({_COLUMNS}) values ('t', 1, 'Order', '1', 1, {_REST})",
        f"replace into event ({_COLUMNS}) values ('t', 1, 'Order', '1', 1, {_REST})",
        f"insert or replace into event (row_id, {_COLUMNS}) values (1, 't', 1, 'Order', 'other', 1, {_REST})",
        f"insert or replace into event (row_id, {_COLUMNS}) values (2, 't', 1, 'Order', 'other', 1, {_REST})",
        f"insert or replace into event (row_id, {_COLUMNS}) values (-1, 't', 1, 'Order', 'other', 1, {_REST})",
        "update or replace event set seq = 1 where seq = 2",
        "update event set row_id = 1000 where row_id = 1",
        "delete from event",
    )
    switches = (
        ("pragma recursive_triggers = off", "pragma foreign_keys = off", "pragma ignore_check_constraints = on"),
    )

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store.db"
        self.url = f"sqlite:///{self.path}"

    def install_version_1(self, bundle: Bundle, events: Iterable[Event]) -> None:
        with closing(apsw.Connection(str(self.path))) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute(f"pragma application_id = {APPLICATION_ID}")
            for script in ("schema.sql", "fence.sql"):
                connection.execute((VERSION_1 / "sqlite" / script).read_text("utf-8"))
        with self.plain() as writer:
            fill_version_1(writer, bundle, events)

    def plain(self) -> PlainSqlite:
        return PlainSqlite(self.path)

    @contextmanager
    def as_owner(self, plain: Plain, tenant_id: str, generation: int, *, owner: str, epoch: int) -> Iterator[None]:
        plain.begin()
        try:
            plain.execute(
                "update gate set unlocked_generation = ? where tenant_id = ? and owner = ? and epoch = ?",
                generation,
                tenant_id,
                owner,
                epoch,
            )
            yield
        except BaseException:
            plain.rollback()
            raise
        plain.execute("update gate set unlocked_generation = null where tenant_id = ?", tenant_id)
        plain.commit()

    def put_staged(self, plain: Plain, event: tuple[object, ...], position: int, ordinal: int) -> None:
        plain.execute(
            "insert into event (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id,"
            " source_position, ordinal) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *event,
            position,
            ordinal,
        )

    def drop_trigger(self, plain: Plain, name: str) -> None:
        plain.execute(f"drop trigger {name}")

    def weaken_fence(self, plain: Plain) -> None:
        self.drop_trigger(plain, "fence_insert")
        plain.execute("create trigger fence_insert before insert on event begin select 1; end")
