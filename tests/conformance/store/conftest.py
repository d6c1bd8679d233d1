"""The store under test: the suite runs once for each kind, on a database of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain, SqliteDesk
from conformance.store.history import BUNDLE, add_tenant
from conformance.store.postgres_desk import PostgresDesk

MEMORY = Path("/dev/shm")
"""Where the system has it, a file here costs no time to make durable; that would be most of what SQLite's tests take."""

KINDS = ("sqlite", "postgres-16", "postgres-18")
PARAMETERS = [pytest.param(kind, marks=pytest.mark.slow) if kind == "postgres-16" else kind for kind in KINDS]
"""Each kind; one version of PostgreSQL is enough for `make test-fast`."""


@pytest.fixture(params=PARAMETERS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """An empty database of each kind."""
    kind, _, version = request.param.partition("-")
    if kind == "sqlite":
        with TemporaryDirectory(prefix="cicsc-sqlite-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
            yield SqliteDesk(Path(folder))
        return
    desk = PostgresDesk(request.getfixturevalue("postgres_servers").server(version))
    yield desk
    desk.give_back()


@pytest.fixture
def store(desk: Desk) -> Iterator[Store]:
    """A store with one tenant, 't', whose history is empty."""
    with desk.initialised() as opened:
        opened.put_bundle(BUNDLE)
        add_tenant(opened, "t")
        yield opened


@pytest.fixture
def plain(desk: Desk, store: Store) -> Iterator[Plain]:
    """A program that writes to the store by plain SQL."""
    with desk.plain() as writer:
        yield writer
