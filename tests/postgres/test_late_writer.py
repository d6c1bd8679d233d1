"""A writer that was given a position, and commits behind the look of a reader at a place before its last event."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Thread

import psycopg
import pytest

import cicsc
from cicsc.engine import choice, pool
from cicsc.errors import StoreError
from cicsc.operations import stored, stored_shares
from cicsc.operations.live import sharing
from cicsc.operations.live.binding import read_approval
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.operations.live.run import Timing
from cicsc.progress import SILENT, Amount, Phase, Progress
from cicsc.store.postgres.database import Database
from cicsc.store.postgres.store import PostgresStore
from conformance.operations.application import DECLARED, V2, add
from conformance.store.history import append, event
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect

STREAMS = 40
WAIT_S_MAX = 30

INSERT = (
    "insert into cicsc.event (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id)"
    " values ('t', 1, 'Order', %s, 1, 'created', '{\"total\": 1}', 1, 'plain')"
)
LATE = (
    "insert into cicsc.event"
    " (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id, position)"
    " overriding system value values ('t', 1, 'Order', %s, 1, 'created', '{\"total\": 1}', 1, 'late', %s)"
)


@pytest.fixture(autouse=True)
def everything_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Share however little there is, in copies of this process."""
    monkeypatch.setattr(stored, "SHARED_EVENTS_MIN", 0)
    monkeypatch.setattr(stored_shares, "SHARES_PER_WORKER", 4)
    monkeypatch.setattr(sharing, "SHARES_PER_WORKER", 4)
    monkeypatch.setattr(choice, "forks_safely", lambda: True)
    monkeypatch.setattr(pool, "forks_safely", lambda: True)


@pytest.fixture
def store(desk: PostgresDesk) -> Iterator[PostgresStore]:
    """A store with a tenant 't' that has many orders, and a tenant 'u' that has a few."""
    desk.initialised().close()
    with PostgresStore(desk.url, wait_s=5) as opened:
        add(opened, "t", events=[event(str(number)) for number in range(STREAMS)])
        add(opened, "u", events=[event("1"), event("2")])
        yield opened


class Meanwhile:
    """Has something done once the reader has looked, and before it reads."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act: Callable[[], object] | None = act

    @property
    def has_acted(self) -> bool:
        """Whether the reader came so far."""
        return self._act is None

    def begin(self, _phase: Phase, _whole: Amount) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()

    def note(self, done: Amount) -> None:
        pass

    def worked(self, peaks: Sequence[int]) -> None:
        pass


def verified(store: PostgresStore, _: Path, workers: int, progress: Progress) -> int:
    return cicsc.verify_history(source(store), workers=workers, progress=progress).events


def preflight(store: PostgresStore, _: Path, workers: int, progress: Progress) -> int:
    report = cicsc.preflight(None, V2, source(store), "to_2", workers=workers, progress=progress)
    return report.verify.source_events


def dry_run(store: PostgresStore, folder: Path, workers: int, progress: Progress) -> int:
    paths = {"artifact": folder / "a.json", "out_events": folder / "e.jsonl"}
    report = cicsc.dry_run(None, V2, source(store), "to_2", workers=workers, progress=progress, **paths)
    assert report.ok
    assert paths["out_events"].read_bytes().count(b"\n") == report.artifact.source_events
    assert sum(head.events for head in report.artifact.heads.values()) == report.artifact.source_events
    return report.artifact.source_events


def exported(store: PostgresStore, folder: Path, workers: int, progress: Progress) -> int:
    out = folder / "out.jsonl"
    report = cicsc.export_history(source(store), out, workers=workers, progress=progress)
    assert out.read_bytes().count(b"\n") == report.events
    return report.events


def replayed(store: PostgresStore, _: Path, workers: int, progress: Progress) -> int:
    return len(list(cicsc.replay_history(source(store), workers=workers, progress=progress)))


def source(store: PostgresStore) -> cicsc.StoreSource:
    return cicsc.StoreSource(store, ["t", "u"])


def rehearsed(store: PostgresStore, _: Path, workers: int, progress: Progress) -> int:
    """Rehearse, which is the preflight of a cutover and nothing else."""
    report = cut_over(store, "t", order(workers), progress)
    assert report.ok, report.error
    return report.migrated_events + 2


def order(workers: int, **more: object) -> Order:
    return Order(target=V2, migration="to_2", operator="ann", timing=Timing(60, 600), workers=workers, **more)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("read", [verified, preflight, dry_run, exported, replayed, rehearsed])
def test_event_that_comes_in_below_the_head_disturbs_nobody(
    store: PostgresStore, connect: Connect, tmp_path: Path, read: Callable[..., int], workers: int
) -> None:
    writer = connect()
    position = writer.execute("select nextval('cicsc.event_position_seq')").fetchone()[0]
    append(store, event("9999"))
    meanwhile = Meanwhile(lambda: writer.execute(LATE, ("late", position)))

    assert read(store, tmp_path, workers, meanwhile) == STREAMS + 3
    assert meanwhile.has_acted
    assert store.head("t").count == STREAMS + 2


@pytest.mark.parametrize("workers", [1, 2])
def test_dry_run_beside_a_writer_that_waits_behind_it_approves_a_cutover(
    store: PostgresStore, connect: Connect, tmp_path: Path, workers: int
) -> None:
    """The long transaction has the tenant; the reader waits for it, and behind the reader one that has a position."""
    long = connect(autocommit=False)
    long.execute(INSERT, ("first of the long one",))
    waiting = Thread(target=lambda: connect().execute(INSERT, ("waiting",)))
    found: list[int] = []

    def read() -> None:
        with PostgresStore(store.shared_url, wait_s=WAIT_S_MAX) as other:
            found.append(dry_run(other, tmp_path, workers, Meanwhile(lambda: waiting.join(WAIT_S_MAX))))

    reader = Thread(target=read)
    reader.start()
    until_waits(connect(), "ExclusiveLock")
    waiting.start()
    until_waits(connect(), "ShareLock")
    long.execute(INSERT, ("last of the long one",))
    long.commit()
    reader.join(WAIT_S_MAX)

    entities = list(store.streams("t"))
    assert (found, len(entities), waiting.is_alive()) == ([STREAMS + 2], STREAMS + 3, False)
    approval = read_approval(tmp_path / "a.json")
    report = cut_over(store, "t", order(workers, approval=approval, execute=True))
    assert (report.ok, report.artifact_bound, report.migrated_events) == (True, True, STREAMS + 3)


@pytest.mark.parametrize("read", [verified, preflight, replayed])
def test_what_tells_no_head_waits_for_nobody(
    store: PostgresStore, connect: Connect, tmp_path: Path, read: Callable[..., int]
) -> None:
    connect(autocommit=False).execute(INSERT, ("under way",))

    assert read(store, tmp_path, 2, SILENT) == STREAMS + 2


@pytest.mark.parametrize("read", [dry_run, exported])
def test_what_tells_a_head_waits_for_writes_under_way(
    store: PostgresStore, connect: Connect, tmp_path: Path, read: Callable[..., int]
) -> None:
    connect(autocommit=False).execute(INSERT, ("under way",))
    url = store.shared_url

    with PostgresStore(url, wait_s=0.1) as other, pytest.raises(StoreError) as caught:
        read(other, tmp_path, 2, SILENT)
    assert caught.value.code == "STORE_LOCKED"


@pytest.mark.parametrize("execute", [False, True])
def test_event_at_a_position_of_before_the_cutover_hides_no_loss(
    store: PostgresStore, connect: Connect, execute: bool
) -> None:
    """A program chooses a position that was left out; the inverse loses a note of an event of before."""
    writer = connect()
    position = writer.execute("select nextval('cicsc.event_position_seq')").fetchone()[0]
    add(store, "v", events=[event("1", payload={"total": 1, "note": "fragile"})])
    forward = Order(target=DECLARED, migration="to_2", operator="ann", execute=True)
    assert cut_over(store, "v", forward).ok
    writer.execute(LATE.replace("'t', 1,", "'v', 2,"), ("late", position))

    report = roll_back_tenant(store, "v", RollbackOrder(migration="to_2", operator="bob", execute=execute))

    what = "the inverse cannot be held against the 1 event of before the cutover: found 2 at their positions"
    assert (report.outcome, report.reasons) == ("refused", [what])
    assert store.gate("v").active_version == 2


def until_waits(connection: psycopg.Connection, mode: str) -> None:
    """Wait until somebody waits for the lock of a tenant."""
    deadline = time.monotonic() + WAIT_S_MAX
    held_up = (
        "select exists (select from pg_locks l join pg_database d on d.oid = l.database"
        " where d.datname = current_database() and l.locktype = 'advisory' and l.mode = %s and not l.granted)"
    )
    while connection.execute(held_up, (mode,)).fetchone() != (True,):
        assert time.monotonic() < deadline
        time.sleep(0.005)


# ---------------------------------------------------------------------------------------- the shared moment


def test_moment_is_entered_by_others_while_it_is_open(store: PostgresStore, desk: PostgresDesk) -> None:
    with desk.open() as other, store.moment() as moment:
        shared = moment.share()
        append(store, event("new"))
        with other.moment(shared) as entered:
            assert entered.reading("t").head() == moment.reading("t").head() != store.head("t")
            assert [*entered.reading("t").streams()] == [*moment.reading("t").streams()]
        with other.moment() as later:
            assert later.reading("t").head() == store.head("t")


def test_moment_that_is_over_cannot_be_entered(store: PostgresStore, desk: PostgresDesk) -> None:
    with store.moment() as moment:
        shared = moment.share()

    with desk.open() as other:
        with (
            pytest.raises(StoreError, match=r"cannot read from .* what the other processes") as caught,
            other.moment(shared),
        ):
            pytest.fail("it was entered")
        assert other.head("t").count == STREAMS  # the store can be used on

    assert caught.value.code == "STORE_MOMENT_LOST"


def test_moment_of_another_database_cannot_be_entered(store: PostgresStore, desk: PostgresDesk) -> None:
    elsewhere = PostgresDesk(desk.server)
    with closing(elsewhere.initialised()) as other, store.moment() as moment:
        with pytest.raises(StoreError) as caught, other.moment(moment.share()):
            pytest.fail("it was entered")
        assert caught.value.code == "STORE_MOMENT_LOST"
    elsewhere.drop()


@pytest.mark.parametrize(
    "shared", ["", "00000003-0000001B-1'; drop table cicsc.event; --", "..-1", "0000000g-1", "1-\n1"]
)
def test_what_names_no_moment_never_reaches_the_server(store: PostgresStore, shared: str) -> None:
    with pytest.raises(ValueError, match="no id of a snapshot"), store.moment(shared):
        pytest.fail("it was entered")

    assert store.head("t").count == STREAMS


def test_connection_that_is_lost_while_a_moment_is_entered_is_told_as_that(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute = psycopg.ClientCursor.execute

    def ended(self: psycopg.ClientCursor, *given: object) -> object:
        self.connection.close()
        return execute(self, *given)

    with store.moment() as moment:
        shared = moment.share()
        monkeypatch.setattr(psycopg.ClientCursor, "execute", ended)
        with pytest.raises(StoreError) as caught, store.moment(shared):
            pytest.fail("it was entered")

    assert caught.value.code == "STORE_UNREACHABLE"


def test_session_that_shares_a_moment_may_idle(store: PostgresStore) -> None:
    with PostgresStore(f"{store.shared_url}&options=-c%20idle_in_transaction_session_timeout%3D1h") as other:
        with other.moment() as moment:
            assert idle_limit(moment._database) == "1h"
            moment.share()
            assert idle_limit(moment._database) == "0"
        with other.moment() as moment:
            assert idle_limit(moment._database) == "1h"


def idle_limit(database: Database) -> object:
    return database._connection.execute("show idle_in_transaction_session_timeout").fetchone()[0]


@pytest.mark.parametrize("read", [verified, preflight, dry_run, exported, replayed])
def test_work_whose_moment_is_lost_says_so_and_leaves_nothing(
    store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: Callable[..., int]
) -> None:
    cut_tenants = stored_shares.cut_tenants

    def ended(*given: object) -> object:
        cut = cut_tenants(*given)
        idle = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where state = 'idle in transaction'"
        assert connect().execute(f"{idle} and datname = current_database()").fetchall() == [(True,)]
        return cut

    monkeypatch.setattr(stored_shares, "cut_tenants", ended)
    with pytest.raises(StoreError) as caught:
        read(store, tmp_path, 2, SILENT)

    assert caught.value.code == "STORE_MOMENT_LOST"
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert read(store, tmp_path, 1, SILENT) == STREAMS + 2
