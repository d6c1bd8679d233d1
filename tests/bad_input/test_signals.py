"""Signals at moments that other tests do not reach: temporary files on the disk, a rollback half written."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from bad_input.desk import SMALL_MEMORY, TEMPORARY, Desk, Said, dry_run, rollback, verify
from e2e.shop import event

WAIT_SECONDS_MAX = 60

each_signal = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


def heed() -> None:
    """Run in the child: take signals as a shell's foreground job does, whatever started the tests."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert process.poll() is None, "the work was done before the moment came"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def ended(process: subprocess.Popen[bytes]) -> Said:
    out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
    return Said(process.returncode, out, err.decode())


@each_signal
@pytest.mark.parametrize(
    "words",
    [verify("-"), dry_run("--artifact", "a.json", "--out-events", "e.jsonl", events="-")],
    ids=["verify", "dry-run"],
)
def test_signal_while_temporary_files_are_on_the_disk(
    desk: Desk, number: signal.Signals, words: tuple[str, ...]
) -> None:
    """The history comes through a pipe that stays open, so the moment does not depend on time."""
    before = desk.state()
    lines = b"".join(
        json.dumps(event(1, "placed", {"total": 1, "x": "y" * 400}, entity=f"o{i}")).encode() + b"\n"
        for i in range(6_000)
    )
    with desk.start(*words, program=(*SMALL_MEMORY, "20000"), before=heed) as process:
        assert process.stdin is not None
        process.stdin.write(lines)
        process.stdin.flush()
        wait_until(lambda: any((desk.folder / TEMPORARY).glob("cicsc-*/run-*")), process)
        process.send_signal(number)
        said = ended(process)

    desk.refused(said, before, code="INTERRUPTED", exit_code=3, says=number.name)


@pytest.mark.slow
@each_signal
def test_signal_while_a_rollback_is_written(desk: Desk, number: signal.Signals) -> None:
    desk.put(
        "events.v1.jsonl",
        "".join(json.dumps(event(1, "order_placed", {"total": i}, entity=f"o{i}")) + "\n" for i in range(60_000)),
    )
    desk.put("back.jsonl", b"what was there before")
    before = desk.state()
    with desk.start(*rollback("--from", "bundle.v0.json", "--out-events", "back.jsonl"), before=heed) as process:
        wait_until(lambda: any(path.stat().st_size for path in desk.folder.glob(".cicsc-*.tmp")), process)
        process.send_signal(number)
        said = ended(process)

    desk.refused(said, before, code="INTERRUPTED", exit_code=3, says=number.name)
