"""The fence against roles that may do little, names in the way, settings of sessions, and plans that were kept."""

from __future__ import annotations

import psycopg
import pytest

from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import add_tenant, append, columns, event
from postgres.conftest import Connect
from postgres.writing import copy, insert, refusal


def test_role_needs_no_right_but_to_insert(store: PostgresStore, application: psycopg.Connection) -> None:
    application.execute("set role application")

    insert(application, columns(event("1")), columns(event("1", 2)))

    assert refusal(insert, application, columns(event("1", 4))) == "WRONG_SEQ"
    assert "permission denied" in refusal(application.execute, "update cicsc.gate set state = 'open'")


def test_names_in_the_way_do_not_mislead_the_fence(store: PostgresStore, application: psycopg.Connection) -> None:
    store.pause("t", owner="run", seconds=60)
    application.execute(
        "create temporary table gate (like cicsc.gate); create temporary table written (like cicsc.event)"
    )
    application.execute(
        "create function pg_temp.clock_ms() returns bigint language sql as 'select 9223372036854775807'"
    )
    application.execute("set search_path = pg_temp, cicsc, public")

    assert refusal(insert, application, columns(event("1"))) == "TENANT_PAUSED"


MISLEADING = """
create schema misleading;
create function misleading.always(text, text) returns boolean language sql immutable as 'select true';
create function misleading.always(bigint, bigint) returns boolean language sql immutable as 'select true';
create function misleading.always(integer, integer) returns boolean language sql immutable as 'select true';
create function misleading.nothing(bigint, integer) returns bigint language sql immutable as 'select 1::bigint';
create function misleading.hashtextextended(text, bigint) returns bigint language sql immutable as 'select 0::bigint';
create operator misleading.= (function = misleading.always, leftarg = text, rightarg = text);
create operator misleading.= (function = misleading.always, leftarg = bigint, rightarg = bigint);
create operator misleading.= (function = misleading.always, leftarg = integer, rightarg = integer);
create operator misleading.<= (function = misleading.always, leftarg = bigint, rightarg = bigint);
create operator misleading.<= (function = misleading.always, leftarg = text, rightarg = text);
create operator misleading.>= (function = misleading.always, leftarg = bigint, rightarg = bigint);
create operator misleading.>= (function = misleading.always, leftarg = text, rightarg = text);
create operator misleading.- (function = misleading.nothing, leftarg = bigint, rightarg = integer);
create function misleading.always(jsonb, text) returns boolean language sql immutable as 'select true';
create function misleading.all_of(jsonb, text) returns jsonb language sql immutable as 'select $1';
create operator misleading.? (function = misleading.always, leftarg = jsonb, rightarg = text);
create operator misleading.-> (function = misleading.all_of, leftarg = jsonb, rightarg = text);
create collation misleading."C" from pg_catalog."POSIX";
grant usage on schema misleading to application;
set search_path = misleading, pg_catalog, cicsc;
"""


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (columns(event("1", seq=3)), "WRONG_SEQ"),
        (columns(event("2", seq=2)), "WRONG_SEQ"),
        (columns(event("1", 2, event_type="unheard of")), "UNKNOWN_EVENT_TYPE"),
        (columns(event("1", 2, tenant_id="nobody")), "UNKNOWN_TENANT"),
        (columns(event("2"), 2), "STALE_GENERATION"),
        (columns(event("1", tenant_id="paused")), "TENANT_PAUSED"),
    ],
)
def test_operators_of_the_writer_do_not_mislead_the_fence(
    store: PostgresStore, application: psycopg.Connection, row: tuple[object, ...], code: str
) -> None:
    add_tenant(store, "paused")
    store.pause("paused", owner="run", seconds=60)
    append(store, event("1"))
    application.execute(MISLEADING)

    assert refusal(insert, application, row) == code
    assert refusal(insert, application, row, columns(event("3"))) == code


def test_writer_with_a_path_of_its_own_takes_the_lock_of_the_tenant(
    store: PostgresStore, application: psycopg.Connection, connect: Connect
) -> None:
    application.execute(MISLEADING + "begin")
    insert(application, columns(event("1")))

    key = "select (classid::bigint << 32 | objid::bigint) = cicsc.lock_key('t') from pg_locks where locktype = 'advisory' and pid = %s"

    assert connect().execute(key, (application.info.backend_pid,)).fetchall() == [(True,)]
    application.execute("rollback")


@pytest.mark.parametrize("rows", [1, 2])
def test_settings_of_the_writer_are_as_they_were(store: PostgresStore, connect: Connect, rows: int) -> None:
    asked = "select current_setting('search_path'), current_setting('enable_seqscan'), current_setting('jit')"
    writer = connect(autocommit=False)
    writer.execute("set search_path = public, cicsc; set enable_seqscan = on; set jit = on")
    before = writer.execute(asked).fetchone()

    insert(writer, *(columns(event(f"{number}")) for number in range(rows)))

    within = writer.execute(asked).fetchone()
    with pytest.raises(psycopg.Error), writer.transaction():
        insert(writer, columns(event("9", 9)))
    after = writer.execute(asked).fetchone()
    writer.commit()
    assert [within, after, writer.execute(asked).fetchone()] == [before] * 3


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable", "read uncommitted"])
def test_one_event_passes_in_every_isolation(store: PostgresStore, connect: Connect, level: str) -> None:
    writer = connect(autocommit=False)
    writer.execute(f"set transaction isolation level {level}")

    insert(writer, columns(event("1")))
    insert(writer, columns(event("1", 2)))
    writer.commit()

    assert store.head("t").count == 2


def test_plans_made_for_a_small_table_stay_right(store: PostgresStore, connect: Connect) -> None:
    for seq in range(1, 40):
        with store.transaction("t") as transaction:
            assert len(list(transaction.events("Order", "1", after_seq=seq - 2))) == min(seq - 1, 1)
            transaction.append([event("1", seq)])
    store._opened.run_script("select pg_stat_force_next_flush()")

    (used,) = (
        connect().execute("select idx_scan from pg_stat_user_indexes where indexrelname = 'event_position'").fetchone()
    )

    assert used == 0


def test_large_statements_do_not_spoil_small_ones(store: PostgresStore, connect: Connect) -> None:
    plain = connect()
    copy(plain, *(columns(event(f"{number:05}")) for number in range(5000)))
    before = plain.execute("select seq_scan from pg_stat_user_tables where relname = 'event'").fetchone()

    for number in range(20):
        insert(plain, columns(event(f"{number:05}", 2)))
    plain.execute("select pg_stat_force_next_flush()")

    assert plain.execute("select seq_scan from pg_stat_user_tables where relname = 'event'").fetchone() == before


def test_no_statement_is_compiled_to_machine_code(store: PostgresStore, connect: Connect) -> None:
    """Where the server can, it would compile every statement, since what is switched off counts as very expensive."""
    settings = connect().execute(
        "select proname, proconfig from pg_proc where pronamespace = 'cicsc'::regnamespace and 'enable_seqscan=off' = any(proconfig)"
    )

    assert {name: "jit=off" in found for name, found in settings} == {"fence_delete": True}
    assert store._opened._connection.execute("show jit").fetchone() == ("off",)
