"""Rounds: while writers write, a tenant is moved to its next version, again and again, and what they saw is measured."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self

from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.report.live.models import Cutover, StoreRollback
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.protocol import Store
from cicsc.store.sqlite.store import SqliteStore
from concurrency.application import MIGRATION, bundle
from concurrency.ledgers import Ledgers

WAIT_S_MAX = 60

STOP_S_MAX = 30

HOLD_S = 0.02
PAUSE_S = 0.06
"""How much longer than needed the gate is held to shut it, and then kept shut, so that writers come to it in every round."""


class Hold(NamedTuple):
    """When the gate was asked for, when it was held, and when what was done with it was about to be committed."""

    what: str
    asked: float
    held: float
    done: float


class _Timed:
    """Makes a store note how long it waits for the gate."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.holds: list[Hold] = []

    @contextmanager
    def holding_gate(self, what: str, tenant_id: str) -> Iterator[Any]:
        asked = time.monotonic()
        with super().holding_gate(what, tenant_id) as database:  # type: ignore[misc]
            held = time.monotonic()
            yield database
            if what == "pause":
                time.sleep(HOLD_S)
            self.holds.append(Hold(what, asked, held, time.monotonic()))
        if what == "pause":
            time.sleep(PAUSE_S)

    def last(self, what: str) -> Hold:
        """The last time that the gate was held for something."""
        return next(hold for hold in reversed(self.holds) if hold.what == what)


class TimedSqlite(_Timed, SqliteStore):
    """A store in a file that notes its waits."""


class TimedPostgres(_Timed, PostgresStore):
    """A store on a server that notes its waits."""


def timed_store(url: str) -> TimedSqlite | TimedPostgres:
    """A store on a database that notes its waits."""
    kind, _, path = url.partition(":///")
    return TimedSqlite(Path(path)) if kind == "sqlite" else TimedPostgres(url)


class Writers:
    """Processes that write; odd ones by plain SQL, even ones through the store."""

    def __init__(self, url: str, folder: Path, number: int, think_s: float) -> None:
        names = [str(index) for index in range(number)]
        self.ledgers = Ledgers({name: folder / f"ledger-{name}.jsonl" for name in names})
        self._errors = (folder / "errors.txt").open("w+")
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", program, name, url, str(ledger), str(think_s)],
                stdin=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env=os.environ | {"PYTHONPATH": path},
            )
            for name, ledger in self.ledgers.paths.items()
            for program in ("concurrency.plain_writer" if int(name) % 2 else "concurrency.store_writer",)
        ]

    def work_on(self, tenant_id: str) -> None:
        """Let every writer go on with another tenant."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(tenant_id + "\n")
            process.stdin.flush()

    def wait_until(self, what: str, is_there: Any) -> None:
        """Read the ledgers until something is so."""
        deadline = time.monotonic() + WAIT_S_MAX
        while True:
            self.ledgers.read()
            if is_there():
                return
            assert self.are_running(), self.errors()
            assert time.monotonic() < deadline, f"{what}: not after {WAIT_S_MAX} s\n{self.ledgers.last_lines()}"
            time.sleep(0.02)

    def wait_for_events(self, number: int) -> None:
        """Wait until so many events were acknowledged in all."""
        self.wait_until("enough is written", lambda: self.ledgers.events.total() >= number)

    def are_running(self) -> bool:
        """Whether no writer has ended."""
        return all(process.poll() is None for process in self._processes)

    def errors(self) -> str:
        """What writers wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read()[-4000:]

    def stop(self) -> None:
        """End every third writer as a crash does, the others after what they are at, and read the ledgers to their ends."""
        for process in self._processes[::3]:
            process.kill()
        for process in self._processes:
            process.communicate(timeout=STOP_S_MAX)
        self.ledgers.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
        self._errors.close()


class Round(NamedTuple):
    """What one move of the tenant meant to the writers."""

    blocked: int
    """attempts that were under way when the fence came, waited for it, and then were refused"""
    refused: int
    """attempts that were refused while the tenant was paused"""
    switched_over: int
    """writers that were told of the switch by a refusal, and wrote on in the new version"""
    inside: int
    """attempts that began and were acknowledged while the tenant was paused: there may be none"""
    waited_ms: float
    """how long the fence waited for writers"""
    paused_ms: int


@dataclass
class Measures:
    """The rounds of a whole run."""

    rounds: list[Round] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def summary(self, ledgers: Ledgers) -> str:
        """Tell the figures in some lines."""
        longest = max(entry.ended - entry.started for entry in [*ledgers.acknowledged, *ledgers.refusals])
        lines = [
            f"{len(self.rounds)} cutovers and rollbacks, {ledgers.events.total()} acknowledged events",
            f"{len(ledgers.refusals)} refusals, {ledgers.repeated.total()} commands asked for again, {time.monotonic() - self.began:.0f} s",
            f"longest call of a writer: {1000 * longest:.0f} ms",
        ]
        for name in Round._fields:
            values = sorted(getattr(entry, name) for entry in self.rounds)
            lines.append(f"{name}: {values[0]:.0f} / {median(values):.0f} / {values[-1]:.0f} (min / median / max)")
        return "\n".join(lines)


def move(store: TimedSqlite | TimedPostgres, tenant_id: str, writers: Writers, *, back: bool = False) -> Round:
    """Move a tenant on by one version, or back, while the writers write; wait until each of them writes in that one."""
    ledgers = writers.ledgers
    acknowledged, refusals = len(ledgers.acknowledged), len(ledgers.refusals)
    version = store.gate(tenant_id).active_version + (-1 if back else 1)
    report: Cutover | StoreRollback
    if back:
        report = roll_back_tenant(store, tenant_id, RollbackOrder(migration=MIGRATION, operator="ann", execute=True))
    else:
        order = Order(target=bundle(version), migration=MIGRATION, operator="ann", execute=True)
        report = cut_over(store, tenant_id, order)
    assert report.outcome == "switched", report
    fence, switch = store.last("pause"), store.last("switch")
    names = ledgers.paths.keys()
    writers.wait_until(
        f"writing in version {version}",
        lambda: _writers_of(ledgers, acknowledged, tenant_id, version) == names,
    )
    since = [entry for entry in ledgers.refusals[refusals:] if entry.tenant_id == tenant_id]
    paused = [entry for entry in since if entry.code == "TENANT_PAUSED"]
    told = {entry.writer for entry in since if entry.code in {"STALE_GENERATION", "UNKNOWN_EVENT_TYPE"}}
    return Round(
        blocked=sum(entry.started < fence.done < entry.ended for entry in since),
        refused=len(paused),
        switched_over=len(told & _writers_of(ledgers, acknowledged, tenant_id, version)),
        inside=sum(
            entry.tenant_id == tenant_id and entry.started > fence.done and entry.ended < switch.held
            for entry in ledgers.acknowledged[acknowledged:]
        ),
        waited_ms=1000 * (fence.held - fence.asked),
        paused_ms=int(report.pause_ms),
    )


def _writers_of(ledgers: Ledgers, since: int, tenant_id: str, version: int) -> set[str]:
    return {
        entry.writer
        for entry in ledgers.acknowledged[since:]
        if (entry.tenant_id, entry.version) == (tenant_id, version)
    }


def create_tenant(store: Store, tenant_id: str) -> None:
    """Create a tenant at the first version of the application."""
    first = bundle(1)
    store.put_bundle(first)
    store.create_tenant(tenant_id, bundle_digest=first.digest, version=1, actor_id="ann")
