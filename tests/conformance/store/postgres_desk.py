"""The suite's view of PostgreSQL: a database for each test, and a plain writer.

A database with a store in it is a copy of one that was initialised. Where a test changed nothing but rows, the next one
gets the same database, emptied, which takes a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import psycopg

from cicsc.bundle.model import Bundle
from cicsc.history.model import Event
from cicsc.store.postgres.driver_errors import EVENT_KEY, FENCE_CODES
from cicsc.store.postgres.schema import VERSION
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.protocol import Store
from conformance.store.desk import (
    _COLUMNS,
    _REST,
    VERSION_1,
    Desk,
    Plain,
    RefusedError,
    fill_version_1,
    with_tables,
)
from postgres_server import PostgresServer


@cache
def template(server: PostgresServer) -> str:
    """A database with a store in it and nothing in that, to be copied."""
    name = server.new_database()
    with PostgresStore(server.url(name)) as store:
        store.initialise()
    return name


# As the superuser may; the fence stands in the way of everybody else, and of this too while its triggers are on.
EMPTY = f"""
set lock_timeout = '2s';
begin;
alter table cicsc.event disable trigger user;
alter table cicsc.audit disable trigger user;
delete from cicsc.event; delete from cicsc.audit; delete from cicsc.snapshot; delete from cicsc.command;
delete from cicsc.cutover; delete from cicsc.gate; delete from cicsc.tenant; delete from cicsc.event_type; delete from cicsc.bundle;
update cicsc.schema_version set version = {VERSION};
alter table cicsc.event
    enable always trigger fence_insert, enable always trigger fence_update,
    enable always trigger fence_delete, enable always trigger fence_truncate;
alter table cicsc.audit enable always trigger fence_change;
commit;
"""

_emptied: dict[PostgresServer, list[str]] = {}


class PlainPostgres(Plain):
    """Writes as the superuser, who may do everything that the fence does not refuse."""

    def __init__(self, url: str) -> None:
        self.changed_more_than_rows = False
        self._connection = psycopg.connect(url, autocommit=True)

    def execute(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        if statement.split(maxsplit=1)[0] in {"alter", "create", "drop"}:
            self.changed_more_than_rows = True
        text = with_tables(statement, "cicsc.{}").replace("%", "%%").replace("?", "%s")
        try:
            cursor = self._connection.execute(text, parameters)
        except psycopg.Error as error:
            code = FENCE_CODES.get(error.sqlstate or "")
            if error.diag.constraint_name == EVENT_KEY:
                code = "WRONG_SEQ"
            elif isinstance(error, psycopg.IntegrityError | psycopg.DataError):
                code = "CONSTRAINT"
            if code is None:
                raise
            raise RefusedError(code, str(error)) from error
        return cursor.fetchall() if cursor.description else []

    def run_script(self, script: str) -> None:
        """Run statements as they stand."""
        self._connection.execute(script.encode())

    def begin(self) -> None:
        self.execute("begin")

    def close(self) -> None:
        self._connection.close()


class PostgresDesk(Desk):
    """A database of a running server."""

    keeps_nul = False
    bypasses = (
        f"insert into {{event}} ({_COLUMNS}) values ('t', 1, 'Order', '1', 1, {_REST}) on conflict on constraint event_key do update set payload = excluded.payload",
        "merge into {event} e using (select 1) s on e.seq = 1 when matched then update set actor_id = 'mallory'",
        "merge into {event} e using (select 1) s on e.seq = 1 when matched then delete",
        "with gone as (delete from {event} returning 1) select count(*) from gone",
        "update {event} set seq = seq + 1000",
        "delete from {event}",
        "truncate {event}",
        "truncate {event} restart identity cascade",
    )
    switches = (
        ("set session_replication_role = replica",),
        ("set session_replication_role = local",),
        ("set search_path = pg_temp", "create temporary table gate as select * from {gate}"),
        ("set default_transaction_isolation = 'repeatable read'",),
        ("set row_security = off", "set check_function_bodies = off"),
        ("set cicsc.owner = 'run'", "set cicsc.epoch = '1'"),
    )

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._template: str | None = None
        self._name: str | None = None
        self._writers: list[PlainPostgres] = []

    @property
    def name(self) -> str:
        """The database, which is empty unless it was asked for by `initialised`."""
        if self._name is None:
            self._name = self.server.new_database(self._template or "template0")
        return self._name

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def initialised(self) -> Store:
        if self._name is None:
            self._template = template(self.server)
            if emptied := _emptied.get(self.server):
                self._name = emptied.pop()
            return self.open()
        return super().initialised()

    def install_version_1(self, bundle: Bundle, events: Iterable[Event]) -> None:
        with self.plain() as writer:
            writer.changed_more_than_rows = True
            for script in ("schema.sql", "fence.sql"):
                writer.run_script((VERSION_1 / "postgres" / script).read_text("utf-8"))
            fill_version_1(writer, bundle, events)

    def give_back(self) -> None:
        """Keep the database for another test, or remove it."""
        if self._name is None:
            return
        if self._template is None or any(writer.changed_more_than_rows for writer in self._writers):
            self.server.drop_database(self._name)
            return
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            connection.execute(EMPTY)
        _emptied.setdefault(self.server, []).append(self._name)

    def drop(self) -> None:
        """Remove the database."""
        if self._name is not None:
            self.server.drop_database(self._name)

    def plain(self) -> PlainPostgres:
        writer = PlainPostgres(self.url)
        self._writers.append(writer)
        return writer

    @contextmanager
    def as_owner(self, plain: Plain, tenant_id: str, generation: int, *, owner: str, epoch: int) -> Iterator[None]:
        plain.begin()
        plain.execute(
            "select set_config('cicsc.owner', ?, true), set_config('cicsc.epoch', ?, true)", owner, str(epoch)
        )
        try:
            yield
        except BaseException:
            plain.rollback()
            raise
        plain.commit()

    def put_staged(self, plain: Plain, event: tuple[object, ...], position: int, ordinal: int) -> None:
        plain.execute(
            "insert into {event} (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id,"
            " position, ordinal) overriding system value values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *event,
            position,
            ordinal,
        )

    def drop_trigger(self, plain: Plain, name: str) -> None:
        plain.execute(f"drop trigger {name} on {{event}}")

    def weaken_fence(self, plain: Plain) -> None:
        plain.execute(
            "create or replace function cicsc.fence_insert() returns trigger language plpgsql security definer"
            " as 'begin return null; end'"
        )
