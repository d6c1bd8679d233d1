"""What becomes of errors of the server and of lost connections; no password is ever shown."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import psycopg
import pytest

from cicsc.errors import CicscError, FenceError, InputError, StoreError, UsageError
from cicsc.history.model import Event
from cicsc.store import open_store
from cicsc.store.encoding import event_rows
from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import append, event, stored
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect
from postgres_server import PostgresServer


def end_connections(connect: Connect) -> None:
    """Do what a restart of the server does to everybody else."""
    connect().execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cicsc'")


def connections_left(connect: Connect, expected: int) -> int:
    """Count the connections of the store, once there are as many as expected; who has ended is listed for a moment."""
    plain, deadline = connect(), time.monotonic() + 10
    while True:
        (count,) = plain.execute("select count(*) from pg_stat_activity where application_name = 'cicsc'").fetchone()
        if count == expected or time.monotonic() > deadline:
            return count
        time.sleep(0.02)


def shown(error: CicscError) -> str:
    return f"{error!r} {error.message} {error.hint} {''.join(traceback.format_exception(error))}"


# ------------------------------------------------------------------------------------------------ URLs


def test_driver_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cicsc.store.postgres.store", None)

    with pytest.raises(UsageError) as caught:
        open_store("postgresql://db.example/shop")

    assert caught.value.code == "STORE_DRIVER_MISSING"
    assert "cicsc[postgres]" in str(caught.value.hint)


def test_server_that_is_not_there(tmp_path) -> None:
    with open_store(f"postgresql://ann:gr8sEcret@/shop?host={tmp_path}") as store, pytest.raises(StoreError) as caught:
        store.schema_version()

    assert caught.value.code == "STORE_UNREACHABLE"
    assert f"postgresql://ann@{tmp_path}/shop" in caught.value.message
    assert "sEcret" not in shown(caught.value)


def test_database_that_is_not_there(server: PostgresServer) -> None:
    with open_store(server.url("nowhere")) as store, pytest.raises(StoreError, match="nowhere") as caught:
        store.schema_version()

    assert caught.value.code == "STORE_UNREACHABLE"


def test_user_that_is_not_there(desk: PostgresDesk) -> None:
    with open_store(desk.server.url(desk.name, user="nobody")) as store, pytest.raises(StoreError) as caught:
        store.schema_version()

    assert caught.value.code == "STORE_UNREACHABLE"


# ---------------------------------------------------------------------------------- lost connections


def test_store_connects_again_after_a_restart(store: PostgresStore, connect: Connect) -> None:
    end_connections(connect)

    with pytest.raises(StoreError) as caught:
        append(store, event())
    assert caught.value.code == "STORE_UNREACHABLE"

    append(store, event())
    assert stored(store) == [event()]


def test_connection_lost_before_the_commit_leaves_nothing(store: PostgresStore, connect: Connect) -> None:
    def write() -> None:
        with store.transaction("t") as transaction:
            transaction.append([event()])
            end_connections(connect)
            transaction.put_receipt("1", {})

    with pytest.raises(StoreError) as caught:
        write()

    assert caught.value.code == "STORE_UNREACHABLE"
    assert stored(store) == []


def test_connection_lost_in_the_commit_leaves_the_outcome_open(store: PostgresStore, connect: Connect) -> None:
    def write() -> None:
        with store.transaction("t") as transaction:
            transaction.append([event()])
            end_connections(connect)

    with pytest.raises(StoreError) as caught:
        write()

    assert caught.value.code == "STORE_OUTCOME_UNKNOWN"
    assert stored(store) == []


def test_signal_right_after_a_copy_has_begun_ends_it(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = psycopg.Cursor.copy

    class Interrupted:
        """The driver's own context, which keeps its lock on the connection while it is open."""

        def __init__(self, *given: Any) -> None:
            self._context = copy(*given)

        def __enter__(self) -> None:
            self._context.__enter__()
            raise KeyboardInterrupt

        def __exit__(self, *error: object) -> None:
            raise AssertionError

    def interrupted(cursor: psycopg.Cursor, statement: bytes) -> Interrupted:
        return Interrupted(cursor, statement)

    monkeypatch.setattr(psycopg.Cursor, "copy", interrupted)
    with pytest.raises(KeyboardInterrupt):  # and not a wait for ever
        store.import_events("t", [event()], generation=1, actor_id="ann")
    monkeypatch.undo()

    assert (stored(store), store.gate("t").owner) == ([], None)
    assert store.import_events("t", [event()], generation=1, actor_id="ann") == 1


def test_connection_lost_while_reading(store: PostgresStore, connect: Connect) -> None:
    append(store, *(event(f"{number}") for number in range(1000)))
    streams = store.streams("t")
    next(streams)
    end_connections(connect)

    with pytest.raises(StoreError) as caught:
        list(streams)

    assert caught.value.code == "STORE_UNREACHABLE"
    assert store.head("t").count == 1000


def test_session_that_is_ended_while_it_answers(
    store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(cursor: psycopg.ServerCursor, _number: int) -> None:
        end_connections(connect)
        with suppress(psycopg.Error):
            cursor.connection.execute(b"select")
        raise psycopg.InternalError(
            "received 2 results from command 'FETCH FORWARD 1 FROM \"rows_1\"'"
        )  # as the driver does

    monkeypatch.setattr(psycopg.ServerCursor, "fetchmany", cut_off)
    with pytest.raises(StoreError, match="cut off") as caught:
        list(store.gates())
    monkeypatch.undo()

    assert caught.value.code == "STORE_UNREACHABLE"
    assert [gate.tenant_id for gate in store.gates()] == ["t"]


def test_reader_that_was_lost_between_two_readings_is_replaced(store: PostgresStore, connect: Connect) -> None:
    append(store, event())
    store.head("t")
    end_connections(connect)

    assert store.head("t").count == 1


def test_import_whose_connections_are_lost_gives_the_tenant_back(store: PostgresStore, connect: Connect) -> None:
    def ending() -> Iterator[Event]:
        for number in range(10_000):
            if number == 5_000:
                end_connections(connect)
            yield event(str(number))

    store.head("t")
    with pytest.raises(StoreError) as caught:
        store.import_events("t", ending(), generation=1, actor_id="ann")

    assert caught.value.code == "STORE_UNREACHABLE"
    assert (store.runs.holder("t"), store.head("t").count) == (None, 0)


def test_commit_that_the_server_refuses_is_known_to_have_failed(store: PostgresStore, connect: Connect) -> None:
    connect().execute(
        "create function public.no() returns trigger language plpgsql as 'begin raise exception ''not today''; end';"
        "create constraint trigger no after insert on cicsc.event deferrable initially deferred"
        " for each row execute function public.no()"
    )

    with pytest.raises(StoreError, match="not today") as caught:
        append(store, event())

    assert caught.value.code == "STORE_FAILED"
    assert stored(store) == []


def test_full_disk_at_the_commit(store: PostgresStore, connect: Connect) -> None:
    connect().execute(
        "create function public.full() returns trigger language plpgsql as"
        " 'begin raise exception using errcode = ''53100'', message = ''no space left''; end';"
        "create constraint trigger full_disk after insert on cicsc.event deferrable initially deferred"
        " for each row execute function public.full()"
    )

    with pytest.raises(StoreError, match="no space left") as caught:
        append(store, event())

    assert caught.value.code == "STORE_FULL"
    assert stored(store) == []


def test_transaction_that_failed_unseen_does_not_commit(store: PostgresStore) -> None:
    def write() -> None:
        with store.transaction("t") as transaction:
            transaction.append([event()])
            with pytest.raises(StoreError):
                store._opened.run_script("select 1 / 0")

    with pytest.raises(StoreError) as caught:
        write()

    assert caught.value.code == "STORE_CONFLICT"
    assert stored(store) == []


def test_writes_after_a_failed_one_are_refused(store: PostgresStore) -> None:
    def write() -> None:
        with store.transaction("t") as transaction:
            with pytest.raises(FenceError):
                transaction.append([event(seq=7)])
            with pytest.raises(FenceError):
                transaction.put_receipt("1", {})
            with pytest.raises(FenceError):
                transaction.append([event()])

    with pytest.raises(FenceError) as caught:
        write()

    assert caught.value.code == "WRONG_SEQ"
    assert stored(store) == []


def test_connection_lost_while_waiting_to_pause(store: PostgresStore, connect: Connect, desk: PostgresDesk) -> None:
    writer = connect(autocommit=False)
    writer.execute("select pg_advisory_xact_lock_shared(cicsc.lock_key('t'))")
    errors = []

    def pause() -> None:
        with PostgresStore(desk.url, wait_s=20) as other, pytest.raises(StoreError) as caught:
            other.pause("t", owner="run", seconds=60)
        errors.append(caught.value.code)

    runner = Thread(target=pause)
    runner.start()
    runner.join(0.2)
    end_connections(connect)
    runner.join(20)

    assert errors == ["STORE_UNREACHABLE"]
    with desk.open() as other:
        assert not other.gate("t").is_paused


def test_connection_that_cannot_be_set_up_is_closed(desk: PostgresDesk, connect: Connect) -> None:
    with PostgresStore(desk.url, wait_s=-1) as store, pytest.raises(StoreError, match="lock_timeout"):
        store.schema_version()

    assert connections_left(connect, 0) == 0


def test_refusal_that_another_writer_mended_since_is_told_as_it_was(store: PostgresStore) -> None:
    told = FenceError("WRONG_SEQ", "told by the server")

    with store.transaction("t") as transaction:
        assert transaction._wrong_seq(1, list(event_rows("t", [event(), event(seq=2)])), told) is told


def test_two_readings_at_once_and_one_connection_kept(store: PostgresStore, connect: Connect) -> None:
    with store.reading("t") as first, store.reading("t") as second:
        assert (first.head().count, second.head().count) == (0, 0)
    store.head("t")

    assert connections_left(connect, 2) == 2


# ------------------------------------------------------------------------------------ other errors


@pytest.mark.parametrize(
    ("state", "kind", "code"),
    [
        ("40001", StoreError, "STORE_CONFLICT"),
        ("40P01", StoreError, "STORE_CONFLICT"),
        ("55P03", StoreError, "STORE_LOCKED"),
        ("57014", StoreError, "STORE_LOCKED"),
        ("25006", StoreError, "STORE_FORBIDDEN"),
        ("42501", StoreError, "STORE_FORBIDDEN"),
        ("53100", StoreError, "STORE_FULL"),
        ("53300", StoreError, "STORE_UNREACHABLE"),
        ("57P03", StoreError, "STORE_UNREACHABLE"),
        ("25P03", StoreError, "STORE_UNREACHABLE"),
        ("25P04", StoreError, "STORE_UNREACHABLE"),
        ("08006", StoreError, "STORE_UNREACHABLE"),
        ("42P01", StoreError, "STORE_DAMAGED"),
        ("XX001", StoreError, "STORE_DAMAGED"),
        ("22003", InputError, "VALUE_NOT_STORABLE"),
        ("54000", InputError, "VALUE_NOT_STORABLE"),
        ("P0001", StoreError, "STORE_FAILED"),
        ("CI001", FenceError, "TENANT_PAUSED"),
        ("CI006", FenceError, "HISTORY_IMMUTABLE"),
    ],
)
def test_state_of_the_server_becomes_a_code(store: PostgresStore, state: str, kind: type, code: str) -> None:
    script = f"do $$ begin raise exception using errcode = '{state}', message = E'it said so.\\nAnd more.'; end $$"

    with pytest.raises(CicscError, match="it said so") as caught:
        store._opened.run_script(script)

    assert type(caught.value) is kind
    assert caught.value.code == code
    assert ("And more" in caught.value.message) == (kind is FenceError)  # whose message may quote a name of two lines


def test_name_with_nul_is_refused_by_name(store: PostgresStore) -> None:
    with pytest.raises(InputError) as caught:
        store.import_events("t", [event("1"), event("a\0b")], generation=1, actor_id="ann")

    assert caught.value.code == "TEXT_NOT_STORABLE"
    assert "entity_id of the event of stream ('t', 'Order', 'a\\x00b') at seq 1" in caught.value.message
    assert stored(store) == []


def test_question_about_a_name_that_cannot_be_stored(store: PostgresStore) -> None:
    with pytest.raises(InputError) as caught:
        store.gate("a\0b")

    assert caught.value.code == "TEXT_NOT_STORABLE"


def test_name_too_long_for_an_index_is_refused(store: PostgresStore) -> None:
    name = "".join(f"{number:08x}" for number in range(0, 2**32, 2**20))  # nothing that compresses well

    with pytest.raises(InputError) as caught:
        append(store, event(name))

    assert caught.value.code == "VALUE_NOT_STORABLE"


def test_use_after_close_is_our_own_fault(store: PostgresStore) -> None:
    store.close()

    with pytest.raises(ValueError, match="closed"):
        store.gate("t")
