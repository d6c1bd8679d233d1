"""One large tenant between several processes: the same as in one, and as safe where one of them dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from cicsc.engine import choice, pool
from cicsc.engine.folding import share_ends
from cicsc.errors import StoreError
from cicsc.history.runs import KeyRange
from cicsc.migration.plan import compile_plan
from cicsc.operations import stored
from cicsc.operations.live import sharing
from cicsc.operations.live.change import Terms
from cicsc.operations.live.cutover import Order, TenantCutover, cut_over
from cicsc.operations.live.finalize import finalize_tenant
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.operations.live.run import LiveRun, Timing
from cicsc.operations.live.sharing import SharedHistory, cut_for
from cicsc.progress import SILENT, Amount
from cicsc.replay.snapshot import Snapshot
from cicsc.store import views
from cicsc.store.encoding import PlacedRow
from cicsc.store.postgres.store import PostgresStore
from conformance.operations.application import V1, V2
from conformance.store.history import append, event
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect

STREAMS = 60
TIMING = Timing(60, 600)


@pytest.fixture(autouse=True)
def everything_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share however little there is, in copies of this process, and cut at many places."""
    monkeypatch.setattr(stored, "SHARED_EVENTS_MIN", 0)
    monkeypatch.setattr(sharing, "SHARES_PER_WORKER", 5)
    monkeypatch.setattr(choice, "forks_safely", lambda: True)
    monkeypatch.setattr(pool, "forks_safely", lambda: True)
    monkeypatch.setattr(views, "CUT_PLACES", 40)


@pytest.fixture
def store(desk: PostgresDesk) -> Iterator[PostgresStore]:
    """A store with one tenant, 't', that has some orders, hostile names among them."""
    desk.initialised().close()
    with PostgresStore(desk.url, wait_s=5) as opened:
        opened.put_bundle(V1)
        opened.create_tenant("t", bundle_digest=V1.digest, version=1, actor_id="ann")
        opened.import_events("t", history(), generation=1, actor_id="ann")
        yield opened


def history() -> list[Any]:
    names = ["", "'; drop table cicsc.event", 'a\tb\\n"\n', "\U0001f9ea", "é\u0301", *map(str, range(STREAMS))]
    events = []
    for number, name in enumerate(sorted(names)):
        more: dict[str, Any] = {"extra": {"source": "web"}} if number % 7 == 0 else {}
        events.append(event(name, 1, payload={"total": 10**30 + number, "note": "x\\y\t\n"}, **more))
        events.extend(event(name, seq, "paid", ts=seq) for seq in range(2, 2 + number % 5))
    return events


def order(**more: Any) -> Order:
    return Order(target=V2, migration="to_2", operator="ann", execute=True, timing=TIMING, **more)


def content(store: PostgresStore) -> tuple[list[PlacedRow], list[Snapshot], Any]:
    gate, run = store.gate("t"), store.runs.of_tenant("t")[-1]
    with store.reading("t") as reading:
        rows, snapshots = list(reading.rows()), list(reading.snapshots())
    assert run.target_generation == gate.active_generation
    return rows, snapshots, (run.head_count, run.head_digest, run.target_count, run.target_digest)


def generations(connect: Connect) -> list[int]:
    rows = connect().execute("select distinct generation from cicsc.event order by generation").fetchall()
    return [number for (number,) in rows]


@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_write_what_one_writes(store: PostgresStore, count: int) -> None:
    found = []
    for workers in (1, count):
        report = cut_over(store, "t", order(workers=workers))
        assert (report.ok, report.outcome) == (True, "switched"), report.error
        found.append((report.migrated_events, report.verify, *content(store)))
        terms = {"operator": "ann", "execute": True, "timing": TIMING}
        assert roll_back_tenant(store, "t", RollbackOrder(migration="to_2", **terms)).method == "reactivate"
        assert finalize_tenant(store, "t", Terms(**terms)).ok

    assert found[0] == found[1]
    assert len(found[0][2]) == len(history())


def test_progress_adds_up_over_all_processes(store: PostgresStore) -> None:
    noted: dict[str, list[Amount]] = {}
    worked: list[int] = []

    class Listener:
        def begin(self, phase: str, whole: Amount) -> None:
            assert whole == Amount(len(history()))
            self.noted = noted[phase] = []

        def note(self, done: Amount) -> None:
            self.noted.append(done)

        def worked(self, peaks: Sequence[int]) -> None:
            worked.append(len(peaks))

    assert cut_over(store, "t", order(workers=2), Listener()).ok
    assert list(noted) == ["preflight", "writing", "reading back"]
    assert [sum(done.events for done in amounts) for amounts in noted.values()] == [len(history())] * 3
    assert worked == [2, 2, 2]


def test_cuts_are_streams_in_order_and_leave_none_out(store: PostgresStore) -> None:
    with store.reading("t") as reading:
        head = reading.head()
        cuts = reading.cuts(share_ends(10, head.count), head)
        assert len(cuts) == 9
        assert cuts == sorted(set(cuts))
        whole = [row[2:5] for row in reading.rows()]
        ranges = [KeyRange(first, end) for first, end in zip([None, *cuts], [*cuts, None], strict=True)]
        pieces = [[row[2:5] for row in reading.rows(within=within)] for within in ranges]

        assert [row for piece in pieces for row in piece] == whole
        sizes = list(map(len, pieces))
        assert all(pieces)
        assert sum(sizes[:5]) > 2 * sum(sizes[5:])  # shares shrink
        assert reading.cuts([1, 2], reading.head(7)) == []
        assert reading.cuts([head.count], head) == []


def test_what_is_written_meanwhile_is_left_out(store: PostgresStore) -> None:
    plan = compile_plan(V1, V2, V2.migrations["to_2"], now=0, actor=None)
    with store.reading("t", settled=True) as reading:
        cut = cut_for(store, reading, reading.head(), 2)
        append(store, event("new"), event("new", 2, "paid"), event("00"))
        verdict, _ = SharedHistory(reading, SILENT, cut).fold(plan)

    assert verdict.source_events == len(history())


def test_fewer_events_than_were_seen_are_told(store: PostgresStore, connect: Connect) -> None:
    plan = compile_plan(V1, V2, V2.migrations["to_2"], now=0, actor=None)
    owner = connect()
    with store.reading("t", settled=True) as reading:
        cut = cut_for(store, reading, reading.head(), 2)
        owner.execute("alter table cicsc.event disable trigger all")
        owner.execute("delete from cicsc.event where seq > 1")

        with pytest.raises(StoreError, match=f"counted {len(history())} events up to position") as caught:
            SharedHistory(reading, SILENT, cut).fold(plan)
    assert caught.value.code == "STORE_DAMAGED"


@contextmanager
def struck(strike: Callable[[], None], share: int, opened: Any, self: Any, number: int) -> Iterator[Any]:
    with opened(self, number) as found:
        if number == share:
            write = found.writers.migrated
            found.writers.migrated = lambda events: (strike(), write(events))
        yield found


@pytest.mark.parametrize("share", [0, 4])
def test_a_worker_that_is_killed_ends_the_cutover(
    store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch, share: int
) -> None:
    opened = sharing._StagingWork.open

    def dying(self: Any, number: int) -> Any:
        return struck(lambda: os.kill(os.getpid(), signal.SIGKILL), share, opened, self, number)

    with monkeypatch.context() as patched:
        patched.setattr(sharing._StagingWork, "open", dying)
        report = cut_over(store, "t", order(workers=2))

    assert (report.error["code"], store.gate("t").owner, generations(connect)) == ("WORKER_LOST", None, [1])
    assert cut_over(store, "t", order(workers=2)).ok


def test_what_a_worker_raises_is_what_the_report_says(
    store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = sharing._StagingWork.open

    def fail() -> None:
        raise StoreError("STORE_FULL", "no room")

    def failing(self: Any, number: int) -> Any:
        return struck(fail, 3, opened, self, number)

    with monkeypatch.context() as patched:
        patched.setattr(sharing._StagingWork, "open", failing)
        report = cut_over(store, "t", order(workers=2))

    assert (report.error["code"], store.gate("t").owner, generations(connect)) == ("STORE_FULL", None, [1])


def test_a_signal_ends_every_process(store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: LiveRun) -> None:
        if self.run.phase == "FENCED":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(LiveRun, "tick", interrupted)
        report = cut_over(store, "t", order(workers=2))

    assert (report.ok, report.interrupted, store.gate("t").owner, generations(connect)) == (False, True, None, [1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "update cicsc.event set payload = '{}' where generation = 2 and entity_id = '7'",
        "delete from cicsc.event where generation = 2 and entity_id = '7'",
        (
            "insert into cicsc.event select tenant_id, generation, entity_type, 'zzz', 1, event_type, payload, ts, actor_id"
            " from cicsc.event where generation = 2 and entity_id = '7' and seq = 1"
        ),
    ],
)
def test_what_is_not_as_it_was_written_is_found(
    store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    read_back = TenantCutover.read_back

    def tampered(self: TenantCutover) -> None:
        owner = connect()
        owner.execute("alter table cicsc.event disable trigger user")
        owner.execute(statement)
        owner.execute(
            "alter table cicsc.event enable always trigger fence_insert, enable always trigger fence_update,"
            " enable always trigger fence_delete, enable always trigger fence_truncate"
        )
        read_back(self)

    steps = tuple(tampered if step.__name__ == "read_back" else step for step in TenantCutover.steps)
    with monkeypatch.context() as patched:
        patched.setattr(TenantCutover, "steps", steps)
        report = cut_over(store, "t", order(workers=2))

    assert (report.ok, report.error["code"], store.gate("t").active_version) == (False, "STAGING_DIFFERS", 1)
    assert cut_over(store, "t", order(workers=2)).ok


def test_a_run_that_was_taken_over_stages_no_more(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = sharing._StagingWork.open
    url = store.shared_url
    assert url is not None

    def takes_over() -> None:
        with PostgresStore(url) as other:
            held = other.runs.holder("t")
            if held is not None and held.actor_id == "ann":
                other.runs.claim("t", held.run_id, lease_s=60, actor_id="bob", epoch=held.epoch)

    def overtaken(self: Any, number: int) -> Any:
        return struck(takes_over, 2, opened, self, number)

    with monkeypatch.context() as patched:
        patched.setattr(sharing._StagingWork, "open", overtaken)
        report = cut_over(store, "t", order(workers=2))

    assert (report.ok, report.error["code"]) == (False, "RUN_LOST"), report.error
    assert store.gate("t").active_version == 1


def test_server_knows_how_large_the_table_is_after_a_large_import(
    store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = len(history())
    known = "select reltuples::bigint from pg_catalog.pg_class where oid = 'cicsc.event'::regclass"
    assert connect().execute(known).fetchone() == (-1,)

    monkeypatch.setattr("cicsc.store.postgres.store.ANALYZED_EVENTS_MIN", 2)
    store.create_tenant("u", bundle_digest=V1.digest, version=1, actor_id="ann")
    store.import_events("u", [event("1", 1, tenant_id="u"), event("2", 1, tenant_id="u")], generation=1, actor_id="ann")

    assert connect().execute(known).fetchone() == (count + 2,)
