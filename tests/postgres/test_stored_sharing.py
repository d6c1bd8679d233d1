"""The histories of a store between several processes: all bytes are those of one, at the moment when it was opened."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import cicsc
from cicsc.engine import pool
from cicsc.engine.workers import migrate_shared
from cicsc.errors import HistoryError
from cicsc.history.model import Event
from cicsc.migration.plan import compile_plan
from cicsc.operations import stored, stored_shares, stored_streams
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.run import Timing
from cicsc.operations.stored import StoredHistory
from cicsc.progress import Amount
from cicsc.store.postgres.store import PostgresStore
from conformance.operations.application import V1, V2
from conformance.store.generated import stored_case
from conformance.store.history import append, event
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect
from postgres.sharing import TENANTS, dry_run, only_cut, sharing, store
from properties.applications import MIGRATION_ID

__all__ = ["sharing", "store"]

PLAN = compile_plan(V1, V2, V2.migrations["to_2"], now=0, actor=None)


def test_every_number_of_processes_gives_the_same_bytes(store: PostgresStore, tmp_path: Path) -> None:
    source = cicsc.StoreSource(store, None)
    one, *others = (dry_run(tmp_path, str(workers), source, workers=workers) for workers in (1, 2, 3))

    assert sorted(one) == ["a.json", "e.jsonl", "p.csv"]
    assert one["e.jsonl"].count(b"\n") == sum(store.head(name).count for name in TENANTS)
    assert others == [one, one]
    verified = [cicsc.verify_history(source, workers=workers).to_json() for workers in (1, 2, 3)]
    assert verified[1:] == [verified[0]] * 2
    checked = [cicsc.preflight(None, V2, source, "to_2", workers=workers).to_json() for workers in (1, 3)]
    assert checked[0] == checked[1]


@pytest.mark.parametrize(
    "ending",
    ["jsonl", *(pytest.param(name, marks=pytest.mark.slow) for name in ("json", "json.gz", "jsonl.zst", "parquet"))],
)
def test_every_number_of_processes_exports_the_same_bytes(store: PostgresStore, tmp_path: Path, ending: str) -> None:
    source, out = cicsc.StoreSource(store, None), tmp_path / f"out.{ending}"
    found = []
    for workers in (1, 2, 3):
        listener = Listener()
        report = cicsc.export_history(source, out, workers=workers, progress=listener)
        found.append((report.to_json(), out.read_bytes()))
        assert listener.begun == [("writing", Amount(report.events))]
        assert sum(done.events for done in listener.noted) == report.events
        assert listener.processes == ([] if workers == 1 else [workers])

    assert found[1:] == [found[0]] * 2
    assert cicsc.verify_history(out).digest == report.digest == cicsc.verify_history(source).digest
    assert [tenant.streams for tenant in report.tenants if tenant.tenant_id.startswith("empty")] == [0, 0]


def test_every_number_of_processes_replays_to_the_same_snapshots(store: PostgresStore) -> None:
    source = cicsc.StoreSource(store, None)
    cases: tuple[dict[str, Any], ...] = ({}, {"entity": ("Order", "\uffff"), "steps": True})
    for options in cases:
        one, *others = (list(cicsc.replay_history(source, workers=workers, **options)) for workers in (1, 2, 3))
        assert len({snapshot.tenant_id for snapshot in one}) > 1
        assert others == [one, one]


@only_cut
def test_what_cannot_be_replayed_is_told_alike(store: PostgresStore) -> None:
    source, found = cicsc.StoreSource(store, None), []
    for workers in (1, 2):
        snapshots: list[Any] = []
        with pytest.raises(HistoryError) as caught:
            snapshots.extend(cicsc.replay_history(source, V2, workers=workers))
        found.append((caught.value.message, snapshots))

    assert "has no reducer (and " in found[0][0]
    assert found[0] == found[1]


def test_a_replay_may_be_left_early(store: PostgresStore) -> None:
    snapshots = cicsc.replay_history(cicsc.StoreSource(store, None), workers=2)
    assert next(snapshots).tenant_id == TENANTS[0]
    assert multiprocessing.active_children()
    snapshots.close()
    assert not multiprocessing.active_children()


@only_cut
def test_an_earlier_generation_is_exported_as_one_process_does(store: PostgresStore, tmp_path: Path) -> None:
    order = Order(target=V2, migration="to_2", operator="ann", execute=True, timing=Timing(60, 600))
    assert cut_over(store, "large", order).ok
    source, found = cicsc.StoreSource(store, ["large"]), []
    for generation in (1, 2):
        for workers in (1, 2):
            out = tmp_path / "out.jsonl"
            report = cicsc.export_history(source, out, generation=generation, workers=workers)
            found.append((report.digest, report.tenants, out.read_bytes()))

    assert found[0] == found[1] != found[2] == found[3]


def test_an_export_is_of_what_was_seen_first(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, cut_tenants = cicsc.StoreSource(store, ["large"]), stored_shares.cut_tenants
    before = cicsc.export_history(source, tmp_path / "before.jsonl", workers=1)

    def written_meanwhile(*given: Any) -> Any:
        append(store, *(Event("large", *list(fields(one))[1:]) for one in (event("new"), event("00"))))
        return cut_tenants(*given)

    monkeypatch.setattr(stored_shares, "cut_tenants", written_meanwhile)
    after = cicsc.export_history(source, tmp_path / "after.jsonl", workers=2)

    assert (after.digest, after.tenants) == (before.digest, before.tenants)
    assert (tmp_path / "after.jsonl").read_bytes() == (tmp_path / "before.jsonl").read_bytes()
    assert store.head("large").count == before.events + 2


def test_it_is_shared_and_progress_adds_up(store: PostgresStore) -> None:
    listener = Listener()
    report = cicsc.verify_history(cicsc.StoreSource(store, None), workers=2, progress=listener)

    assert listener.begun == [("folding", Amount(report.events))]
    assert sum(done.events for done in listener.noted) == report.events
    assert sum(done.streams for done in listener.noted) == report.streams
    assert listener.processes == [2]


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, Amount]] = []
        self.noted: list[Amount] = []
        self.processes: list[int] = []

    def begin(self, phase: str, whole: Amount) -> None:
        self.begun.append((phase, whole))

    def note(self, done: Amount) -> None:
        self.noted.append(done)

    def worked(self, peaks: Sequence[int]) -> None:
        self.processes.append(len(peaks))


def test_generated_applications_with_queries_over_tenants(desk: PostgresDesk, tmp_path: Path) -> None:
    with desk.initialised() as store:
        for seed in range(6):
            case, _, tenants = stored_case(store, seed)
            if tenants:
                source = cicsc.StoreSource(store, tenants)
                options: dict[str, Any] = {"target": case.target, "migration": MIGRATION_ID, "now": 5, "actor": "me"}
                one = dry_run(tmp_path, f"{seed} in one", source, workers=1, **options)
                assert dry_run(tmp_path, f"{seed} in two", source, workers=2, **options) == one


def test_shares_are_all_streams_in_order(store: PostgresStore) -> None:
    heads = {name: store.head(name) for name in sorted(TENANTS)}
    found = []
    with store.moment() as moment:
        cut = stored_shares.cut_tenants(moment, str(store.shared_url), heads, 2)
        for share in cut.shares:
            assert share
            for piece in share:
                reading = moment.reading(piece.tenant_id)
                found += [key for key, _ in stored_streams.HeadStreams(reading, piece.head, piece.within)]

    with StoredHistory(store, TENANTS) as whole:
        assert found == [key for key, _ in whole.streams()]
    assert len(cut.shares) <= 2 * stored_shares.SHARES_PER_WORKER


@only_cut
def test_shares_shrink(store: PostgresStore) -> None:
    heads = {name: store.head(name) for name in sorted(TENANTS)}
    with store.moment() as moment:
        cut = stored_shares.cut_tenants(moment, str(store.shared_url), heads, 2)
        sizes = []
        for number in range(len(cut.shares)):
            share = stored_shares.PiecesShare(store, cut, number)
            for _ in share.streams():
                pass
            sizes.append(share.seen.total())

    assert sizes[0] > 2 * sizes[-1] > 0


def test_what_is_written_meanwhile_is_left_out(store: PostgresStore) -> None:
    with StoredHistory(store, TENANTS, workers=2) as seen, StoredHistory(store, TENANTS) as alone:
        for tenant_id in ("large", "empty", TENANTS[0]):
            new = [event("new"), event("new", 2, "paid"), event("00")]
            append(store, *(Event(tenant_id, *list(fields(one))[1:]) for one in new))
        shared = migrate_shared(PLAN, seen, workers=2)

        assert shared[0].source_events == seen.events_count
        assert shared[1] == migrate_shared(PLAN, alone, workers=1)[1]


def fields(one: Event) -> Iterator[Any]:
    return (getattr(one, name) for name in Event.__struct_fields__)


@pytest.mark.parametrize("where", ["tenant_id = 'large' and seq > 1", "tenant_id = '\U0001f9ea'"])
def test_what_is_removed_meanwhile_is_read_as_it_was(store: PostgresStore, connect: Connect, where: str) -> None:
    with StoredHistory(store, TENANTS, workers=2) as history, StoredHistory(store, TENANTS) as alone:
        owner = connect()
        owner.execute("alter table cicsc.event disable trigger all")
        owner.execute(f"delete from cicsc.event where {where}")
        shared = migrate_shared(PLAN, history, workers=2)

        assert shared[0].source_events == history.events_count
        assert shared[1] == migrate_shared(PLAN, alone, workers=1)[1]


@pytest.mark.slow
@only_cut
def test_processes_that_are_spawned(store: PostgresStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pool, "forks_safely", lambda: False)
    source = cicsc.StoreSource(store, None)
    assert cicsc.verify_history(source, workers=2) == cicsc.verify_history(source, workers=1)
    exported = [cicsc.export_history(source, tmp_path / "out.jsonl", workers=workers) for workers in (1, 2)]
    assert exported[0] == exported[1]
    assert list(cicsc.replay_history(source, workers=2)) == list(cicsc.replay_history(source, workers=1))


@only_cut
def test_few_events_start_no_process(store: PostgresStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stored, "SHARED_EVENTS_MIN", 10_000)
    listener = Listener()
    source = cicsc.StoreSource(store, None)
    assert cicsc.verify_history(source, workers=2, progress=listener).ok
    assert cicsc.export_history(source, tmp_path / "out.jsonl", workers=2, progress=listener).ok
    assert listener.processes == []
