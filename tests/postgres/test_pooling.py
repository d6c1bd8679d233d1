"""A store behind a pooler: one of whole sessions does, one of transactions is refused before anything is set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from cicsc.errors import StoreError
from cicsc.store.postgres.address import Address, parse_address
from cicsc.store.postgres.pooling import require_whole_session
from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import append, event, stored
from conformance.store.postgres_desk import PostgresDesk
from postgres.pooler import Pooler
from postgres_server import PostgresServer


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose name is short enough for a socket."""
    with TemporaryDirectory(prefix="cicsc-pool-") as name:
        yield Path(name)


def url_in(desk: PostgresDesk, server: PostgresServer, folder: Path) -> str:
    return desk.url.replace(str(server.folder), str(folder))


@pytest.mark.usefixtures("store")
def test_pooler_of_whole_sessions_serves(desk: PostgresDesk, server: PostgresServer, folder: Path) -> None:
    with Pooler(server.folder, folder, "session", 2), PostgresStore(url_in(desk, server, folder)) as pooled:
        append(pooled, event())

        assert stored(pooled) == [event()]


@pytest.mark.usefixtures("store")
def test_pooler_of_transactions_is_refused_and_carries_no_setting_on(
    desk: PostgresDesk, server: PostgresServer, folder: Path
) -> None:
    url = url_in(desk, server, folder)
    with Pooler(server.folder, folder, "transaction", 1), psycopg.connect(url, autocommit=True) as application:
        application.execute("set search_path = shop")
        with PostgresStore(url) as pooled, pytest.raises(StoreError) as caught:
            pooled.gate("t")
        found = application.execute("show search_path").fetchone()

    assert caught.value.code == "STORE_UNSUPPORTED"
    assert "pool_mode = session" in (caught.value.hint or "")
    assert found == ("shop",)


def test_pool_whose_sessions_are_all_taken_is_one_of_whole_sessions(
    desk: PostgresDesk, server: PostgresServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cicsc.store.postgres.pooling.ANSWER_S", 0.1)
    with Pooler(server.folder, folder, "session", 1), PostgresStore(url_in(desk, server, folder)) as pooled:
        assert pooled.schema_version() is None


def test_pooler_that_gives_transactions_to_its_sessions_in_turn_is_refused(
    desk: PostgresDesk, server: PostgresServer, folder: Path
) -> None:
    url = url_in(desk, server, folder)
    with Pooler(server.folder, folder, "transaction", 2, in_turn=True):
        with psycopg.connect(url) as busy, psycopg.connect(url) as busy_too:  # so that there are two
            busy.execute("select 1")
            busy_too.execute("select 1")
        with PostgresStore(url) as pooled, pytest.raises(StoreError) as caught:
            pooled.schema_version()

    assert caught.value.code == "STORE_UNSUPPORTED"


def test_pooler_that_lets_nobody_else_in_is_one_of_whole_sessions(
    desk: PostgresDesk, server: PostgresServer, folder: Path
) -> None:
    address = parse_address(url_in(desk, server, folder))
    pooler = Pooler(server.folder, folder, "session", 1)
    with pooler, psycopg.connect(**address.parameters, autocommit=True) as connection:  # type: ignore[arg-type]
        require_whole_session(Address("gone", {"host": "/nowhere"}), connection)
