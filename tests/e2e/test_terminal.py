"""The summary in a real pseudo-terminal: its width, its colours, and what cannot reach it."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

import pytest

from e2e.running import COMMAND, migration
from e2e.shop import event, lay_out, write

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "o1\x1b[2J[bold red]\u202e\nmigration v0_to_v1: safe to cut over"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out(tmp_path)


def shown(folder: Path, *words: str, columns: int, **environment: str) -> str:
    """Run with standard error on a terminal of so many columns, and return what it was sent."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    kept = {
        name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
    }
    env = {**kept, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(
        [*COMMAND, *words], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=follower
    ) as process:
        os.close(follower)
        received = drain(leader)
        assert process.stdout is not None
        json.loads(process.stdout.read())
    os.close(leader)
    return received.decode("utf-8").replace("\r\n", "\n")


def drain(descriptor: int) -> bytes:
    received = b""
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except OSError:  # the other side is closed
            return received
        if not piece:
            return received
        received += piece


def plain(text: str) -> list[str]:
    return ESCAPE.sub("", text).splitlines()


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_refusal_fits_the_terminal(folder: Path, columns: int) -> None:
    lines = plain(shown(folder, *migration("migration-preflight", target="bundle.v1.diverging.json"), columns=columns))
    command = next(number for number, line in enumerate(lines) if line.startswith("  cicsc "))

    assert " ".join(lines[:2]).startswith("migration v0_to_v1: refused: 1 of 7 checks failed")
    assert all(len(line) <= columns for line in lines[:command])
    text = " ".join(" ".join(lines).split())
    assert "FAILED replay_verification" in text
    assert "3 of 3 streams diverge (Order.attrs.total: 3)" in text
    assert "attrs.total: expected 7, found 8" in text
    assert "--id o2" in text
    assert "--steps" in text


def test_the_command_to_type_works_as_shown(folder: Path) -> None:
    lines = plain(shown(folder, *migration("migration-preflight", target="bundle.v1.diverging.json"), columns=40))
    command = next(number for number, line in enumerate(lines) if line.startswith("  cicsc "))
    script = "cicsc() { " + " ".join(COMMAND) + ' "$@"; }\n' + "\n".join(lines[command:])
    done = subprocess.run(["sh", "-c", script], cwd=folder, capture_output=True, check=True)

    assert json.loads(done.stdout)["attrs"] == {"total": 7}


def test_colours_on_a_terminal_and_none_with_no_color(folder: Path) -> None:
    words = migration("migration-preflight")

    assert "\x1b[1;32msafe to cut over" in shown(folder, *words, columns=80)
    colours = ESCAPE.findall(shown(folder, *words, columns=80, NO_COLOR="1"))
    assert {code for code in colours if re.search(r"[34]\d", code)} == set()
    assert ESCAPE.findall(shown(folder, *words, columns=80, TERM="dumb")) == []


@pytest.mark.parametrize("columns", [40, 80])
def test_nothing_in_a_history_controls_the_terminal(folder: Path, columns: int) -> None:
    write(
        folder / "events.v0.json", [event(1, "placed", {"total": 1, "text": HOSTILE}, tenant=HOSTILE, entity=HOSTILE)]
    )
    text = shown(folder, *migration("migration-preflight", target="bundle.v1.diverging.json"), columns=columns)
    lines = plain(text)

    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert "[bold red]" in "".join(line.strip() for line in lines)
    assert [line for line in lines[1:] if line.startswith("migration v0_to_v1: safe")] == []


def test_errors_are_shown_as_messages(folder: Path) -> None:
    text = shown(folder, "migration-preflight", "--form", columns=80)

    assert text == "cicsc: migration-preflight has no flag --form\nhint: did you mean --from?\n"
