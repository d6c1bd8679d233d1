"""A database of each kind for writers that are processes of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from conformance.store.conftest import MEMORY
from conformance.store.desk import Desk, SqliteDesk
from conformance.store.postgres_desk import PostgresDesk

KINDS = ("sqlite", "postgres-18")


@pytest.fixture(params=KINDS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """An empty database of each kind."""
    kind, _, version = request.param.partition("-")
    if kind == "sqlite":
        with TemporaryDirectory(prefix="cicsc-sqlite-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
            yield SqliteDesk(Path(folder))
        return
    desk = PostgresDesk(request.getfixturevalue("postgres_servers").server(version))
    yield desk
    desk.drop()
