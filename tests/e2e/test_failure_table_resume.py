"""Line 4 of the runbook's failure table, on each kind of store: the resume is always executed, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cicsc.operations.live.cutover import TenantCutover
from cicsc.operations.live.recovery import recover_tenant
from cicsc.store.protocol import Store
from conformance.store.conftest import desk
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, columns, event
from e2e.failing import EVENTS, assert_open, forward, live, plain, spoil
from e2e.signals import heeded

__all__ = ["desk", "live", "plain"]

STEPS = [step.__name__ for step in TenantCutover.steps]
POSTGRES = ("postgres-16", "postgres-18")
WAIT_S = 60


@pytest.mark.parametrize(
    "error", [ValueError("a slip"), MemoryError(), KeyboardInterrupt()], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("step", STEPS)
def test_line_4_resume_after_an_exception(
    live: Store, plain: Plain, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    before = plain.execute(EVENTS)
    spoil(monkeypatch, TenantCutover, step, error)

    report = forward(live)

    codes = {ValueError: "INTERNAL_ERROR", MemoryError: "OUT_OF_MEMORY", KeyboardInterrupt: "INTERRUPTED"}
    if step == "switch":  # what is switched stays so, and there is nothing to report but that
        assert (report.ok, report.outcome) == (True, "switched")
    else:
        assert (report.ok, report.error["code"], report.exit_code) == (False, codes[type(error)], 3)
        assert plain.execute(EVENTS) == before
    boundaries = report.boundaries
    assert (boundaries.paused_at is None) == (boundaries.resumed_at is None) == (step == "open_preflight")
    assert_open(live, plain, 2 if step == "switch" else 1)


@pytest.mark.parametrize("desk", POSTGRES, indirect=True)
@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_line_4_resume_after_a_lost_connection(
    live: Store, plain: Plain, monkeypatch: pytest.MonkeyPatch, step: str, first: bool
) -> None:
    def cut() -> None:
        plain.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )

    spoil(monkeypatch, TenantCutover, step, cut, first=first)

    report = forward(live)

    is_switched = live.gate("t").active_version == 2
    assert report.ok == is_switched
    assert report.ok or report.error["code"] in {"STORE_UNREACHABLE", "STORE_OUTCOME_UNKNOWN"}
    assert_open(live, plain, 2 if is_switched else 1)


def child(desk: Desk, lease_s: float, step: str, deed: str = "wait") -> subprocess.Popen[str]:
    """Begin a cutover in a process of its own, and return when it has taken a step."""
    script = Path(__file__).with_name("live_child.py")
    tests = str(script.parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *filter(None, sys.path)])}
    words = [sys.executable, str(script), desk.url, str(lease_s), step, deed]
    with heeded():
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line == "reached\n", process.stderr.read()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["pause", "switch"])
def test_line_4_resume_after_a_signal(live: Store, plain: Plain, desk: Desk, step: str, number: signal.Signals) -> None:
    with child(desk, 60, step) as process:
        assert live.gate("t").is_paused == (step == "pause")
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_S)
    report = json.loads(out)

    assert "Traceback" not in err
    assert report["ok"] == (step == "switch")
    assert report["tenant_paused"] is False
    assert_open(live, plain, 2 if step == "switch" else 1)


@pytest.mark.parametrize("step", STEPS)
def test_line_4_resume_after_kill_9(live: Store, plain: Plain, desk: Desk, step: str) -> None:
    before = plain.execute(EVENTS + " limit 5")
    with child(desk, 60, step) as process:
        process.kill()
        process.communicate(timeout=WAIT_S)
    ended = "lease_until_ms = lease_until_ms - 600000"
    plain.execute(f"update {{cutover}} set {ended} where phase <> 'DONE'")
    plain.execute(f"update {{gate}} set {ended}, pause_deadline_ms = pause_deadline_ms - 600000 where state = 'paused'")

    found = recover_tenant(live, "t", actor_id="eve")

    assert found is not None
    assert found.outcome == ("finished" if step == "switch" else "reopened")
    assert plain.execute(EVENTS + " limit 5") == before
    assert_open(live, plain, 2 if step == "switch" else 1)
    assert forward(live).outcome == ("already" if step == "switch" else "switched")


@pytest.mark.parametrize("step", ["pause", "read_back"])
def test_line_4_resume_when_nobody_ever_comes_back(live: Store, plain: Plain, desk: Desk, step: str) -> None:
    with child(desk, 1, step) as process:
        process.kill()
        process.communicate(timeout=WAIT_S)
    deadline = time.monotonic() + WAIT_S
    while live.gate("t").is_paused:
        assert time.monotonic() < deadline
        time.sleep(0.02)

    plain.execute(INSERT, *columns(event("after", 1)))  # no program of ours did anything since

    later = forward(live)
    assert (later.ok, later.recovered.outcome, later.recovered.resumed_by) == (True, "reopened", "lease")
    assert ("after", 1) in plain.execute("select entity_id, seq from {event} where generation = 3")


@pytest.mark.slow
def test_line_4_resume_when_the_memory_is_at_its_end(live: Store, plain: Plain, desk: Desk) -> None:
    large = {"total": 1, "note": "n" * 2**20}
    live.append("t", [event("large", seq, payload=large) for seq in range(1, 65)], generation=1)

    with child(desk, 60, "pause", "memory") as process:
        out, err = process.communicate(timeout=WAIT_S)

    assert out, err
    report = json.loads(out)
    assert (report["ok"], report["error"]["code"]) == (False, "OUT_OF_MEMORY"), err
    assert report["boundaries"]["resumed_at"] is not None
    assert_open(live, plain)
