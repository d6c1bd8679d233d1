"""The servers of the tests themselves: of the versions that are named, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from postgres_server import VERSIONS, PostgresServer, _remove_leftovers

TESTS = Path(__file__).resolve().parents[1]
START_AND_WAIT = """
import sys, time
from postgres_server import PostgresServers
with PostgresServers() as servers:
    server = servers.server("18")
    print(server._process.pid, server.folder, server.data, flush=True)
    time.sleep(60)
"""


def test_server_is_of_the_version_that_was_asked_for(server: PostgresServer) -> None:
    with psycopg.connect(server.url()) as connection:
        assert connection.info.server_version // 10000 == int(server.version)


def test_at_least_two_versions_are_tested() -> None:
    assert len(set(VERSIONS)) >= 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_server_ends_with_the_test_process(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT],
        env=os.environ | {"PYTHONPATH": str(TESTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        server, *folders = process.stdout.readline().split()
        process.send_signal(number)
        process.wait(30)

    wait_for_end(int(server))
    if number is signal.SIGKILL:
        assert len([folder for folder in folders if Path(folder).exists()]) == 2
        _remove_leftovers()  # as the next server does
    assert [folder for folder in folders if Path(folder).exists()] == []


def wait_for_end(process: int) -> None:
    """Wait until a process of somebody else has ended: its directory in /proc goes, or says that it is a zombie."""
    status = Path(f"/proc/{process}/stat")
    for _ in range(1500):
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        signal.sigtimedwait([], 0.02)
    pytest.fail(f"process {process} still runs")
