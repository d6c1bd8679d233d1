"""Progress of a cutover in a real pseudo-terminal: phases of a tenant, a count of several, and a terminal that stands still."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from e2e.live import CUTOVER, STORE, lay_out_store
from e2e.test_live_cutover import WAIT_SECONDS_MAX
from e2e.test_progress import AT_ONCE, HIDDEN, VISIBLE
from e2e.test_terminal import drain

ORDERS = 2_000
STOP, GO = b"\x13", b"\x11"
BACK = ("migration-rollback", "--store", STORE, "--tenant", "acme", "--migration", "v0_to_v1", "--execute")


@contextmanager
def on_terminal(folder: Path, *words: str, before: bytes = b"") -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run with standard error on a terminal, on which something was typed before; give the process and the terminal."""
    leader, follower = pty.openpty()
    os.write(leader, before)
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "200"}
    with subprocess.Popen(
        [sys.executable, "-c", AT_ONCE, *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
    ) as process:
        os.close(follower)
        try:
            yield process, leader
        finally:
            os.write(leader, GO)
    os.close(leader)


def shown(folder: Path, *words: str) -> tuple[dict[str, Any], str]:
    """Run to the end; return the report, and what the terminal got."""
    with on_terminal(folder, *words) as (process, terminal):
        received = drain(terminal)
        assert process.stdout is not None
        report: dict[str, Any] = json.loads(process.stdout.read())
    assert received.count(HIDDEN) <= received.count(VISIBLE)
    return report, received.decode()


def test_phases_of_a_cutover_and_of_its_way_back(tmp_path: Path) -> None:
    lay_out_store(tmp_path, "acme", entities=ORDERS)

    report, text = shown(tmp_path, *CUTOVER, "--tenant", "acme", "--execute")
    assert report["outcome"] == "switched"
    for phase in ("preflight", "writing", "reading back"):
        assert phase in text
    assert "tenant" not in text.partition("cutover of tenant")[0]
    last = text.splitlines()[-1]
    assert last.startswith(f"{3 * ORDERS:,} events, {ORDERS:,} streams, ")

    report, text = shown(tmp_path, *BACK)
    assert report["outcome"] == "switched"
    assert "checking" in text
    assert "reading back" in text
    assert text.splitlines()[-1].startswith(f"{3 * ORDERS:,} events, {ORDERS:,} streams, ")


def test_several_in_turn_and_at_once(tmp_path: Path) -> None:
    lay_out_store(tmp_path, "acme", "bmart", "corner")

    _, text = shown(tmp_path, *CUTOVER, "--all")
    assert '2 of 3  "bmart"  preflight' in text
    assert text.splitlines()[-1].startswith("3 of 3 tenants, 18 events, 6 streams, ")

    report, text = shown(tmp_path, *CUTOVER, "--all", "--parallel", "2", "--execute")
    assert report["counts"] == {"switched": 3}
    assert "0 of 3" in text
    assert "2 of 3" in text
    assert "preflight" not in text
    assert text.count(": switched to version 1") == 3
    assert text.splitlines()[-1].startswith("3 of 3 tenants, ")


@pytest.mark.parametrize("more", [(), ("--parallel", "2")])
def test_nothing_is_shown_where_nobody_wants_it(tmp_path: Path, more: tuple[str, ...]) -> None:
    lay_out_store(tmp_path, "acme", "bmart")
    assert shown(tmp_path, *CUTOVER, "--all", *more, "--summary", "never")[1] == ""


def test_a_terminal_that_stands_still_is_not_waited_for(tmp_path: Path) -> None:
    lay_out_store(tmp_path, "acme", entities=ORDERS)
    words = (*CUTOVER, "--tenant", "acme", "--execute")

    with on_terminal(tmp_path, *words, before=STOP) as (process, terminal):
        assert process.stdout is not None
        text = b""
        while not text.endswith(b"\n}\n"):
            assert select.select([process.stdout], [], [], WAIT_SECONDS_MAX)[0]
            piece = os.read(process.stdout.fileno(), 65536)
            assert piece
            text += piece
        assert process.poll() is None  # it waits to say the summary
        os.write(terminal, GO)
        received = drain(terminal)

    assert json.loads(text)["outcome"] == "switched"
    assert b"preflight" not in received
    assert b"switched to version 1" in received
