"""The state machine on each kind of store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cicsc.operations.live import run as live_run
from conformance.protocol.machine import Protocol
from conformance.store.conftest import MEMORY
from conformance.store.desk import Desk, SqliteDesk
from conformance.store.postgres_desk import PostgresDesk


@pytest.fixture(params=["sqlite", pytest.param("postgres-16", marks=pytest.mark.slow), "postgres-18"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of store; the older PostgreSQL has its turn where there is time."""
    return request.param


@pytest.fixture
def machine(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> type[Protocol]:
    """The machine, on an empty database for each example."""
    monkeypatch.setattr(live_run, "FIRST_WAIT_S", 0.001)  # who is in the way here does not go away by waiting
    name, _, version = kind.partition("-")
    new = _sqlite(tmp_path) if name == "sqlite" else _postgres(request.getfixturevalue("postgres_servers"), version)
    return type("Machine", (Protocol,), {"new_desk": staticmethod(new), "tally": Counter()})


def _sqlite(folder: Path) -> Callable[[], tuple[Desk, Callable[[], None]]]:
    place = MEMORY if MEMORY.is_dir() else folder

    def new() -> tuple[Desk, Callable[[], None]]:
        made = TemporaryDirectory(prefix="cicsc-sqlite-", dir=place)
        return SqliteDesk(Path(made.name)), made.cleanup

    return new


def _postgres(servers, version: str) -> Callable[[], tuple[Desk, Callable[[], None]]]:
    def new() -> tuple[Desk, Callable[[], None]]:
        desk = PostgresDesk(servers.server(version))
        return desk, desk.give_back

    return new
