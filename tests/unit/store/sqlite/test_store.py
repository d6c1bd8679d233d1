"""What is particular about the store in a SQLite file; all else is the conformance suite's."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cicsc.errors import FenceError, InputError, StoreError
from cicsc.history.runs import EVERY_STREAM
from cicsc.store.check import check_store
from cicsc.store.records import Gate
from cicsc.store.sqlite import schema
from cicsc.store.sqlite.database import QUERIES, Database, _require_safe
from cicsc.store.sqlite.refusals import explained
from cicsc.store.sqlite.schema import VERSION
from cicsc.store.sqlite.store import SqliteStore
from cicsc.store.views import stretch_of
from conformance.store.history import BUNDLE, NEXT_BUNDLE, add_tenant, append, event, stored

WAIT_S_MAX = 20


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path, wait_s=0.05) as opened:
        opened.initialise()
        opened.put_bundle(BUNDLE)
        add_tenant(opened, "t")
        yield opened


def opened(path: Path) -> closing[Database]:
    """A connection for what the tests change by themselves."""
    return closing(Database(path, wait_s=5, create=True))


def error_of(act) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    return caught.value


def test_commits_survive_a_power_cut(store: SqliteStore) -> None:
    database = store._connected()._connection

    assert database.execute("pragma journal_mode").fetchall() == [("wal",)]
    assert database.execute("pragma synchronous").fetchall() == [(2,)]  # full


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.0"])
def test_library_that_corrupts_files_is_refused(version: str) -> None:
    error = error_of(lambda: _require_safe(version))

    assert error.code == "STORE_UNSAFE"
    assert version in error.message


@pytest.mark.parametrize("version", ["3.51.3", "3.52.0", "4.0.0"])
def test_library_without_the_fault_is_used(version: str) -> None:
    _require_safe(version)


def test_locked_file_is_told_as_such(path: Path, store: SqliteStore) -> None:
    append(store, event())
    with opened(path) as other, other.writing():
        errors = [
            error_of(lambda: append(store, event("2"))),
            error_of(lambda: store.pause("t", owner="ann", seconds=60)),
        ]
        assert stored(store) == [event()]

    assert {error.code for error in errors} == {"STORE_LOCKED"}
    assert "try again" in (errors[0].hint or "")
    append(store, event("2"))


def test_errors_survive_pickling(path: Path, store: SqliteStore) -> None:
    with opened(path) as other, other.writing():
        error = error_of(lambda: append(store, event()))

    again = pickle.loads(pickle.dumps(error))

    assert (type(again), again.code, again.message, again.hint) == (StoreError, error.code, error.message, error.hint)


def test_full_disk_undoes_the_write(store: SqliteStore) -> None:
    append(store, event("1"))
    store._connected().run_script("pragma max_page_count = 1")  # the file as it is, and not a page more

    error = error_of(lambda: append(store, *[event(f"n{number}", payload={"a": "x" * 5000}) for number in range(500)]))

    assert error.code == "STORE_FULL"
    assert stored(store) == [event("1")]
    store._connected().run_script("pragma max_page_count = 1000000")
    append(store, event("2"))


def test_file_that_a_full_disk_left_becomes_a_store(path: Path) -> None:
    with opened(path) as database:
        database.run_script("pragma max_page_count = 1")
        error = error_of(lambda: schema.install(database))

    assert (error.code, "nothing was written" in (error.hint or "")) == ("STORE_FULL", False)
    assert path.stat().st_size > 0
    with SqliteStore(path) as store:
        assert store.schema_version() is None
        store.initialise()
        assert store.schema_version() == VERSION


def test_failed_commit_undoes_the_write(store: SqliteStore) -> None:
    store._connected().run_script("pragma foreign_keys = on")

    def commit() -> None:
        with store.writing() as database:
            database.run_script("pragma defer_foreign_keys = on")
            database.run("put_event_type", ("no such bundle", "Order", "created"))

    assert error_of(commit).code == "STORE_DAMAGED"
    assert store.fence_faults() == ()
    append(store, event())


def test_transaction_that_the_driver_ended(store: SqliteStore) -> None:
    def end() -> None:
        with store.writing() as database:
            database.run_script("rollback")  # as a full disk may do

    error_of(end)

    append(store, event())
    assert stored(store) == [event()]


def test_file_that_cannot_be_written(store: SqliteStore) -> None:
    store._connected().run_script("pragma query_only = on")

    assert error_of(lambda: append(store, event())).code == "STORE_UNREACHABLE"


def test_folder_is_no_store(tmp_path: Path) -> None:
    with SqliteStore(tmp_path) as store:
        assert error_of(store.initialise).code == "STORE_UNREACHABLE"


@pytest.mark.parametrize("names", [["x" * 248], ["y" * 200, "z" * 200, "x" * 200]], ids=["name", "path"])
def test_path_that_is_too_long_is_told_so_and_nothing_is_made(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path.joinpath(*names)
    path.parent.mkdir(parents=True, exist_ok=True)

    with SqliteStore(path) as store:
        error = error_of(store.initialise)

    assert error.code == "STORE_UNREACHABLE"
    assert "bytes, expected at most" in error.message
    assert list(path.parent.iterdir()) == []


def test_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"seq,event_type\n" * 1000)

    with SqliteStore(path) as store:
        errors = [error_of(store.initialise), error_of(store.schema_version), error_of(lambda: store.gate("t"))]

    assert {error.code for error in errors} == {"STORE_FOREIGN"}
    assert path.read_bytes() == b"seq,event_type\n" * 1000


@pytest.mark.parametrize("script", ["create table event (id)", "pragma application_id = 7; create table t (id)"])
def test_database_of_another_program(path: Path, script: str) -> None:
    with opened(path) as other:
        other.run_script(script)

    with SqliteStore(path) as store:
        errors = [error_of(store.initialise), error_of(lambda: store.gate("t"))]

    assert {error.code for error in errors} == {"STORE_FOREIGN"}


def test_empty_file_is_not_initialised(path: Path) -> None:
    path.touch()

    with SqliteStore(path) as store:
        assert error_of(lambda: store.gate("t")).code == "STORE_NOT_INITIALISED"
        store.initialise()
        assert store.schema_version() == VERSION


def test_file_with_overwritten_pages(path: Path, store: SqliteStore) -> None:
    append(store, *[event(f"{number:04}") for number in range(500)])
    store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))

    with SqliteStore(path) as again:
        assert error_of(lambda: stored(again)).code == "STORE_DAMAGED"


@pytest.mark.parametrize("script", ["delete from schema_version", "drop table schema_version", "drop table gate"])
def test_table_that_is_gone_is_damage(path: Path, store: SqliteStore, script: str) -> None:
    with opened(path) as other:
        other.run_script(script)

    assert error_of(lambda: store.gate("t")).code == "STORE_DAMAGED"


def test_file_system_without_shared_memory() -> None:
    with closing(Database(Path(":memory:"), wait_s=0, create=True)) as database:
        error = error_of(lambda: schema.install(database))

    assert error.code == "STORE_UNREACHABLE"
    assert "WAL" in error.message


def test_schema_that_another_program_installs_meanwhile(path: Path) -> None:
    def initialise() -> None:
        with SqliteStore(path, wait_s=WAIT_S_MAX) as store:
            store.initialise()

    runner = threading.Thread(target=initialise)
    with opened(path) as other:
        schema._begin_wal(other)
        with other.writing():
            runner.start()
            runner.join(0.3)
            assert runner.is_alive()  # it saw an empty file and waits
            other.run_script(f"pragma application_id = {schema.APPLICATION_ID}")
            schema._create(other)
    runner.join(WAIT_S_MAX)

    with SqliteStore(path) as store:
        assert store.schema_version() == VERSION
        assert store.fence_faults() == ()


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        ("drop trigger fence_audit_delete", "trigger fence_audit_delete is missing"),
        ("drop index event_key", "index event_key is missing"),
        (
            "drop trigger fence_update; create trigger fence_update before update on event begin select 1; end",
            "trigger fence_update is not as installed",
        ),
        (
            "create trigger helpful after insert on event begin select 1; end",
            "trigger helpful was added",
        ),
        (
            "drop trigger fence_delete; create trigger fence_delete before delete on snapshot begin select 1; end",
            "trigger fence_delete is not as installed",
        ),
    ],
)
def test_changed_object_is_named(path: Path, store: SqliteStore, script: str, fault: str) -> None:
    with opened(path) as other:
        other.run_script(script)

    assert store.fence_faults() == (fault,)


def test_gate_that_was_left_unlocked_is_named(path: Path, store: SqliteStore) -> None:
    with opened(path) as other:
        other.run_script("update gate set staging_generation = 2, unlocked_generation = 2 where tenant_id = 't'")

    assert store.fence_faults() == ("the gate of tenant 't' was left unlocked for generation 2",)


@pytest.mark.parametrize("number", [-1, 0, 1, 7])
def test_audit_entry_cannot_name_its_row(path: Path, store: SqliteStore, number: int) -> None:
    before = list(store.audit())
    with opened(path) as other, pytest.raises(FenceError) as caught:
        other.run_script(
            "pragma ignore_check_constraints = on; insert or replace into audit"
            f" (audit_id, at_ms, actor_id, action, detail) values ({number}, 1, 'mallory', 'look', '{{}}')"
        )

    assert caught.value.code == "HISTORY_IMMUTABLE"
    assert list(store.audit()) == before


def test_streams_are_read_in_the_order_of_an_index(store: SqliteStore) -> None:
    """Sorting would take memory for the whole history."""
    database = store._connected()._connection
    for name in ("placed_events", "stream_events", "generation_snapshots"):
        named = stretch_of(1, EVERY_STREAM) | {"tenant_id": "t", "position": 1}
        bindings = named if name == "placed_events" else ("t",) * QUERIES[name].count("?")
        plan = [row[3] for row in database.execute(f"explain query plan {QUERIES[name]}", bindings)]
        assert [step for step in plan if "TEMP B-TREE" in step or "SCAN" in step] == []


def test_event_type_that_is_gone_is_named(path: Path, store: SqliteStore) -> None:
    store.put_bundle(NEXT_BUNDLE)
    with opened(path) as other:
        other.run_script(f"delete from event_type where bundle = '{NEXT_BUNDLE.digest}' and event_type = 'settled'")

    assert store.fence_faults() == (f"the event types of bundle {NEXT_BUNDLE.digest} are not those of its reducers",)


def test_text_that_is_not_utf8(path: Path, store: SqliteStore) -> None:
    with opened(path) as other:
        other.run_script(
            "insert into event (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id)"
            " values ('t', 1, 'Order', cast(x'ff' as text), 1, 'created', '{}', 1, 'ann')"
        )

    with pytest.raises(InputError) as caught:
        stored(store)

    assert caught.value.code == "EVENT_UNREADABLE"
    assert check_store(store).counts == {"EVENT_UNREADABLE": 1}


def test_refusal_that_needs_no_more_words(store: SqliteStore) -> None:
    gate = Gate("t", "open", 1, None, None, None, 1, BUNDLE.digest, 1, None, 0)
    error = FenceError("HISTORY_IMMUTABLE", "positions are given by the store")

    assert explained(error, store._connected(), gate, 1, ("Order", "1", 1, "created", "{}", 1, "ann", None)) is error


def test_forgotten_reading_does_not_hold_the_file(path: Path, store: SqliteStore) -> None:
    append(store, *[event(f"{number:04}") for number in range(100)])
    streams = store.streams("t")
    next(streams)
    cycle: list[object] = [streams]
    cycle.append(cycle)

    del streams, cycle
    store.close()

    path.unlink()  # and no warning about a connection that could not be closed


def test_short_time_between_two_writers_is_not_missed(path: Path, store: SqliteStore) -> None:
    """SQLite alone would look 0.33 and 0.43 s after it found the file locked."""
    is_locked = threading.Event()

    def write_twice() -> None:
        with opened(path) as other:
            with other.writing():
                is_locked.set()
                time.sleep(0.36)
            time.sleep(0.04)
            with other.writing():
                time.sleep(1)

    busy = threading.Thread(target=write_twice)
    with SqliteStore(path, wait_s=0.8) as patient:
        patient.gate("t")
        busy.start()
        assert is_locked.wait(WAIT_S_MAX)
        append(patient, event())
    busy.join(WAIT_S_MAX)

    assert stored(store) == [event()]


def test_copy_made_by_sqlite_is_brought_back_to_wal_mode(path: Path, store: SqliteStore) -> None:
    append(store, event())
    copy = path.with_name("copy.db")
    with opened(path) as other:
        other.run_script(f"vacuum into '{copy}'")

    with SqliteStore(copy, wait_s=0.05) as restored, restored.reading("t") as reading:
        append(restored, event(seq=2))  # a reader does not keep it from committing

        assert reading.head().count == 1
        assert restored.head("t").count == 2


def test_file_of_another_program_is_not_brought_to_wal_mode(path: Path) -> None:
    with opened(path) as other:
        other.run_script("create table notes (text)")

    with SqliteStore(path) as store:
        assert error_of(lambda: store.gate("t")).code == "STORE_FOREIGN"

    with opened(path) as other:
        assert other.value("journal_mode") == "delete"
