"""Worker processes: places of findings, and ways in which they end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cicsc
from cicsc import durable
from cicsc.engine import choice, pool, workers
from cicsc.engine.pool import Pool, TaskError
from cicsc.engine.workers import open_shared
from cicsc.errors import HistoryError, UsageError, WorkError
from cicsc.history.sorted import open_history
from cicsc.progress import Amount
from conformance.engine.conftest import Engine
from conformance.engine.test_same_bytes import MIGRATION, laid_out, paid_orders, text_of
from e2e import shop
from unit.stand_ins import stand_in


class Tasks:
    """A worker for these tests."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.done: list[int] = []

    def run(self, task: int, tell: Callable[[object], None]) -> int:
        if self.kind == "killed" and task == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "ends" and task == 3:
            os._exit(7)
        if self.kind == "fails" and task >= 3:
            time.sleep(0.2 if task == 3 else 0)
            raise WorkError("DISK_FULL", f"task {task}")
        if self.kind == "odd" and task == 1:
            raise ValueError(sys.stdout)  # which cannot be pickled
        self.done.append(task)
        tell(task)
        return task * task

    def finish(self) -> list[int]:
        if self.kind == "fails at the end":
            raise WorkError("DISK_FULL", "at the end")
        return self.done


@pytest.fixture(params=["fork", "spawn"])
def started_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(pool, "forks_safely", lambda: request.param == "fork")
    return request.param


@pytest.mark.usefixtures("started_by")
@pytest.mark.parametrize("apart", [False, True])
def test_all_tasks_are_done_once(apart: bool) -> None:
    heard: list[int] = []
    with Pool(partial(Tasks, "good"), 20, 2, heard.append, apart=apart) as found:
        assert dict(found.results()) == {task: task * task for task in range(20)}
    assert sorted(heard) == list(range(20))
    assert [peak > 0 for peak in found.peaks] == [True, True]
    assert sorted(task for done in found.last for task in done) == list(range(20))


def test_more_workers_than_tasks_and_no_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "forks_safely", lambda: True)
    for tasks in (0, 1):
        with Pool(partial(Tasks, "good"), tasks, 5) as found:
            assert len(list(found.results())) == tasks
        assert len(found.last) == 1


@pytest.mark.usefixtures("started_by")
@pytest.mark.parametrize(("kind", "how"), [("killed", "by SIGKILL"), ("ends", "with exit code 7")])
def test_a_worker_that_dies_is_an_error(kind: str, how: str) -> None:
    with pytest.raises(WorkError) as raised, Pool(partial(Tasks, kind), 9, 2) as found:
        list(found.results())
    assert (raised.value.code, raised.value.message) == ("WORKER_LOST", f"a worker process was ended {how}")
    assert "--workers 1" in str(raised.value.hint)


@pytest.mark.parametrize("apart", [False, True])
def test_the_first_task_that_fails_is_the_error(monkeypatch: pytest.MonkeyPatch, apart: bool) -> None:
    monkeypatch.setattr(pool, "forks_safely", lambda: True)
    with pytest.raises(TaskError) as raised, Pool(partial(Tasks, "fails"), 9, 3, apart=apart) as found:
        list(found.results())
    assert (raised.value.task, str(raised.value.error)) == (3, "task 3")


@pytest.mark.parametrize("kind", ["odd", "fails at the end"])
def test_other_errors_are_raised_too(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(pool, "forks_safely", lambda: True)
    with pytest.raises(TaskError) as raised, Pool(partial(Tasks, kind), 9, 3) as found:
        list(found.results())
    expected = "at the end" if kind == "fails at the end" else "TextIO"
    assert expected in str(raised.value.error) or kind == "odd"


def test_findings_name_the_same_places(tmp_path: Path, engine: Engine) -> None:
    events = paid_orders(tenants=2, orders=9)
    events[0]["ts"] = events[13]["seq"] = events[20]["payload"] = None
    history = laid_out(tmp_path, text_of(events).replace(b"\n", b"\n\n"))
    with (
        open_history(history) as expected,
        open_shared(history, tenants=None, workers=engine.options["workers"]) as found,
    ):
        assert [finding.place for finding in found.malformed.findings] == [
            finding.place for finding in expected.malformed.findings
        ]
        assert (found.events_count, found.latest_ts) == (expected.events_count, expected.latest_ts)
        assert [(key, list(events)) for key, events in found.streams()] == [
            (key, list(events)) for key, events in expected.streams()
        ]


def test_processes_that_are_spawned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SHARED_BYTES_MIN", 0)
    monkeypatch.setattr(pool, "forks_safely", lambda: False)
    history = laid_out(tmp_path, text_of(paid_orders(tenants=2, orders=9)))
    assert cicsc.verify_history(history, workers=2) == cicsc.verify_history(history, workers=1)


@pytest.mark.parametrize("options", [{}, {"entity": ("Order", "o1"), "steps": True}])
def test_a_replay_gives_the_same_snapshots(tmp_path: Path, engine: Engine, options: dict[str, Any]) -> None:
    events = paid_orders(tenants=3, orders=9)
    next(event for event in events if event["entity_id"] == "o1")["event_type"] = "unheard of"
    history = laid_out(tmp_path, text_of(events))
    found = []
    for count in (1, engine.options["workers"]):
        snapshots: list[cicsc.Snapshot] = []
        with pytest.raises(HistoryError) as raised:
            snapshots.extend(cicsc.replay_history(history, shop.source(), workers=count, **options))
        found.append((raised.value.message, snapshots))

    assert len(found[0][1]) > 1
    assert found[0] == found[1]


def test_a_replay_of_nothing(tmp_path: Path, engine: Engine) -> None:
    empty = laid_out(tmp_path, b"")
    assert list(cicsc.replay_history(empty, shop.source(), workers=engine.options["workers"])) == []


def test_how_many_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "forks_safely", lambda: True)
    assert choice.worker_count(None) == len(os.sched_getaffinity(0))
    monkeypatch.setattr(choice, "forks_safely", lambda: False)
    assert choice.worker_count(None) == 1
    assert choice.worker_count(5) == 5
    with pytest.raises(UsageError, match="a whole number from 1"):
        choice.worker_count(0)


PLAIN_PROGRAM = """
import sys
import cicsc
from cicsc.engine import choice, workers
choice.cores, workers.SHARED_BYTES_MIN = lambda: 2, 0
history, bundle = sys.argv[1:]
print(cicsc.verify_history(history).events, sum(1 for _ in cicsc.replay_history(history, bundle)))
"""


def test_a_program_without_a_main_reads_parquet(tmp_path: Path) -> None:
    lines = laid_out(tmp_path, text_of(paid_orders(tenants=2, orders=9)))
    inputs = (shop.source(), shop.target(), lines, MIGRATION)
    events = cicsc.dry_run(*inputs, out_events=tmp_path / "e.parquet", workers=1).artifact.migrated_events
    (tmp_path / "to.json").write_text(json.dumps(shop.target()))
    (tmp_path / "program.py").write_text(PLAIN_PROGRAM)  # a file, which a process that is spawned runs again
    command = [sys.executable, *(str(tmp_path / name) for name in ("program.py", "e.parquet", "to.json"))]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.stdout.decode(), done.stderr) == (f"{events} 18\n", b"")


def test_temporary_space_is_asked_for_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SHARED_BYTES_MIN", 0)
    monkeypatch.setattr(durable, "shutil", stand_in(shutil, disk_usage=lambda _: SimpleNamespace(free=10)))
    history = laid_out(tmp_path, text_of(paid_orders(tenants=2, orders=9)))
    with pytest.raises(WorkError, match="needs about 0 MB for temporary files") as raised:
        open_shared(history, tenants=None, workers=2)
    assert raised.value.code == "DISK_FULL"


class Listener:
    """Adds up what it is told, by phase."""

    def __init__(self) -> None:
        self.phases: dict[str, tuple[Amount, list[Amount]]] = {}
        self.processes: list[int] = []

    def begin(self, phase: str, whole: Amount) -> None:
        self.noted: list[Amount] = []
        self.phases[phase] = whole, self.noted

    def note(self, done: Amount) -> None:
        self.noted.append(done)

    def worked(self, peaks: Sequence[int]) -> None:
        self.processes.append(len(peaks))

    def total(self, phase: str) -> Amount:
        _, done = self.phases[phase]
        names = ("events", "streams", "bytes_read")
        return Amount(*(sum(getattr(amount, name) for amount in done) for name in names))


def test_progress_adds_up_on_every_engine_and_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    events = paid_orders(tenants=3, orders=20)
    history = laid_out(tmp_path, text_of(events))
    streams = len({(event["tenant_id"], event["entity_id"]) for event in events})
    listener = Listener()

    assert engine.verify(history, progress=listener) == engine.verify(history)
    size = history.stat().st_size
    assert [(phase, whole) for phase, (whole, _) in listener.phases.items()] == [
        ("reading", Amount(bytes_read=size)),
        ("folding", Amount(events=len(events))),
    ]
    assert listener.total("reading") == Amount(events=len(events), bytes_read=size)
    assert listener.total("folding") == Amount(events=len(events), streams=streams)
    assert (listener.processes == []) == (engine.name == "in-process")
