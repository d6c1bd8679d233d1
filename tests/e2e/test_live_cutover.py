"""The live cutover through the real command line: its exit codes, its signals, and what is true afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cicsc.operations.live.status import tenant_status
from cicsc.report.live.models import TenantStatus
from cicsc.store import open_store
from e2e.live import CUTOVER, STORE, lay_out_store, violate
from e2e.running import COMMAND, report, run
from e2e.signals import EACH_ENDING, heeded

WAIT_SECONDS_MAX = 60
MANY = 12_000
"""Orders of a tenant whose cutover takes long enough to be met midway."""


@pytest.fixture(autouse=True)
def signals_heeded() -> Iterator[None]:
    with heeded():
        yield


def start(words: tuple[str, ...], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def standing(url: str, tenant: str) -> TenantStatus:
    with open_store(url) as store:
        (found,) = tenant_status(store, [tenant]).tenants
    return found


def wait_for(process: subprocess.Popen[bytes], condition: Callable[[], Any]) -> Any:
    """Wait for a moment midway; the process must still run then."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (found := condition()):
        assert process.poll() is None, "the work was done before that moment"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def is_fenced(url: str, tenant: str) -> Callable[[], bool]:
    def look() -> bool:
        found = standing(url, tenant).run
        return found is not None and found.kind == "cutover" and found.phase in {"FENCED", "VERIFIED"}

    return look


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The workers of a process: its children that run the spawned entry, not the tracker of resources."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_the_story_of_one_tenant(tmp_path: Path) -> None:
    lay_out_store(tmp_path, "acme")
    one = (*CUTOVER, "--tenant", "acme")

    rehearsed = run(*one, folder=tmp_path)
    assert (rehearsed.returncode, report(rehearsed)["outcome"], rehearsed.stderr) == (0, "rehearsed", b"")
    done = run(*one, "--execute", folder=tmp_path)
    assert (done.returncode, report(done)["ok"], report(done)["mode"]) == (0, True, "pause_migrate_resume")
    assert (report(done)["active_version"], report(done)["tenant_paused"], report(done)["mutated"]) == (1, False, True)
    again = run(*one, "--execute", folder=tmp_path)
    assert (again.returncode, report(again)["outcome"]) == (0, "already")
    status = run("migration-status", "--store", STORE, folder=tmp_path)
    assert [tenant["active_version"] for tenant in report(status)["tenants"]] == [1]
    recovered = run("migration-recover", "--store", STORE, folder=tmp_path)
    assert (recovered.returncode, report(recovered)["tenants"]) == (0, [])


def test_the_store_may_be_named_by_the_environment(tmp_path: Path) -> None:
    lay_out_store(tmp_path, "acme")
    words = ("migration-cutover", *CUTOVER[3:], "--tenant", "acme")

    done = run(*words, folder=tmp_path, environment={"CICSC_STORE": STORE})

    assert (done.returncode, report(done)["outcome"]) == (0, "rehearsed")


def test_two_at_once_of_five_of_which_one_fails(tmp_path: Path) -> None:
    url = lay_out_store(tmp_path, "acme", "bmart", "corner", "delta", "echo")
    with open_store(url) as store:
        violate(store, "corner")

    done = run(*CUTOVER, "--all", "--parallel", "2", "--execute", folder=tmp_path)

    assert (done.returncode, report(done)["counts"]) == (1, {"refused": 1, "switched": 4})
    assert report(done)["not_moved"] == ["corner"]
    lines = done.stderr.decode().splitlines()
    assert len(lines) == 5
    assert [line for line in lines if line.startswith('"corner": refused: ')]
    assert [standing(url, tenant).active_version for tenant in ("bmart", "corner", "echo")] == [1, 0, 1]


def test_lines_stay_away_where_none_are_wanted(tmp_path: Path) -> None:
    lay_out_store(tmp_path, "acme", "bmart")

    assert run(*CUTOVER, "--all", "--summary", "never", folder=tmp_path).stderr == b""


@pytest.mark.parametrize("number", EACH_ENDING)
def test_a_signal_under_the_fence_opens_the_tenant(tmp_path: Path, number: signal.Signals) -> None:
    url = lay_out_store(tmp_path, "acme", entities=MANY)
    with start((*CUTOVER, "--tenant", "acme", "--execute"), tmp_path) as process:
        wait_for(process, is_fenced(url, "acme"))
        process.send_signal(number)
        process.send_signal(number)  # an impatient operator
        out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
    found = json.loads(out)

    assert process.returncode == 3
    assert (found["ok"], found["outcome"], found["error"]["code"]) == (False, "failed", "INTERRUPTED")
    assert (found["active_version"], found["tenant_paused"], found["mutated"]) == (0, False, False)
    assert found["boundaries"]["paused_at"] <= found["boundaries"]["resumed_at"]
    after = standing(url, "acme")
    assert (after.paused, after.owner, after.active_version, after.run.phase) == (False, None, 0, "ABORTED")
    assert b"Traceback" not in err


@pytest.mark.slow
def test_a_signal_begins_no_further_tenant(tmp_path: Path) -> None:
    url = lay_out_store(tmp_path, "acme", "bmart", "corner", entities=MANY)
    with start((*CUTOVER, "--all", "--execute"), tmp_path) as process:
        wait_for(process, is_fenced(url, "bmart"))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=WAIT_SECONDS_MAX)
    found = json.loads(out)

    assert (process.returncode, found["error"]["code"]) == (3, "INTERRUPTED")
    assert [(tenant["tenant_id"], tenant["outcome"]) for tenant in found["tenants"]] == [
        ("acme", "switched"),
        ("bmart", "failed"),
    ]
    assert (found["counts"], found["not_moved"]) == ({"failed": 1, "not_begun": 1, "switched": 1}, ["bmart", "corner"])
    assert [standing(url, tenant).owner for tenant in ("acme", "bmart", "corner")] == [None] * 3


@pytest.mark.slow
@pytest.mark.parametrize("number", EACH_ENDING)
def test_a_signal_reaches_the_workers(tmp_path: Path, number: signal.Signals) -> None:
    url = lay_out_store(tmp_path, "acme", "bmart", "corner", "delta", entities=MANY)
    with start((*CUTOVER, "--all", "--parallel", "2", "--execute"), tmp_path) as process:
        wait_for(process, is_fenced(url, "acme"))
        workers = children(process)
        process.send_signal(number)
        out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
    found = json.loads(out)
    begun = [tenant["tenant_id"] for tenant in found["tenants"]]

    assert len(workers) == 2
    assert begun in (["acme"], ["acme", "bmart"])  # the second worker may still have been starting
    assert (process.returncode, found["error"]["code"]) == (3, "INTERRUPTED")
    assert found["counts"]["not_begun"] == 4 - len(begun)
    assert {tenant["error"]["code"] for tenant in found["tenants"] if not tenant["ok"]} == {"INTERRUPTED"}
    for tenant in ("acme", "bmart", "corner", "delta"):
        after = standing(url, tenant)
        assert (after.paused, after.owner) == (False, None)
        assert after.active_version == int(tenant not in found["not_moved"])
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert b"Traceback" not in err


@pytest.mark.slow
def test_a_worker_that_is_killed_is_followed_by_another(tmp_path: Path) -> None:
    url = lay_out_store(tmp_path, "acme", "bmart", "corner", "delta", entities=MANY)
    with start((*CUTOVER, "--all", "--parallel", "2", "--lease", "60", "--execute"), tmp_path) as process:
        wait_for(process, is_fenced(url, "acme"))
        os.kill(children(process)[0], signal.SIGKILL)
        out, err = process.communicate(timeout=WAIT_SECONDS_MAX)
    found = json.loads(out)
    lost = [tenant for tenant in found["tenants"] if not tenant["ok"]]

    assert (process.returncode, found["counts"]) == (3, {"failed": 1, "switched": 3})
    assert [tenant["error"]["code"] for tenant in lost] == ["WORKER_LOST"]
    assert found["not_moved"] == [lost[0]["tenant_id"]]
    assert b"Traceback" not in err
    left = standing(url, lost[0]["tenant_id"])
    take_over = ("--tenant", left.tenant_id, "--take-over", left.run.run_id, str(left.run.epoch))
    assert run("migration-recover", "--store", STORE, *take_over, folder=tmp_path).returncode == 0

    again = run(*CUTOVER, "--all", "--execute", folder=tmp_path)
    assert (again.returncode, report(again)["counts"]) == (0, {"already": 3, "switched": 1})


def wait_until_open(url: str, tenant: str) -> None:
    """Wait until the lease of a run that was killed is over."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while standing(url, tenant).lease_remaining_ms:
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_a_process_that_is_killed_is_recovered_after_its_lease(tmp_path: Path) -> None:
    url = lay_out_store(tmp_path, "acme", entities=MANY)
    with start((*CUTOVER, "--tenant", "acme", "--lease", "6", "--execute"), tmp_path) as process:
        wait_for(process, is_fenced(url, "acme"))
        process.kill()
        process.communicate(timeout=WAIT_SECONDS_MAX)

    held = run("migration-recover", "--store", STORE, folder=tmp_path)
    assert (held.returncode, report(held)["tenants"][0]["outcome"]) == (1, "held")
    wait_until_open(url, "acme")
    recovered = run("migration-recover", "--store", STORE, folder=tmp_path)
    assert (recovered.returncode, report(recovered)["tenants"][0]["outcome"]) == (0, "reopened")
    assert standing(url, "acme").owner is None


@pytest.mark.slow
def test_a_process_that_is_killed_can_be_taken_over_at_once(tmp_path: Path) -> None:
    url = lay_out_store(tmp_path, "acme", entities=MANY)
    with start((*CUTOVER, "--tenant", "acme", "--lease", "60", "--execute"), tmp_path) as process:
        wait_for(process, is_fenced(url, "acme"))
        process.kill()
        process.communicate(timeout=WAIT_SECONDS_MAX)
    dead = standing(url, "acme").run
    recover = ("migration-recover", "--store", STORE, "--tenant", "acme")

    wrong = run(*recover, "--take-over", dead.run_id, str(dead.epoch + 1), folder=tmp_path)
    assert (wrong.returncode, report(wrong)["tenants"][0]["error"]["code"]) == (1, "RUN_LOST")
    assert standing(url, "acme").paused
    taken = run(*recover, "--take-over", dead.run_id, str(dead.epoch), folder=tmp_path)
    assert (taken.returncode, report(taken)["tenants"][0]["resumed_by"]) == (0, "take-over")
    assert not standing(url, "acme").paused


def test_pause_by_hand_is_opened_with_what_it_printed(tmp_path: Path) -> None:
    url = lay_out_store(tmp_path, "acme")
    paused = run("tenant-pause", "--store", STORE, "--tenant", "acme", "--for", "60", "--owner", "ann", folder=tmp_path)
    assert (paused.returncode, report(paused)["paused"]) == (0, True)

    refused = run(*CUTOVER, "--tenant", "acme", "--execute", folder=tmp_path)
    assert (refused.returncode, report(refused)["error"]["code"], report(refused)["tenant_paused"]) == (
        1,
        "GATE_HELD",
        True,
    )
    epoch = str(report(paused)["epoch"])
    words = ("tenant-resume", "--store", STORE, "--tenant", "acme", "--owner", "ann", "--epoch", epoch)
    assert run(*words, folder=tmp_path).returncode == 0
    assert not standing(url, "acme").paused


def test_a_store_that_is_not_there_is_work_not_done(tmp_path: Path) -> None:
    lay_out_store(tmp_path, "acme")
    done = run("migration-status", "--store", "sqlite:///missing.db", folder=tmp_path)

    assert (done.returncode, report(done)["ok"]) == (3, False)
