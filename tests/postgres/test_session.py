"""What a session of the store makes of the settings that a role, a database or a URL bring along."""

from __future__ import annotations

import time
from pathlib import Path
from urllib.parse import quote

import pytest

import cicsc
from cicsc.errors import StoreError
from cicsc.history.model import Event
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.records import RunPlan
from conformance.store.history import add_tenant, append, columns, event, stored
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect
from postgres.writing import insert

MANY = 2_000


def many(tenant_id: str) -> list[Event]:
    """Return events that take some time to be written."""
    return [event(str(number), tenant_id=tenant_id) for number in range(MANY)]


# What pg_catalog has for other types only, and a name of the catalogue therefore finds first.
TRAP = """
create function public.sprung(text, name, text) returns text language plpgsql
    as 'begin raise exception ''it runs as %'', current_user; end';
create aggregate public.string_agg(name, text) (sfunc = public.sprung, stype = text);
"""

# What is found first where the path says so.
AHEAD = """
create schema ahead;
create function ahead.max(bigint) returns bigint language sql as 'select 7::bigint';
create function ahead.set_config(text, text, boolean) returns text language sql as 'select null';
create function ahead.same(text, text) returns boolean language sql as 'select true';
create operator ahead.= (function = ahead.same, leftarg = text, rightarg = text);
"""


def with_settings(store: PostgresStore, **settings: str) -> PostgresStore:
    """Return another store on the same database, to whose sessions a role or a database has given these settings."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return PostgresStore(f"{store.shared_url}&options={quote(options)}")


def test_limits_of_time_are_for_applications(store: PostgresStore, desk: PostgresDesk) -> None:
    limits = {"statement_timeout": "5ms", "idle_session_timeout": "200ms"}  # it takes a moment to set it aside
    if desk.server.version != "16":
        limits["transaction_timeout"] = "5ms"

    for name, limit in limits.items():
        tenant_id = f"beyond {name}"
        add_tenant(store, tenant_id)
        with with_settings(store, **{name: limit}) as limited:
            assert limited.import_events(tenant_id, many(tenant_id), generation=1, actor_id="ann") == MANY
            time.sleep(0.3 if name == "idle_session_timeout" else 0)
            assert (limited.gate(tenant_id).owner, limited.head(tenant_id).count) == (None, MANY)


def test_functions_of_others_are_not_run(store: PostgresStore, connect: Connect) -> None:
    connect().execute(TRAP)

    assert store.fence_faults() == ()


def test_path_of_a_role_does_not_mislead(store: PostgresStore, connect: Connect) -> None:
    connect().execute(AHEAD)

    with with_settings(store, search_path="ahead,pg_catalog") as misled:
        misled.import_events("t", [event()], generation=1, actor_id="ann")
        assert stored(misled) == [event()]
        assert misled.head("t").position < 7
        assert misled._opened._connection.execute("show lock_timeout").fetchone() == ("5s",)


def test_history_is_not_read_without_the_rows_that_a_policy_hides(
    store: PostgresStore, desk: PostgresDesk, connect: Connect
) -> None:
    append(store, event())
    owner = connect()
    owner.execute("create role watched login; grant usage on schema cicsc to watched")
    owner.execute(
        "grant select on all tables in schema cicsc to watched; alter table cicsc.event enable row level security"
    )

    with PostgresStore(desk.server.url(desk.name, "watched")) as watched:
        for look in (watched.head, lambda name: list(watched.streams(name))):
            with pytest.raises(StoreError, match="row-level security policy") as caught:
                look("t")
            assert caught.value.code == "STORE_FORBIDDEN"

    owner.execute("drop owned by watched; drop role watched")


def test_checks_of_a_developer_do_not_stop_the_fence(store: PostgresStore) -> None:
    with with_settings(store, **{"plpgsql.extra_errors": "all"}) as strict:
        append(strict, event(), event(seq=2))

    assert store.head("t").count == 2


def test_spelling_that_others_want_changes_nothing(store: PostgresStore) -> None:
    with with_settings(store, array_nulls="off", quote_all_identifiers="on") as odd:
        append(odd, event(), event(seq=2))
        assert odd.fence_faults() == ()

    assert stored(store) == [event(), event(seq=2)]


def test_database_that_is_frozen_is_only_read(store: PostgresStore, tmp_path: Path) -> None:
    append(store, event())

    with with_settings(store, default_transaction_read_only="on") as frozen:
        for write in (lambda: append(frozen, event(seq=2)), lambda: frozen.pause("t", owner="ann", seconds=1)):
            with pytest.raises(StoreError, match="default_transaction_read_only is on") as caught:
                write()
            assert caught.value.code == "STORE_FORBIDDEN"
        frozen.initialise()
        frozen.upgrade()
        assert cicsc.export_history(cicsc.StoreSource(frozen, ["t"]), tmp_path / "events.jsonl").events == 1


def test_nothing_is_made_in_a_database_that_is_frozen(desk: PostgresDesk) -> None:
    with (
        PostgresStore(f"{desk.url}&options=-c%20default_transaction_read_only%3Don") as store,
        pytest.raises(StoreError, match="default_transaction_read_only is on"),
    ):
        store.initialise()


# ------------------------------------------------------------------------------------------- who idles in a transaction


def test_who_holds_a_tenant_and_does_nothing_is_ended_by_the_server(store: PostgresStore, connect: Connect) -> None:
    """As one whose process is stopped, or whose machine lost its power, does; nobody else would let the writers in."""

    def hold() -> None:
        with store._locking(idle_s_max=0.2) as database:
            database.run("lock_exclusively", ("t",))
            insert(connect(options="-c statement_timeout=10s"), columns(event(payload={})))

    with pytest.raises(StoreError) as ended:
        hold()

    assert ended.value.code in {"STORE_UNREACHABLE", "STORE_OUTCOME_UNKNOWN"}
    assert stored(store) == [event(payload={})]


@pytest.mark.parametrize(("given", "expected"), [("0", "5s"), ("1h", "5s"), ("3s", "3s"), ("250", "250ms")])
def test_limit_of_idling_is_the_shorter_one(store: PostgresStore, given: str, expected: str) -> None:
    def limit() -> object:
        return limited._opened._connection.execute("show idle_in_transaction_session_timeout").fetchone()[0]

    with with_settings(store, idle_in_transaction_session_timeout=given) as limited:
        run = limited.runs.begin("t", "run", RunPlan("cutover", "ann"), lease_s=60)
        before = limit()
        with limited.holding_gate("pause", "t"):
            held = limit()
        with limited.writing():
            written = limit()
        with limited.owning(run, 2):
            owned = limit()
        with limited.transaction("t"):
            applied = limit()

    assert (held, written, owned) == (expected,) * 3
    assert applied == before
