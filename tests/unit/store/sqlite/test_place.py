"""A file that is moved, replaced or removed while it is in use: nothing that is lost with it was ever acknowledged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicsc.errors import StoreError
from cicsc.store.sqlite.store import SqliteStore
from conformance.store.history import BUNDLE, add_tenant, append, event, stored


def filled(path: Path, *tenants: str) -> None:
    with SqliteStore(path) as store:
        store.initialise()
        store.put_bundle(BUNDLE)
        for tenant_id in tenants:
            add_tenant(store, tenant_id)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    filled(path, "t")
    with SqliteStore(path) as opened:
        opened.gate("t")
        yield opened


def remove(path: Path) -> None:
    for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        file.unlink(missing_ok=True)


def code_of(act) -> str:
    with pytest.raises(StoreError) as caught:
        act()
    return caught.value.code


def test_nothing_is_acknowledged_in_a_file_that_was_removed(path: Path, store: SqliteStore) -> None:
    remove(path)

    assert code_of(lambda: append(store, event())) == "STORE_NOT_INITIALISED"


def test_what_is_written_is_in_the_file_that_took_the_place_of_the_other(path: Path, store: SqliteStore) -> None:
    filled(path.with_name("backup.db"), "t")
    remove(path)
    path.with_name("backup.db").rename(path)

    append(store, event())

    with SqliteStore(path) as other:
        assert stored(other) == [event()]


@pytest.mark.parametrize("is_replaced", [False, True])
def test_file_that_moves_during_a_transaction_takes_nothing(path: Path, store: SqliteStore, is_replaced: bool) -> None:
    def write() -> None:
        with store.transaction("t") as transaction:
            transaction.append([event()])
            path.rename(path.with_name("away.db"))
            if is_replaced:
                path.touch()

    assert code_of(write) == "STORE_UNREACHABLE"
    path.with_name("away.db").rename(path)
    assert stored(store) == []


def test_relative_path_leads_to_one_file_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        filled(tmp_path / name / "store.db", "t")
    monkeypatch.chdir(tmp_path / "here")
    with SqliteStore(Path("store.db")) as store:
        append(store, event())
        os.chdir(tmp_path / "there")

        assert stored(store) == [event()]


def test_link_leads_to_one_file_as_long_as_the_store_is_open(tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    for name in ("blue.db", "green.db"):
        filled(tmp_path / name, "t")
    link.symlink_to(tmp_path / "blue.db")
    with SqliteStore(link) as store:
        append(store, event())
        link.unlink()
        link.symlink_to(tmp_path / "green.db")

        assert stored(store) == [event()]
