"""A file in which bits were flipped: what SQLite itself does not look at is damage all the same, and never an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from cicsc.errors import StoreError
from cicsc.replay.snapshot import Snapshot
from cicsc.store.check import StoreFinding, check_store
from cicsc.store.sqlite.store import SqliteStore
from conformance.store.history import BUNDLE, add_tenant, append, event, stored
from conformance.store.running import run_in

INDEX_LEAF = 10
"""The first byte of a page that holds entries of an index. Source: sqlite.org/fileformat2.html, 1.6."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.db"
    with SqliteStore(path) as store:
        store.initialise()
        store.put_bundle(BUNDLE)
        add_tenant(store, "t")
        append(store, *[event(name, seq) for name in ("stream-a", "stream-b", "stream-c") for seq in (1, 2)])
        with store.transaction("t") as transaction:
            transaction.put_snapshots([Snapshot("t", "Order", "stream-b", "open", {}, {}, 20, 2)])
    return path


@pytest.fixture
def damaged(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(path) as store:
        yield store


def put(path: Path, table: str, column: str, value: object) -> None:
    """Put a value into a column as if the table took every type in."""
    with closing(apsw.Connection(str(path))) as connection:
        (text,) = connection.execute("select sql from sqlite_schema where name = ?", (table,)).fetchone()
        triggers = connection.execute(
            "select name, sql from sqlite_schema where type = 'trigger' and tbl_name = ?", (table,)
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"drop trigger {name}")
        _describe(
            connection,
            table,
            text.replace("strict", "")
            .replace(", without", "without")
            .replace("text not null", "text")
            .replace("integer not null", "integer"),
        )
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("pragma ignore_check_constraints = on")
        connection.execute(f"update {table} set {column} = ?", (value,))
        _describe(connection, table, text)
        for _, trigger in triggers:
            connection.execute(trigger)


def _describe(connection: apsw.Connection, table: str, text: str) -> None:
    connection.execute("pragma writable_schema = on")
    connection.execute("update sqlite_schema set sql = ? where name = ?", (text, table))
    connection.execute("pragma writable_schema = off")
    ((version,),) = connection.execute("pragma schema_version").fetchall()
    connection.execute(f"pragma schema_version = {version + 1}")


def read_all(store: SqliteStore) -> object:
    return stored(store)


def read_stream(store: SqliteStore) -> object:
    with store.reading("t") as reading:
        return list(reading.events("Order", "stream-b"))


@pytest.mark.parametrize("read", [read_all, read_stream])
@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("actor_id", b"ann", "a value of type bytes, expected TEXT"),
        ("payload", b"{}", "a value of type bytes, expected TEXT"),
        ("payload", None, "nothing, expected TEXT"),
        ("extra", b"{}", "a value of type bytes, expected TEXT"),
        ("ts", "soon", "a value of type str, expected INTEGER"),
        ("ts", 1.5, "a value of type float, expected INTEGER"),
        ("ts", None, "nothing, expected INTEGER"),
    ],
)
def test_event_of_another_type_is_damage(
    path: Path, damaged: SqliteStore, read: Callable[[SqliteStore], object], column: str, value: object, found: str
) -> None:
    put(path, "event", column, value)

    with pytest.raises(StoreError, match=f"column {column} holds {found}") as caught:
        read(damaged)

    assert caught.value.code == "STORE_DAMAGED"


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("event", "actor_id", b"ann"),
        ("snapshot", "attrs", b"{}"),
        ("snapshot", "shadows", None),
        ("snapshot", "updated_ts", "soon"),
        ("bundle", "body", b"{}"),
        ("gate", "state", b"open"),
        ("gate", "lease_until_ms", "soon"),
    ],
)
def test_check_names_where_a_value_of_another_type_is(
    path: Path, damaged: SqliteStore, table: str, column: str, value: object
) -> None:
    put(path, table, column, value)

    check = check_store(damaged)

    assert "FILE_DAMAGED" in check.counts
    assert f"{table}.{column}" in check.findings[0].message


def test_version_of_another_type_is_damage(path: Path, damaged: SqliteStore) -> None:
    put(path, "schema_version", "version", 4.5)

    with pytest.raises(StoreError, match="column version holds") as caught:
        check_store(damaged)

    assert caught.value.code == "STORE_DAMAGED"


def test_values_that_may_be_absent_are_none_by_mistake(path: Path, damaged: SqliteStore) -> None:
    put(path, "event", "extra", None)
    put(path, "snapshot", "updated_ts", None)

    assert len(stored(damaged)) == 6
    assert check_store(damaged).counts == {"SNAPSHOT_DIFFERS": 1}


def test_index_out_of_order_is_damage(path: Path, damaged: SqliteStore) -> None:
    data = path.read_bytes()
    pages = [data[start : start + 4096] for start in range(0, len(data), 4096)]
    path.write_bytes(
        b"".join(page.replace(b"stream-a", b"stream-x") if page[0] == INDEX_LEAF else page for page in pages)
    )

    with pytest.raises(StoreError, match=r"'stream-b'\) comes after .*'stream-x'\)") as caught:
        stored(damaged)

    assert caught.value.code == "STORE_DAMAGED"
    assert check_store(damaged).findings[0] == StoreFinding("FILE_DAMAGED", "row 1 missing from index event_key")


def test_tenant_without_its_row_is_damage(path: Path, damaged: SqliteStore) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("delete from tenant")

    with pytest.raises(StoreError, match="the table of tenants does not have it") as caught:
        run_in(damaged, "FENCED")

    assert (caught.value.code, damaged.gate("t").state) == ("STORE_DAMAGED", "open")


def test_event_that_a_trigger_drops_is_told(path: Path, damaged: SqliteStore) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(
            "create trigger quiet before insert on event when new.seq = 4 begin select raise(ignore); end"
        )

    with pytest.raises(StoreError, match="the table of events took 1 of 2") as caught:
        append(damaged, event("stream-a", 3), event("stream-a", 4))

    assert (caught.value.code, len(stored(damaged))) == ("STORE_DAMAGED", 6)


def test_number_of_generations_that_is_damaged_is_not_counted_through(path: Path, damaged: SqliteStore) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("update tenant set latest_generation = ?", (2**62,))

    assert damaged.runs.generations("t") == [1]


def test_check_goes_on_where_a_page_of_events_is_damaged(path: Path, damaged: SqliteStore) -> None:
    append(damaged, *[event(f"other-{number}", 1) for number in range(200)])
    add_tenant(damaged, "u")
    damaged.close()
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
        query = "select pageno from dbstat where name = 'event' and pagetype = 'leaf' order by pageno desc limit 1"
        ((number,),) = connection.execute(query).fetchall()
    with path.open("r+b") as file:
        file.seek((number - 1) * 4096)
        file.write(b"\xff" * 4096)

    with SqliteStore(path) as store:
        check = check_store(store)

    assert set(check.counts) >= {"FILE_DAMAGED"}
    assert check.findings[0].message.startswith("Tree ")
    assert (check.tenants, check.ok) == (2, False)
