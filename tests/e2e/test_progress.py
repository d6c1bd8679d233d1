"""Progress in a real pseudo-terminal: lines that come and go, a clean terminal after Ctrl-C, nothing anywhere else."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.shop import lay_out, long_history
from e2e.signals import heeded
from e2e.test_terminal import drain

ORDERS = 30_000
EVENTS = 3 * ORDERS
AT_ONCE = (
    "import sys; from cicsc.cli import meter; meter.SHOWN_AFTER_S = meter.REDRAW_S = 0.0; "
    "from cicsc.cli.main import main; sys.exit(main())"
)
"""The command, which shows its progress from the beginning on."""

HIDDEN, VISIBLE = b"\x1b[?25l", b"\x1b[?25h"


@pytest.fixture(autouse=True)
def signals_heeded() -> Iterator[None]:
    with heeded():
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = lay_out(tmp_path_factory.mktemp("progress"))
    with (folder / "long.jsonl").open("w") as file:
        file.writelines(long_history(ORDERS))
    return folder


def start(folder: Path, *words: str, stderr: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", AT_ONCE, "history-verify", "--events", "long.jsonl", *words]
    environment = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "FORCE_COLOR"}}
    environment |= {"TERM": "xterm-256color"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
    )


def on_terminal(folder: Path, *words: str, interrupt: bool = False) -> tuple[int, bytes, bytes]:
    """Run with standard error on a terminal; return the exit code, standard output, and what the terminal got."""
    leader, follower = pty.openpty()
    with start(folder, *words, stderr=follower) as process:
        os.close(follower)
        received = b""
        if interrupt:
            while HIDDEN not in received:
                received += os.read(leader, 65536)
            process.send_signal(signal.SIGINT)
        received += drain(leader)
        assert process.stdout is not None
        out = process.stdout.read()
    os.close(leader)
    return process.returncode, out, received


@pytest.mark.parametrize("workers", [pytest.param("1", marks=pytest.mark.slow), "2"])
def test_lines_come_and_go_and_figures_stay(folder: Path, workers: str) -> None:
    code, out, shown = on_terminal(folder, "--workers", workers)

    assert (code, json.loads(out)["ok"]) == (0, True)
    assert b"reading" in shown
    assert b"folding" in shown
    assert shown.count(HIDDEN) == 1
    assert shown.rfind(VISIBLE) > shown.rfind(HIDDEN)
    last = shown.decode().splitlines()[-1]
    assert last.startswith(f"{EVENTS:,} events, {ORDERS:,} streams, ")
    assert "events/s" in last


@pytest.mark.slow
def test_the_report_is_the_same_wherever_it_is_made(folder: Path) -> None:
    _, shown, _ = on_terminal(folder)
    with start(folder, stderr=subprocess.PIPE) as process:
        unseen, said = process.communicate()

    assert (unseen, said) == (shown, b"")


@pytest.mark.slow
def test_no_summary_no_progress(folder: Path) -> None:
    assert on_terminal(folder, "--summary", "never")[2] == b""


def test_an_interrupt_leaves_the_terminal_clean(folder: Path) -> None:
    code, out, shown = on_terminal(folder, interrupt=True)

    assert (code, json.loads(out)["error"]["code"]) == (3, "INTERRUPTED")
    assert VISIBLE in shown
    after = shown.rpartition(VISIBLE)[2]
    assert b"reading" not in after
    assert b"cicsc: interrupted by SIGINT" in after
    assert b"Traceback" not in after
