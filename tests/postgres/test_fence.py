"""The fence against what only PostgreSQL can do: COPY, whole statements, snapshots, transactions under way, runs."""

from __future__ import annotations

from threading import Thread
from typing import Any

import psycopg
import pytest

from cicsc.errors import FenceError, StoreError
from cicsc.store.postgres.store import PostgresStore
from conformance.store.desk import RefusedError
from conformance.store.history import add_tenant, append, columns, event, stored
from conformance.store.postgres_desk import PostgresDesk
from conformance.store.running import begin, run_in
from postgres.conftest import Connect
from postgres.writing import COLUMNS, INSERT, copy, insert, refusal

# ------------------------------------------------------------------------------------------- statements


@pytest.mark.parametrize("write", [insert, copy])
def test_statement_is_checked_as_a_whole(store: PostgresStore, connect: Connect, write: Any) -> None:
    add_tenant(store, "u")
    plain = connect()

    write(plain, columns(event("1")), columns(event("2")), columns(event("1", 2)), columns(event("1", tenant_id="u")))

    assert [store.head(tenant).count for tenant in ("t", "u")] == [3, 1]


@pytest.mark.parametrize("write", [insert, copy])
@pytest.mark.parametrize(
    ("row", "code"),
    [
        (columns(event("2", seq=2)), "WRONG_SEQ"),
        (columns(event("1", seq=3)), "WRONG_SEQ"),
        (columns(event("1", seq=-(2**63))), "WRONG_SEQ"),
        (columns(event("1", seq=2**63 - 1)), "WRONG_SEQ"),
        (columns(event("2", event_type="unheard of")), "UNKNOWN_EVENT_TYPE"),
        (columns(event("2", tenant_id="nobody")), "UNKNOWN_TENANT"),
        (columns(event("2"), 2), "STALE_GENERATION"),
        (columns(event("2", tenant_id="paused")), "TENANT_PAUSED"),
    ],
)
def test_one_bad_event_refuses_the_statement(
    store: PostgresStore, connect: Connect, write: Any, row: tuple[object, ...], code: str
) -> None:
    add_tenant(store, "paused")
    store.pause("paused", owner="ann", seconds=60)

    assert refusal(write, connect(), columns(event("1")), row) == code

    assert store.head("t").count == 0


def test_message_names_the_first_gap(store: PostgresStore, connect: Connect) -> None:
    append(store, event("1"))
    rows = [columns(event("1", seq)) for seq in (2, 3, 5, 6)]

    with pytest.raises(psycopg.Error) as caught:
        insert(connect(), *rows)

    expected = "cannot append to stream ('t', 'Order', '1'): expected seq 4, found 5"
    assert caught.value.diag.message_primary == expected


def test_statement_without_events_passes(store: PostgresStore, connect: Connect) -> None:
    plain = connect()

    plain.execute(f"insert into cicsc.event {COLUMNS} select {COLUMNS[1:-1]} from cicsc.event")
    plain.execute("delete from cicsc.event")

    assert store.head("t").count == 0


def test_events_of_a_transaction_follow_each_other(store: PostgresStore, connect: Connect) -> None:
    plain = connect(autocommit=False)

    for seq in (1, 2, 3):
        insert(plain, columns(event("1", seq)))
    plain.commit()

    assert [found.seq for found in stored(store)] == [1, 2, 3]


def test_event_of_a_transaction_that_is_open_cannot_be_followed(store: PostgresStore, connect: Connect) -> None:
    first, second = connect(autocommit=False), connect()
    insert(first, columns(event("1")))

    assert refusal(insert, second, columns(event("1", 2))) == "WRONG_SEQ"


def test_second_of_two_writers_of_one_seq_is_told(store: PostgresStore, connect: Connect) -> None:
    append(store, event("1"))
    other = connect()

    def write() -> None:
        with store.transaction("t") as transaction:
            insert(other, columns(event("1", 2)))
            transaction.append([event("1", 2)])

    with pytest.raises(FenceError, match=r"stream \('t', 'Order', '1'\): expected seq 3, found 2") as caught:
        write()
    assert caught.value.code == "WRONG_SEQ"


def test_upsert_is_refused_even_where_there_is_no_conflict(store: PostgresStore, connect: Connect) -> None:
    statement = f"{INSERT} on conflict on constraint event_key do update set ts = 0"

    assert refusal(connect().execute, statement, columns(event())) == "HISTORY_IMMUTABLE"


@pytest.mark.parametrize(("position", "ordinal"), [(2**40, 0), (1, 1)])
def test_events_are_not_written_at_a_place_of_their_own(
    desk: PostgresDesk, store: PostgresStore, connect: Connect, position: int, ordinal: int
) -> None:
    append(store, event("1"))

    with desk.plain() as plain, pytest.raises(RefusedError) as caught:
        desk.put_staged(plain, columns(event("2")), position, ordinal)

    assert (caught.value.code, store.head("t").count) == ("HISTORY_IMMUTABLE", 1)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        (f"insert into cicsc.event {COLUMNS} values ('t', 1, 'Order', '1', 7, 'created', '{{}}', 1, 'x')", "WRONG_SEQ"),
        ("update cicsc.event set ts = 0", "HISTORY_IMMUTABLE"),
        ("delete from cicsc.event", "HISTORY_IMMUTABLE"),
        ("truncate cicsc.event", "HISTORY_IMMUTABLE"),
        ("truncate cicsc.tenant cascade", "HISTORY_IMMUTABLE"),
        ("delete from cicsc.audit", "HISTORY_IMMUTABLE"),
        ("update cicsc.audit set action = 'nothing'", "HISTORY_IMMUTABLE"),
        ("truncate cicsc.audit", "HISTORY_IMMUTABLE"),
    ],
)
def test_replication_role_does_not_matter(store: PostgresStore, connect: Connect, statement: str, code: str) -> None:
    append(store, event("1"))
    plain = connect()
    plain.execute("set session_replication_role = replica")
    if "tenant cascade" in statement:
        plain.execute("alter table cicsc.event add foreign key (tenant_id) references cicsc.tenant")

    assert refusal(plain.execute, statement) == code

    assert stored(store) == [event("1")]


# ---------------------------------------------------------------------------------- transactions and locks


def test_pause_waits_for_writes_under_way(store: PostgresStore, connect: Connect, desk: Any) -> None:
    writer = connect(autocommit=False)
    insert(writer, columns(event("1")))
    gates = []

    def pause() -> None:
        with PostgresStore(desk.url, wait_s=20) as runner:
            gates.append(runner.pause("t", owner="run", seconds=60))
            gates.append(runner.head("t"))

    runner = Thread(target=pause)
    runner.start()
    runner.join(0.3)
    was_waiting = runner.is_alive()
    insert(writer, columns(event("1", 2)))  # who is in may go on
    writer.commit()
    runner.join(20)

    assert was_waiting
    assert gates[0].is_paused
    assert gates[1].count == 2
    assert refusal(insert, connect(), columns(event("1", 3))) == "TENANT_PAUSED"


def test_writer_that_comes_while_a_pause_waits_is_refused(store: PostgresStore, connect: Connect, desk: Any) -> None:
    writer, late = connect(autocommit=False), connect()
    insert(writer, columns(event("1")))
    refusals = []

    def pause() -> None:
        with PostgresStore(desk.url, wait_s=20) as other:
            other.pause("t", owner="run", seconds=60)

    runner = Thread(target=pause)
    runner.start()
    runner.join(0.2)
    follower = Thread(target=lambda: refusals.append(refusal(insert, late, columns(event("2")))))
    follower.start()
    follower.join(0.2)
    assert refusals == []  # it queues behind the pause, so a pause is never starved
    writer.commit()
    runner.join(20)
    follower.join(20)

    assert refusals == ["TENANT_PAUSED"]


def test_writer_that_idles_is_named(store: PostgresStore, connect: Connect) -> None:
    writer = connect(autocommit=False, application_name="forgotten session")
    insert(writer, columns(event("1")))

    with pytest.raises(Exception, match=r"idle in transaction.*'forgotten session'") as caught:
        store.pause("t", owner="run", seconds=60)

    assert caught.value.code == "STORE_LOCKED"
    assert str(writer.info.backend_pid) in caught.value.message
    assert not store.gate("t").is_paused
    writer.commit()
    assert store.pause("t", owner="run", seconds=60).is_paused


@pytest.mark.parametrize("tenant_id", ["", "a", "b", "c", "%s'\"\\", "T", "é\u0301", "\U0001f9ea" * 200])
def test_names_of_tenants_do_not_matter(store: PostgresStore, connect: Connect, tenant_id: str) -> None:
    add_tenant(store, tenant_id)
    writer = connect(autocommit=False)
    insert(writer, columns(event(tenant_id=tenant_id)))

    with pytest.raises(Exception, match="plain writer"):  # keys of either sign are found among the locks
        store.pause(tenant_id, owner="run", seconds=60)
    writer.commit()

    assert store.pause(tenant_id, owner="run", seconds=60).is_paused
    assert refusal(insert, writer, columns(event(tenant_id=tenant_id, seq=2))) == "TENANT_PAUSED"


def test_pause_of_a_tenant_lets_the_others_write(store: PostgresStore, connect: Connect) -> None:
    add_tenant(store, "u")
    insert(connect(autocommit=False), columns(event(tenant_id="u")))

    assert store.pause("t", owner="run", seconds=60).is_paused


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_transaction_with_a_snapshot_from_before_the_pause_is_refused(
    store: PostgresStore, connect: Connect, level: str
) -> None:
    writer = connect()
    writer.execute(f"begin isolation level {level}")
    writer.execute("select count(*) from cicsc.gate")
    store.pause("t", owner="run", seconds=60)

    with pytest.raises(psycopg.errors.SerializationFailure):
        insert(writer, columns(event("1")))


def test_lease_that_ran_out_counts_as_open(store: PostgresStore, connect: Connect) -> None:
    store.pause("t", owner="run", seconds=0.001)
    connect().execute("select pg_sleep(0.01)")

    insert(connect(), columns(event("1")))

    assert store.head("t").count == 1


# ------------------------------------------------------------------------------------------------ runs


def test_settled_reading_names_who_goes_on_writing(store: PostgresStore, connect: Connect) -> None:
    writer = connect(autocommit=False, application_name="forgotten session")
    insert(writer, columns(event("1")))

    waiting = pytest.raises(StoreError, match=r"cannot read tenant 't'.*'forgotten session'")
    with waiting as caught, store.reading("t", settled=True):
        pytest.fail("it was read")

    assert caught.value.code == "STORE_LOCKED"


@pytest.mark.parametrize("by", [-1, 0, 1])
def test_who_may_only_insert_can_write_into_a_staging_whose_run_and_epoch_it_knows(
    store: PostgresStore, application: psycopg.Connection, by: int
) -> None:
    """Such a role can read neither, and the name of a run is random; what is written so stops the switch."""
    run = run_in(store, "STAGED", "0123456789abcdef")
    application.execute("set role application")
    assert "permission denied" in refusal(application.execute, "select owner, epoch from cicsc.gate")
    application.execute(
        "select set_config('cicsc.owner', %s, false), set_config('cicsc.epoch', %s, false)",
        (run.run_id, str(run.epoch + by)),
    )

    if by == 0:
        insert(application, columns(event("9"), 2))
    else:
        assert refusal(insert, application, columns(event("9"), 2)) == "TENANT_PAUSED"

    assert refusal(insert, application, columns(event("9"), 1)) == "TENANT_PAUSED"
    assert "permission denied" in refusal(application.execute, "delete from cicsc.event")
    if by == 0:
        with pytest.raises(FenceError, match="expected 0 events in generation 2, found 1"):
            store.runs.switch(run)
    else:
        assert store.runs.switch(run).phase == "SWITCHED"


def test_settings_of_an_owner_end_with_its_transaction(store: PostgresStore) -> None:
    append(store, event("1"))
    run_in(store, "STAGED")

    settings = "select current_setting('cicsc.owner', true), current_setting('cicsc.epoch', true)"
    assert store._opened._connection.execute(settings).fetchone() == ("", "")


def test_pause_of_a_run_waits_for_writes_under_way(store: PostgresStore, connect: Connect) -> None:
    run = begin(store)
    writer = connect(autocommit=False, application_name="forgotten session")
    insert(writer, columns(event("1")))

    with pytest.raises(StoreError, match=r"cannot pause tenant 't'.*'forgotten session'"):
        store.runs.fence(run, lease_s=5, max_pause_s=5)

    assert store.runs.run("t", "r1") == run
    writer.commit()
    assert store.runs.fence(run, lease_s=5, max_pause_s=5).head_count == 1


def test_replication_role_does_not_open_what_is_staged(store: PostgresStore, connect: Connect) -> None:
    append(store, event("1"))
    run_in(store, "STAGED")
    plain = connect()
    plain.execute("set session_replication_role = replica")

    assert refusal(insert, plain, columns(event("9"), 2)) == "TENANT_PAUSED"
    assert refusal(copy, plain, columns(event("9"), 2)) == "TENANT_PAUSED"
    assert refusal(plain.execute, "delete from cicsc.event where generation = 2") == "HISTORY_IMMUTABLE"
    assert refusal(plain.execute, "truncate cicsc.event") == "HISTORY_IMMUTABLE"
