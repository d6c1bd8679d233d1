"""A signal midway: no output file, no temporary file, one JSON object, exit code 3."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.running import COMMAND, migration
from e2e.shop import lay_out, long_history
from e2e.signals import EACH_ENDING, heeded

WAIT_SECONDS_MAX = 60
OUTPUTS = (
    "--artifact",
    "out/artifact.json",
    "--out-events",
    "out/events.jsonl",
    "--out-positions",
    "out/positions.jsonl",
)


@pytest.fixture(autouse=True)
def signals_heeded() -> Iterator[None]:
    with heeded():
        yield


@pytest.fixture(scope="module")
def long_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "events.jsonl"
    with path.open("w") as file:
        file.writelines(long_history(60_000))
    return path


@pytest.fixture
def folder(tmp_path: Path, long_events: Path) -> Path:
    lay_out(tmp_path)
    (tmp_path / "events.v0.json").unlink()
    (tmp_path / "tmp").mkdir()
    (tmp_path / "long.jsonl").symlink_to(long_events)
    return tmp_path


def dry_run(*more: str) -> list[str]:
    words = [word if word != "events.v0.json" else "long.jsonl" for word in migration("migration-dry-run", *more)]
    return [*COMMAND, *words]


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for a moment midway; the process must still run then."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert process.poll() is None, "the work was done before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert process.poll() is None


def written(folder: Path) -> int:
    """The bytes that stand in whatever files the output folder holds."""
    total = 0
    for path in folder.glob("out/*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def left_behind(folder: Path) -> list[str]:
    found = [path for place in ("out", "tmp") for path in (folder / place).glob("**/*")]
    return [path.relative_to(folder).as_posix() for path in found]


@pytest.mark.parametrize("number", EACH_ENDING)
@pytest.mark.parametrize(
    "bytes_written", [pytest.param(0, id="while-reading", marks=pytest.mark.slow), pytest.param(1, id="while-writing")]
)
def test_dry_run_leaves_nothing_behind(folder: Path, number: signal.Signals, bytes_written: int) -> None:
    with start(dry_run(*OUTPUTS), folder) as process:
        wait_until(lambda: (folder / "out").exists() and written(folder) >= bytes_written, process)
        process.send_signal(number)
        process.send_signal(number)  # an impatient operator
        out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
    report = json.loads(out)

    assert process.returncode == 3
    assert (report["ok"], report["error"]["code"]) == (False, "INTERRUPTED")
    assert number.name in report["error"]["message"]
    assert left_behind(folder) == []
    assert err.splitlines()[0].startswith(b"cicsc: interrupted by")
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err


@pytest.mark.slow
def test_replay_ends_with_whole_lines_and_the_error(folder: Path) -> None:
    words = [*COMMAND, "history-replay", "--events", "long.jsonl", "--bundle", "bundle.v0.json"]
    with start(words, folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        # Not `communicate`: it would pass over what readline has taken into its buffer, up to the middle of a line.
        rest, err = process.stdout.read(), process.stderr.read()
        process.wait(WAIT_SECONDS_MAX)
    lines = [json.loads(line) for line in (first + rest).splitlines()]

    assert process.returncode == 3
    assert lines[-1]["error"]["code"] == "INTERRUPTED"
    assert all(line["entity_type"] == "Order" for line in lines[:-1])
    assert left_behind(folder) == []
    assert b"Traceback" not in err


def test_a_kept_output_survives_an_interrupted_rerun(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "events.jsonl").write_bytes(b"what was there before\n")
    with start(dry_run(*OUTPUTS), folder) as process:
        wait_until(lambda: len(list((folder / "out").iterdir())) > 1, process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=WAIT_SECONDS_MAX)

    assert process.returncode == 3
    assert left_behind(folder) == ["out/events.jsonl"]
    assert (folder / "out" / "events.jsonl").read_bytes() == b"what was there before\n"


def has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def start_workers(folder: Path) -> subprocess.Popen[bytes]:
    """Start a dry run with workers in a group of its own, as a shell does, and wait until they work."""
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    words = dry_run(*OUTPUTS, "--workers", "2")
    process = subprocess.Popen(
        words, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(lambda: len(children.read_text().split()) == 2, process)
    return process


@pytest.mark.parametrize("number", EACH_ENDING)
def test_a_signal_to_all_processes_leaves_none_of_them(folder: Path, number: signal.Signals) -> None:
    with start_workers(folder) as process:
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
    assert json.loads(out)["error"]["code"] == "INTERRUPTED"
    assert left_behind(folder) == []
    assert b"Traceback" not in err
    assert not has_members(process.pid)


def test_a_worker_that_is_killed_ends_the_work_with_an_error(folder: Path) -> None:
    with start_workers(folder) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[-1]), signal.SIGKILL)
        out, _ = process.communicate(timeout=WAIT_SECONDS_MAX)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (3, "WORKER_LOST")
    assert left_behind(folder) == []
    assert not has_members(process.pid)


def test_workers_end_when_their_parent_is_killed(folder: Path) -> None:
    with start_workers(folder) as process:
        process.kill()
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while has_members(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
