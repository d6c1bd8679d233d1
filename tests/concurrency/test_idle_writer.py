"""A writer that idles in a transaction: the cutover waits no longer than it may, says so, and leaves the tenant open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from threading import Thread
from typing import Any

import psycopg
import pytest
from msgspec import UNSET
from rich.console import Console

from cicsc.errors import UsageError
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.cutovers import cutover_pause_migrate_resume
from cicsc.report.invocation import Invocation
from cicsc.report.live.cutover_text import cutover_summary
from cicsc.report.live.models import Cutover
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.sqlite.store import SqliteStore
from concurrency.application import MIGRATION, bundle
from concurrency.rounds import create_tenant
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT

WAIT_S = 0.3
"""How long the stores of these tests wait for others."""

ON_A_SERVER = pytest.mark.parametrize("desk", ["postgres-18"], indirect=True)

NOTED = (1, "Note", "1", 1, "noted", '{"token": "idle"}', 1, "plain")


class _Watched:
    """Calls something before the gate is held, the first time that it is held for `watched`."""

    watched = ""
    act: Callable[[], None] = staticmethod(lambda: None)

    @contextmanager
    def holding_gate(self, what: str, tenant_id: str) -> Iterator[Any]:
        if what == self.watched:
            self.watched = ""
            self.act()
        with super().holding_gate(what, tenant_id) as database:  # type: ignore[misc]
            yield database


class WatchedSqlite(_Watched, SqliteStore):
    """A store in a file that is watched."""


class WatchedPostgres(_Watched, PostgresStore):
    """A store on a server that is watched."""


@pytest.fixture
def store(desk: Desk) -> Iterator[WatchedSqlite | WatchedPostgres]:
    desk.initialised().close()
    kind, _, path = desk.url.partition(":///")
    opened = WatchedSqlite(Path(path), wait_s=WAIT_S) if kind == "sqlite" else WatchedPostgres(desk.url, wait_s=WAIT_S)
    with opened:
        create_tenant(opened, "t")
        yield opened


@pytest.fixture
def plain(desk: Desk, store: WatchedSqlite) -> Iterator[Plain]:
    with desk.plain() as writer:
        yield writer


def idle(plain: Plain) -> None:
    """Begin a transaction, write, and do nothing more."""
    plain.begin()
    plain.execute(INSERT, "t", *NOTED)


def move(store: WatchedSqlite | WatchedPostgres, **more: Any) -> Cutover:
    return cut_over(store, "t", Order(target=bundle(2), migration=MIGRATION, operator="ann", execute=True, **more))


def summary(report: Cutover) -> str:
    console = Console(width=200, file=StringIO())
    console.print(cutover_summary(report, Invocation("migration-cutover", ())))
    return console.file.getvalue()


def require_named(desk: Desk, report: Cutover) -> None:
    """A server names its session; of a file, nobody knows who has it."""
    assert (report.ok, report.outcome, report.active_version, report.tenant_paused) == (False, "failed", 1, False)
    assert report.error["code"] == "STORE_LOCKED"
    expected = "another program writes" if desk.one_writer else "idle in transaction"
    assert expected in f"{report.error['message']} {report.error['hint']}"


def test_writer_that_idles_before_the_cutover(desk: Desk, store: WatchedSqlite, plain: Plain) -> None:
    idle(plain)

    report = move(store)

    require_named(desk, report)
    assert store.runs.of_tenant("t") == []
    plain.commit()
    assert store.head("t").count == 1
    assert move(store).outcome == "switched"


def test_writer_that_idles_when_the_fence_comes(desk: Desk, store: WatchedSqlite, plain: Plain) -> None:
    store.watched, store.act = "pause", lambda: idle(plain)
    ending = Thread(target=lambda: (time.sleep(4 * WAIT_S), plain.commit()))
    ending.start()

    report = move(store)

    ending.join()
    require_named(desk, report)
    assert (report.boundaries.paused_at, report.boundaries.resumed_at) == (None, None)
    (run,) = store.runs.of_tenant("t")
    assert (run.phase, store.runs.holder("t"), store.head("t").count) == ("ABORTED", None, 1)
    assert move(store).outcome == "switched"


def test_others_write_on_while_a_cutover_gives_up(desk: Desk, store: WatchedSqlite, plain: Plain) -> None:
    """Writers are held up behind the wait for the fence, which is bounded, and not again while the run gives up."""
    if desk.one_writer:
        return  # who idles in a transaction on a file holds up everybody by itself
    waits = []

    def write() -> None:
        with desk.plain() as other:
            for seq in range(1, 21):
                began = time.monotonic()
                other.execute(INSERT, "t", 1, "Note", "2", seq, "noted", '{"token": "x"}', 1, "plain")
                waits.append(time.monotonic() - began)
                time.sleep(0.1)

    writer = Thread(target=write)

    def begin_both() -> None:
        idle(plain)
        writer.start()
        time.sleep(0.05)

    store.watched, store.act = "pause", begin_both
    ending = Thread(target=lambda: (time.sleep(8 * WAIT_S), plain.commit()))
    ending.start()

    require_named(desk, move(store))

    ending.join()
    writer.join()
    assert sum(wait for wait in waits if wait > WAIT_S / 3) < 2 * WAIT_S, waits


# ------------------------------------------------------------------------------------------ ended by the operator's option


@ON_A_SERVER
@pytest.mark.parametrize("watched", ["begin a run on", "pause"])
def test_idle_writer_is_ended_where_the_operator_says_so(
    store: WatchedPostgres, plain: Plain, desk: Desk, watched: str
) -> None:
    with desk.plain() as neighbour:
        create_tenant(store, "u")
        neighbour.begin()
        neighbour.execute(INSERT, "u", *NOTED)
        store.watched, store.act = watched, lambda: idle(plain)

        report = move(store, terminate_idle_writers=True)

        neighbour.commit()  # who idles on another tenant is left alone
    (writer,) = report.writers_terminated
    assert (report.outcome, store.head("t").count, store.head("u").count) == ("switched", 0, 1)
    assert writer.idle_ms >= 1000 * WAIT_S / 2
    assert f"process {writer.pid} (application " in summary(report)
    (entry,) = [entry for entry in store.audit("t") if entry.action == "writer-end"]
    assert (entry.actor_id, entry.detail["pid"]) == ("ann", writer.pid)
    with pytest.raises(psycopg.OperationalError):
        plain.commit()


@ON_A_SERVER
def test_writer_that_is_at_work_is_never_ended(store: WatchedPostgres, plain: Plain) -> None:
    idle(plain)
    working = Thread(target=lambda: plain.execute(f"select pg_sleep({6 * WAIT_S})"))
    working.start()

    report = move(store, terminate_idle_writers=True)

    working.join()
    plain.commit()
    assert (report.error["code"], report.writers_terminated) == ("STORE_LOCKED", UNSET)
    assert store.head("t").count == 1


@pytest.mark.parametrize("desk", ["sqlite"], indirect=True)
def test_option_is_refused_for_a_file(store: WatchedSqlite) -> None:
    with pytest.raises(UsageError, match="does not know who writes to it"):
        cutover_pause_migrate_resume(store, ["t"], bundle(2), MIGRATION, terminate_idle_writers=True)
