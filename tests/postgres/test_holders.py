"""Who holds up a pause is named, and ended where that was asked for, as far as the role of the operator may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from cicsc.errors import StoreError
from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import BUNDLE, add_tenant, columns, event
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect
from postgres_server import PostgresServer

OPERATOR = "on_duty"
COLUMNS = "tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id"


@pytest.fixture
def operator(store: PostgresStore, desk: PostgresDesk, connect: Connect) -> Iterator[PostgresStore]:
    """The store as a role opens it that may write all tables, and knows nothing of other sessions."""
    owner = connect()
    owner.execute(f"create role {OPERATOR} login; grant usage on schema cicsc to {OPERATOR}")
    owner.execute(f"grant select, insert, update, delete on all tables in schema cicsc to {OPERATOR}")
    owner.execute("create role shop login; grant usage on schema cicsc to shop; grant insert on cicsc.event to shop")
    with PostgresStore(desk.server.url(desk.name, OPERATOR), wait_s=0.1) as opened:
        yield opened
    for role in (OPERATOR, "shop"):
        owner.execute(f"drop owned by {role}; drop role {role}")


@contextmanager
def idle_writer(url: str, entity_id: str = "1") -> Iterator[psycopg.Connection]:
    """Give a connection that has written, and goes on no further."""
    writer = psycopg.connect(url, application_name="forgotten")
    try:
        row = columns(event(entity_id))
        writer.execute(f"insert into cicsc.event ({COLUMNS}) values ({', '.join(['%s'] * len(row))})", row)
        yield writer
    finally:
        writer.close()


def refused(store: PostgresStore) -> StoreError:
    with pytest.raises(StoreError) as caught:
        store.pause("t", owner="ann", seconds=60)
    assert caught.value.code == "STORE_LOCKED"
    return caught.value


def test_session_is_named_as_far_as_it_is_shown(operator: PostgresStore, desk: PostgresDesk, connect: Connect) -> None:
    with idle_writer(desk.server.url(desk.name, "shop")) as writer:
        named = f"process {writer.info.backend_pid} of 'shop'"
        hidden = refused(operator).message
        connect().execute(f"grant pg_read_all_stats to {OPERATOR}")
        shown = refused(operator).message

    assert hidden.endswith(f"{named} (what it does is not shown to this role, application 'forgotten')")
    assert f"{named} (idle in transaction, in its transaction for " in shown


def test_sessions_are_ended_that_the_role_may_end(
    operator: PostgresStore, desk: PostgresDesk, connect: Connect
) -> None:
    owner = connect()
    owner.execute(f"grant pg_read_all_stats to {OPERATOR}")
    with (
        operator.ending_idle_writers("ann") as ended,
        idle_writer(desk.url, "2") as superuser,
        idle_writer(desk.server.url(desk.name, "shop")) as shop,
    ):
        assert "pg_signal_backend" in str(refused(operator).hint)
        owner.execute(f"grant pg_signal_backend to {OPERATOR}")
        found = refused(operator).message

        assert f"process {superuser.info.backend_pid} of" in found
        assert f"process {shop.info.backend_pid} of" not in found
    assert [writer.user for writer in ended] == ["shop"]
    assert [entry.action for entry in operator.audit("t")] == ["tenant-create", "writer-end"]


def test_prepared_transaction_is_named() -> None:
    server = PostgresServer("18", settings={"max_prepared_transactions": "1"})
    try:
        with PostgresStore(server.url(), wait_s=0.1) as store:
            store.initialise()
            store.put_bundle(BUNDLE)
            add_tenant(store, "t")
            with idle_writer(server.url()) as writer:
                writer.execute("prepare transaction 'order 7'")
            assert "prepared transaction 'order 7' of 'postgres' (for " in refused(store).message
    finally:
        server.stop()
