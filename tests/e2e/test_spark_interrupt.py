"""A signal midway through a command on a local Spark: what `test_interrupt` shows, and no Java and no Python worker.

Starting a Spark takes long, so CI interrupts each phase once, by one signal or the other; `make full` by both.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from e2e.shop import lay_out, long_history
from e2e.signals import heeded
from e2e.test_interrupt import OUTPUTS, dry_run, left_behind, written

pytestmark = pytest.mark.slow

WAIT_SECONDS_MAX = 300  # Spark takes its time, and a busy machine several of it


@pytest.fixture(autouse=True)
def signals_heeded() -> Iterator[None]:
    with heeded():
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lay_out(tmp_path)
    (tmp_path / "events.v0.json").unlink()
    (tmp_path / "tmp").mkdir()
    with (tmp_path / "long.jsonl").open("w") as file:
        file.writelines(long_history(20_000))
    return tmp_path


def has_file(folder: Path, pattern: str) -> bool:
    """Spark moves its files about while they are looked for."""
    try:
        return next((folder / "tmp").rglob(pattern), None) is not None
    except FileNotFoundError:
        return False


PHASES: dict[str, Callable[[Path], bool]] = {
    "starting": lambda folder: bool(processes_of(folder)),
    "reading": lambda folder: has_file(folder, "rdd_*"),
    "folding": lambda folder: has_file(folder, "shuffle_*"),
    "writing": lambda folder: written(folder) > 0,
    "ending": lambda folder: written(folder) > 0 and not has_file(folder, "blockmgr-*"),
}
"""How each phase shows: a process that is none of ours, blocks that were read, streams on their way, an output.

The last is that the output is complete and Spark has put away what it kept, while its Java is still there."""


def phases(*in_ci: str, of: Iterable[str] = PHASES) -> list[ParameterSet]:
    """The phases as parameters; those that are not named wait for the full run."""
    return [pytest.param(phase, marks=[] if phase in in_ci else pytest.mark.full) for phase in of]


def start_on_spark(folder: Path) -> subprocess.Popen[bytes]:
    """Start a dry run in a group of its own, as a shell does."""
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    words = dry_run(*OUTPUTS, "--engine", "spark", "--spark-master", "local[2]")
    return subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )


def processes_of(folder: Path) -> list[int]:
    """Java and its Python workers: they were told of a folder below the one for temporary files."""
    wanted = f"TMPDIR={folder / 'tmp'}/".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            environment = (place / "environ").read_bytes()
        except OSError:
            continue
        if any(line.startswith(wanted) for line in environment.split(b"\0")):
            found.append(int(place.name))
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def interrupted(folder: Path, phase: str, send: Callable[[subprocess.Popen[bytes]], None]) -> tuple[int, bytes, bytes]:
    with start_on_spark(folder) as process:
        wait_until(lambda: PHASES[phase](folder) or process.poll() is not None)
        assert process.poll() is None, "the work was done before it could be interrupted"
        send(process)
        out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
    wait_until(lambda: not processes_of(folder))
    return process.returncode, out, err


@pytest.mark.parametrize("phase", phases("starting", "folding"))
def test_ctrl_c_leaves_nothing_behind(folder: Path, phase: str) -> None:
    code, out, err = interrupted(folder, phase, lambda process: os.killpg(process.pid, signal.SIGINT))
    error = json.loads(out)["error"]

    assert (code, error["code"]) == (3, "INTERRUPTED")
    assert "SIGINT" in error["message"]
    assert left_behind(folder) == []
    assert err.splitlines()[0].startswith(b"cicsc: interrupted by")
    assert len(err.splitlines()) == 2


@pytest.mark.parametrize("phase", phases("reading", "ending", of=["reading", "folding", "writing", "ending"]))
def test_a_request_to_end_leaves_nothing_behind(folder: Path, phase: str) -> None:
    def twice(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)  # an impatient operator

    code, out, err = interrupted(folder, phase, twice)
    assert (code, json.loads(out)["error"]["code"]) == (3, "INTERRUPTED")
    assert b"SIGTERM" in out
    assert left_behind(folder) == []
    assert len(err.splitlines()) == 2


def test_java_ends_when_the_command_is_killed(folder: Path) -> None:
    code, _, _ = interrupted(folder, "folding", lambda process: process.kill())
    assert code == -signal.SIGKILL
    assert list(folder.glob("out/*.jsonl")) == []
