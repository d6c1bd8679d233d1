"""What a store in PostgreSQL installs, where it refuses to, and what it sees of changes to the fence."""

from __future__ import annotations

import psycopg
import pytest

from cicsc.errors import StoreError
from cicsc.store.check import check_store
from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import add_tenant, append, event, stored
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect
from postgres_server import PostgresServer

NOTHING = "create function public.nothing() returns trigger language plpgsql as 'begin return null; end';"


def refusal(store: PostgresStore) -> str:
    with store, pytest.raises(StoreError) as caught:
        store.initialise()
    return caught.value.code


def test_fence_as_installed_has_no_faults(store: PostgresStore) -> None:
    assert store.fence_faults() == ()


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("drop trigger fence_insert on cicsc.event", "trigger fence_insert on event is missing"),
        ("alter table cicsc.event disable trigger fence_insert", "trigger fence_insert on event is not as installed"),
        ("alter table cicsc.event disable trigger all", "trigger fence_truncate on event is not as installed"),
        ("alter table cicsc.event enable trigger fence_insert", "trigger fence_insert on event is not as installed"),
        (
            "alter table cicsc.event enable replica trigger fence_delete",
            "trigger fence_delete on event is not as installed",
        ),
        ("alter table cicsc.audit disable trigger fence_change", "trigger fence_change on audit is not as installed"),
        (
            "create or replace trigger fence_update before update on cicsc.event for each row when (false) execute function cicsc.fence_change()",
            "trigger fence_update on event is not as installed",
        ),
        (
            "create or replace trigger fence_update before update of ts on cicsc.event for each statement execute function cicsc.fence_change()",
            "trigger fence_update on event is not as installed",
        ),
        (
            "create or replace function cicsc.fence_insert() returns trigger language plpgsql as 'begin return null; end'",
            "function fence_insert is not as installed",
        ),
        (
            "create or replace function cicsc.clock_ms() returns bigint language sql as 'select 9223372036854775807'",
            "function clock_ms is not as installed",
        ),
        ("alter function cicsc.fence_insert() security invoker", "function fence_insert is not as installed"),
        ("alter function cicsc.fence_insert() set search_path = public", "function fence_insert is not as installed"),
        ("alter function cicsc.fence_delete() reset search_path", "function fence_delete is not as installed"),
        ("alter function cicsc.fence_insert() stable", "function fence_insert is not as installed"),
        ("drop function cicsc.owns(cicsc.gate)", "function owns is missing"),
        (
            "create function cicsc.lock_key(bytea) returns bigint language sql as 'select 1'",
            "function lock_key(bytea) was added",
        ),
        ("create function cicsc.helper() returns bigint language sql as 'select 1'", "function helper was added"),
        ("alter table cicsc.event drop constraint event_key", "constraint event_key is missing"),
        (
            "alter table cicsc.event drop constraint event_payload, add constraint event_payload check (payload <> '')",
            "constraint event_payload is not as installed",
        ),
        (
            "create rule quiet as on insert to cicsc.event do instead nothing",
            "rule quiet on cicsc.event was added",
        ),
        (
            NOTHING
            + "create trigger quiet before insert on cicsc.event for each row execute function public.nothing()",
            "trigger quiet on cicsc.event was added",
        ),
        (
            NOTHING
            + "create trigger quiet before insert on cicsc.audit for each row execute function public.nothing()",
            "trigger quiet on cicsc.audit was added",
        ),
        ("create rule quiet as on insert to cicsc.audit do instead nothing", "rule quiet on cicsc.audit was added"),
        ("create table aside () inherits (cicsc.event)", "table public.aside that inherits from cicsc.event was added"),
        ("create table aside () inherits (cicsc.audit)", "table public.aside that inherits from cicsc.audit was added"),
        ("alter table cicsc.event enable row level security", "row security on cicsc.event was added"),
        ("drop trigger fence_gate on cicsc.gate", "trigger fence_gate on gate is missing"),
        (
            "create or replace trigger fence_gate before insert or update of active_bundle on cicsc.gate for each row execute function cicsc.fence_gate()",
            "trigger fence_gate on gate is not as installed",
        ),
        (
            """alter table cicsc.gate disable trigger fence_gate; update cicsc.gate set known_types = '{"Order": ["unheard of"]}'""",
            "the gate of tenant 't' has other event types",
        ),
    ],
)
def test_changed_fence_is_named_and_installed_anew(
    store: PostgresStore, connect: Connect, statement: str, fault: str
) -> None:
    connect().execute(statement)

    faults = store.fence_faults()
    repair = store.reinstall_fence(actor_id="ann")

    assert [found for found in faults if fault in found] != []
    assert (repair.found, repair.left) == (faults, store.fence_faults())
    is_of_others = "was added" in fault or "constraint" in fault
    assert repair.left == (faults if is_of_others else ())


@pytest.mark.parametrize(
    "statement",
    [
        "create trigger outbox after insert on cicsc.event for each row execute function public.nothing()",
        "create trigger outbox before insert on cicsc.event for each statement execute function public.nothing()",
        (
            "create trigger outbox before insert on cicsc.event for each row execute function public.nothing();"
            "alter table cicsc.event disable trigger outbox"
        ),
    ],
    ids=["after", "of statements", "disabled"],
)
def test_trigger_of_others_that_changes_no_row_is_theirs(
    store: PostgresStore, connect: Connect, statement: str
) -> None:
    connect().execute(NOTHING + statement)

    append(store, event())

    assert (store.fence_faults(), stored(store)) == ((), [event()])


@pytest.mark.parametrize(
    "statement",
    [
        "create rule quiet as on insert to cicsc.event do instead nothing",
        "create trigger quiet before insert on cicsc.event for each row when (new.seq = 2) execute function public.nothing()",
    ],
    ids=["rule", "trigger"],
)
def test_event_that_others_drop_is_told(store: PostgresStore, connect: Connect, statement: str) -> None:
    connect().execute(NOTHING + statement)

    with pytest.raises(StoreError, match=r"the table of events took [01] of 2") as caught:
        append(store, event(seq=1), event(seq=2))

    assert (caught.value.code, stored(store)) == ("STORE_DAMAGED", [])


def test_fence_is_not_installed_anew_beside_a_write(desk: PostgresDesk, store: PostgresStore, connect: Connect) -> None:
    connect().execute("alter table cicsc.event enable trigger fence_insert")
    writer = connect(autocommit=False)
    writer.execute(
        "insert into cicsc.event (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id)"
        " values ('t', 1, 'Order', '1', 1, 'created', '{}', 1, 'ann')"
    )

    with PostgresStore(desk.url, wait_s=0.1) as hasty, pytest.raises(StoreError) as caught:
        hasty.reinstall_fence(actor_id="ann")
    writer.commit()

    assert caught.value.code == "STORE_LOCKED"
    assert store.fence_faults() == ("trigger fence_insert on event is not as installed",)
    assert store.reinstall_fence(actor_id="ann").left == ()


@pytest.mark.parametrize("version", [2, 4])
def test_upgrade_of_another_fence_brings_that_of_today(store: PostgresStore, connect: Connect, version: int) -> None:
    owner = connect()
    owner.execute(
        "create or replace function cicsc.fence_insert() returns trigger language plpgsql as 'begin return null; end'"
    )
    owner.execute("drop function cicsc.has_lone_surrogate")
    owner.execute("update cicsc.schema_version set version = %s", (version,))

    store.upgrade()

    assert store.fence_faults() == ()


def test_upgrade_of_version_3_tells_gates_their_event_types(store: PostgresStore, connect: Connect) -> None:
    owner = connect()
    owner.execute("alter table cicsc.gate drop column known_types cascade; update cicsc.schema_version set version = 3")

    store.upgrade()

    assert store.fence_faults() == ()
    known = {"Customer": ["registered"], "Order": ["created", "paid"]}
    assert owner.execute("select known_types from cicsc.gate").fetchall() == [(known,)]


def test_event_types_of_a_gate_are_those_of_its_bundle_whoever_changes_them(
    store: PostgresStore, connect: Connect
) -> None:
    connect().execute("""update cicsc.gate set known_types = '{"Order": ["unheard of"]}'""")

    assert store.fence_faults() == ()


def test_triggers_of_others_are_their_business(store: PostgresStore, connect: Connect) -> None:
    connect().execute(
        "create function public.tell() returns trigger language plpgsql as 'begin return null; end';"
        "create trigger tell after insert on cicsc.event for each statement execute function public.tell()"
    )

    append(store, event())

    assert store.fence_faults() == ()


def test_every_name_is_compared_by_its_bytes(store: PostgresStore, connect: Connect) -> None:
    named = [
        "tenant_id",
        "entity_type",
        "entity_id",
        "event_type",
        "actor_id",
        "owner",
        "command_id",
        "digest",
        "bundle",
    ]
    rows = connect().execute(
        "select c.relname || '.' || a.attname from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " join pg_collation l on l.oid = a.attcollation"
        " where c.relnamespace = 'cicsc'::regnamespace and c.relkind = 'r' and a.attname = any(%s) and l.collname <> 'C'",
        (named,),
    )

    assert rows.fetchall() == []


def test_positions_grow_in_the_order_of_events(store: PostgresStore, connect: Connect) -> None:
    add_tenant(store, "u")
    append(store, *(event(f"{700 - number}") for number in range(600)))
    store.import_events("u", [event(f"{number}", tenant_id="u") for number in range(600)], generation=1, actor_id="ann")
    append(store, event("700", 2))

    rows = connect().execute("select tenant_id, entity_id, position from cicsc.event order by position").fetchall()

    assert [entity_id for tenant_id, entity_id, _ in rows if tenant_id == "t"][:3] == ["700", "699", "698"]
    assert [entity_id for tenant_id, entity_id, _ in rows if tenant_id == "u"][:3] == ["0", "1", "2"]
    assert [(rows[place][0], rows[place][1]) for place in (0, 600, 1200)] == [("t", "700"), ("u", "0"), ("t", "700")]
    assert store.head("t").position == rows[-1][2]


# ------------------------------------------------------------------------------------- where it refuses to


def test_sequence_behind_the_events_is_found(store: PostgresStore, connect: Connect) -> None:
    append(store, event("1"), event("1", 2), event("1", 3))
    assert "POSITIONS_BEHIND" not in check_store(store).counts

    connect().execute("alter sequence cicsc.event_position_seq restart")

    (found,) = (finding for finding in check_store(store).findings if finding.code == "POSITIONS_BEHIND")
    assert found.message == "the sequence cicsc.event_position_seq is at 0, behind position 3 of tenant 't'"
    connect().execute("select setval('cicsc.event_position_seq', (select max(position) from cicsc.event))")
    assert store.late_positions() == ()


def test_schema_of_another_program_is_left_alone(desk: PostgresDesk, connect: Connect) -> None:
    connect().execute("create schema cicsc")

    assert refusal(PostgresStore(desk.url)) == "STORE_FOREIGN"


def test_schema_without_a_version_is_damaged(store: PostgresStore, connect: Connect) -> None:
    connect().execute("delete from cicsc.schema_version")

    with pytest.raises(StoreError) as caught:
        store.gate("t")
    assert caught.value.code == "STORE_DAMAGED"


def test_missing_table_is_damage(store: PostgresStore, connect: Connect) -> None:
    connect().execute("drop table cicsc.command")

    with pytest.raises(StoreError) as caught, store.transaction("t") as transaction:
        transaction.receipt("1")
    assert caught.value.code == "STORE_DAMAGED"


def test_database_of_another_encoding_is_refused(server: PostgresServer) -> None:
    name = "in_latin1"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"create database {name} template template0 encoding 'LATIN1' locale 'C'")

    assert refusal(PostgresStore(server.url(name))) == "STORE_UNSUPPORTED"

    server.drop_database(name)


def test_old_server_is_refused(desk: PostgresDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.store.postgres.schema.SERVER_MIN", 990000)

    assert refusal(PostgresStore(desk.url)) == "STORE_UNSUPPORTED"


def test_role_without_the_right_is_told(desk: PostgresDesk, connect: Connect) -> None:
    owner = connect()
    owner.execute("drop role if exists nobody_much; create role nobody_much login")

    assert refusal(PostgresStore(desk.server.url(desk.name, user="nobody_much"))) == "STORE_FORBIDDEN"

    owner.execute("drop role nobody_much")


def test_initialisation_that_fails_leaves_nothing(desk: PostgresDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.store.postgres.schema.VERSION", 2**40)  # no integer of the column

    with PostgresStore(desk.url) as store, pytest.raises(Exception, match="integer out of range"):
        store.initialise()

    with PostgresStore(desk.url) as store:
        assert store.schema_version() is None
