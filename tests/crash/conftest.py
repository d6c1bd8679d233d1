"""Stores whose users die, and the processes that do. Environment:

CICSC_CRASH_RUNS    how many stories of deaths each kind of store goes through; `make crash` and `make full` set it to the full number
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from conformance.store.conftest import KINDS
from conformance.store.desk import SqliteDesk
from conformance.store.postgres_desk import PostgresDesk
from crash.fork_server import ForkServer

pytest.register_assert_rewrite("crash.ground")

from crash.ground import Ground  # noqa: E402 - what it asserts is explained only if it is imported after that

MEMORY = Path("/dev/shm")

RUNS = int(os.environ.get("CICSC_CRASH_RUNS", "0"))
"""How many stories each kind of store goes through, 0 for the few that CI has time for."""


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """The warm process whose children die."""
    with ForkServer() as server:
        yield server


@pytest.fixture(params=[KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """A store of each kind."""
    kind, _, version = request.param.partition("-")
    if kind == "sqlite":
        with TemporaryDirectory(prefix="cicsc-sqlite-", dir=MEMORY if MEMORY.is_dir() else tmp_path) as folder:
            ground = Ground(kind, SqliteDesk(Path(folder)), None)
            yield ground
            ground.close()
        return
    server = request.getfixturevalue("postgres_servers").server(version)
    desk = PostgresDesk(server)
    ground = Ground(request.param, desk, server)
    yield ground
    ground.close()
    desk.give_back()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many were killed, and where."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "crash":
                terminalreporter.write_line(f"{value}")
