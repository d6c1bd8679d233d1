"""A hot standby: what tells no head can be read there, by several processes too; the rest is refused by name."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

import cicsc
import postgres_server
from cicsc.engine import choice, pool
from cicsc.errors import StoreError
from cicsc.operations import stored
from conformance.operations.application import V2, add
from conformance.store.history import append, event
from conformance.store.postgres_desk import PostgresDesk
from postgres_server import PostgresServer

STREAMS = 40
WAIT_S_MAX = 60


def test_standby_is_read_by_several_processes_and_takes_no_write(
    desk: PostgresDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "SHARED_EVENTS_MIN", 0)
    monkeypatch.setattr(choice, "forks_safely", lambda: True)
    monkeypatch.setattr(pool, "forks_safely", lambda: True)
    with desk.initialised() as store:
        add(store, "t", events=[event(str(number)) for number in range(STREAMS)])
    with standby(desk.server) as folder:
        source = cicsc.StoreSource(f"postgresql://postgres@/{desk.name}?host={folder}", ["t"])
        for workers in (1, 2):
            assert cicsc.verify_history(source, workers=workers).events == STREAMS
            assert cicsc.preflight(None, V2, source, "to_2", workers=workers).ok
            assert len(list(cicsc.replay_history(source, workers=workers))) == STREAMS
        for act in (
            lambda: cicsc.dry_run(None, V2, source, "to_2"),
            lambda: cicsc.export_history(source, tmp_path / "out.jsonl"),
            lambda: appended(source.store),
        ):
            with pytest.raises(StoreError, match="during recovery") as caught:
                act()
            assert caught.value.code == "STORE_FORBIDDEN"

    assert list(tmp_path.iterdir()) == []


def appended(url: str) -> None:
    with cicsc.open_store(url) as store:
        append(store, event("new"))


@contextmanager
def standby(server: PostgresServer) -> Iterator[Path]:
    """Run a server that follows another, as it is now; give the folder of its socket."""
    prefix = f"{postgres_server.FOLDER_PREFIX}{os.getpid()}-standby-"
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name,
        tempfile.TemporaryFile() as log,
    ):
        folder, data = Path(name), Path(name, "data")
        if os.geteuid() == 0:
            postgres_server._give_to_nobody(folder)
        binaries = server.folder / postgres_server.PACKAGE / postgres_server.INSTALLATIONS[server.version] / "bin"
        copy = [binaries / "pg_basebackup", "-D", data, "-h", server.folder, "-U", "postgres", "-R", "-c", "fast"]
        assert postgres_server._popen([*copy, "--no-sync"], folder, log).wait(WAIT_S_MAX) == 0
        settings = (f"{name}={value}" for name, value in postgres_server.SETTINGS.items())
        serve = [binaries / "postgres", "-D", data, "-k", folder, *(word for one in settings for word in ("-c", one))]
        process = postgres_server._popen(serve, folder, log)
        try:
            until_it_follows(f"postgresql://postgres@/postgres?host={folder}")
            yield folder
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(WAIT_S_MAX)


def until_it_follows(url: str) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while True:
        try:
            with psycopg.connect(url) as connection:
                assert connection.execute("select pg_is_in_recovery()").fetchone() == (True,)
                return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
