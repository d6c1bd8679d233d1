"""A store as the source of a history: the same verdicts and digests as from a file, at one moment."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

import cicsc
from cicsc.bundle.load import load_bundle
from cicsc.errors import StoreError, UsageError
from cicsc.operations import stored as stored_operations
from cicsc.operations.stored import StoredHistory, settled_positions
from cicsc.store.protocol import Store
from cicsc.store.records import StoreHead
from conformance.store.desk import Desk, Plain, SqliteDesk
from conformance.store.generated import stored_case
from conformance.store.history import BUNDLE, NEXT_BUNDLE, add_tenant, append, event, stored
from e2e import shop
from properties.applications import MIGRATION_ID
from sizes import size

SEEDS = size(10, ci=20, full=40)
"""Of generated applications."""

SOURCE, TARGET = shop.source(), shop.target()


@pytest.fixture
def shop_store(desk: Desk) -> Any:
    """A store with the history of the shop, that of the tenants acme and bmart."""
    with desk.initialised() as store:
        for tenant_id in ("acme", "bmart"):
            cicsc.create_tenant(store, tenant_id, SOURCE, actor_id="ann")
        assert cicsc.import_history(store, shop.history(), actor_id="ann").ok
        yield store


def both(store: Store) -> cicsc.StoreSource:
    return cicsc.StoreSource(store, ["bmart", "acme"])


@pytest.mark.parametrize("target", [TARGET, shop.diverging_target()], ids=["yes", "no"])
def test_preflight_is_that_of_the_file(shop_store: Store, target: dict[str, object]) -> None:
    of_file = cicsc.preflight(SOURCE, target, shop.history(), "v0_to_v1")

    assert cicsc.preflight(None, target, both(shop_store), "v0_to_v1") == of_file
    assert cicsc.preflight(SOURCE, target, both(shop_store), "v0_to_v1") == of_file


def test_artifact_is_that_of_the_file_but_for_positions(shop_store: Store, tmp_path: Path) -> None:
    cicsc.dry_run(SOURCE, TARGET, shop.history(), "v0_to_v1", artifact=tmp_path / "file.json")
    cicsc.dry_run(None, TARGET, both(shop_store), "v0_to_v1", artifact=tmp_path / "store.json")
    of_file, of_store = (json.loads((tmp_path / name).read_bytes()) for name in ("file.json", "store.json"))

    places = {name: (head.pop("position"), head.pop("generation")) for name, head in of_store["heads"].items()}
    assert of_store.pop("artifact_digest") != of_file.pop("artifact_digest")  # it covers the places too
    assert of_store == of_file
    assert places == {
        name: (shop_store.head(name).position, shop_store.head(name).generation) for name in ("acme", "bmart")
    }


def test_migrated_events_and_positions_are_those_of_the_file(shop_store: Store, tmp_path: Path) -> None:
    for name, source, events in (("file", SOURCE, shop.history()), ("store", None, both(shop_store))):
        outputs = {"out_events": tmp_path / f"{name}.jsonl", "out_positions": tmp_path / f"{name}.csv"}
        assert cicsc.dry_run(source, TARGET, events, "v0_to_v1", **outputs).ok

    assert (tmp_path / "store.jsonl").read_bytes() == (tmp_path / "file.jsonl").read_bytes()
    assert (tmp_path / "store.csv").read_bytes() == (tmp_path / "file.csv").read_bytes()


def test_outputs_never_overwrite_the_store(shop_store: Store) -> None:
    for name, path in shop_store.files.items():
        with pytest.raises(UsageError, match=f"--artifact would overwrite {name}: both are") as caught:
            cicsc.dry_run(None, TARGET, both(shop_store), "v0_to_v1", artifact=path)
        assert caught.value.code == "OUTPUT_IS_INPUT"


def test_verify_replays_with_the_active_bundle(shop_store: Store) -> None:
    of_file = cicsc.verify_history(shop.history(), bundle=SOURCE)

    assert cicsc.verify_history(cicsc.StoreSource(shop_store, None)) == of_file
    assert cicsc.verify_history(both(shop_store), bundle=TARGET).ok is False


def test_replay_takes_the_active_bundle(shop_store: Store) -> None:
    of_file = list(cicsc.replay_history(shop.history(), SOURCE))

    assert list(cicsc.replay_history(both(shop_store))) == of_file
    assert list(cicsc.replay_history(both(shop_store), entity=("Order", "o2"))) == [of_file[1]]


def test_one_tenant_of_two(shop_store: Store) -> None:
    report = cicsc.preflight(None, TARGET, cicsc.StoreSource(shop_store, ["bmart"]), "v0_to_v1")

    assert report == cicsc.preflight(SOURCE, TARGET, shop.history(), "v0_to_v1", tenants=["bmart"])


def test_artifact_names_a_tenant_without_events(desk: Desk) -> None:
    with desk.initialised() as store:
        cicsc.create_tenant(store, "new", SOURCE, actor_id="ann")
        artifact = cicsc.dry_run(None, TARGET, cicsc.StoreSource(store, ["new"]), "v0_to_v1").artifact

    head = artifact.heads["new"]
    assert (artifact.ok, head.events, head.position, head.generation) == (True, 0, 0, 1)
    assert head.digest == artifact.source_digest


def test_another_bundle_than_the_active_one_is_named(shop_store: Store) -> None:
    other = load_bundle(shop.source() | {"note": "another"})
    check = cicsc.preflight(other, TARGET, both(shop_store), "v0_to_v1").checks.from_bundle_valid

    assert check.ok is False
    assert f"expected the active bundle {load_bundle(SOURCE).digest} of 'acme', 'bmart'" in str(check.detail)
    assert f"found {other.digest}" in str(check.detail)


def test_another_version_than_the_tenants_is_named(desk: Desk) -> None:
    source = {"core_ir": SOURCE["core_ir"]}
    with desk.initialised() as store:
        cicsc.create_tenant(store, "acme", source, version=4, actor_id="ann")
        report = cicsc.preflight(None, TARGET, cicsc.StoreSource(store, ["acme"]), "v0_to_v1")

    assert report.ok is False
    assert report.checks.version_forward.detail == "the migration begins at version 0, tenant 'acme' at version 4"


def test_tenants_on_different_bundles_are_named(store: Store) -> None:
    store.put_bundle(NEXT_BUNDLE)
    store.create_tenant("u", bundle_digest=NEXT_BUNDLE.digest, version=3, actor_id="ann")

    with pytest.raises(UsageError) as caught:
        cicsc.preflight(None, TARGET, cicsc.StoreSource(store, None), "v0_to_v1")

    assert caught.value.code == "TENANTS_DIFFER"
    assert f"'t' on {BUNDLE.digest}; 'u' on {NEXT_BUNDLE.digest}" in caught.value.message


@pytest.mark.parametrize(
    ("tenants", "code", "message"),
    [
        (["t", "x"], "UNKNOWN_TENANT", "'x'"),
        (["tt"], "UNKNOWN_TENANT", "did you mean 't'?"),
        (["'; drop table event; --"], "UNKNOWN_TENANT", "drop table"),
        ([], "NO_TENANTS", "[]"),
        ("t", "NO_TENANTS", "'t'"),
    ],
)
def test_tenants_that_cannot_be_meant(store: Store, tenants: Any, code: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        cicsc.verify_history(cicsc.StoreSource(store, tenants))

    assert caught.value.code == code
    assert message in caught.value.message


def test_tenants_are_named_in_one_place(store: Store) -> None:
    with pytest.raises(UsageError, match="expected them in StoreSource"):
        cicsc.verify_history(cicsc.StoreSource(store, ["t"]), tenants=["t"])


def test_store_without_tenants(desk: Desk) -> None:
    with desk.initialised() as store, pytest.raises(UsageError, match="the store has no tenants"):
        cicsc.verify_history(cicsc.StoreSource(store, None))


def test_history_is_of_the_moment_when_it_was_opened(store: Store) -> None:
    append(store, event("1", 1), event("2", 1))
    with StoredHistory(store, ["t"]) as history:
        append(store, event("1", 2, ts=9_000), event("0", 1), event("3", 1))
        seen = [found for _, events in history.streams() for found in events]
        again = [found for _, events in history.streams() for found in events]

    assert seen == again == [event("1", 1), event("2", 1)]
    assert (history.events_count, history.latest_ts) == (2, 1_000)


def test_history_of_long_streams_is_read_to_its_head(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.operations.stored_streams.LISTED_EVENTS_MAX", 3)
    append(store, *(event("1", seq) for seq in range(1, 9)), event("2", 1))
    with StoredHistory(store, ["t"]) as history:
        append(store, event("1", 9))
        first = [next(iter(events)).seq for _, events in history.streams()]
        counts = [sum(1 for _ in events) for _, events in history.streams()]

    assert (first, counts) == ([1, 1], [8, 1])


def test_settled_history_is_of_what_was_there(store: Store) -> None:
    append(store, event("1", 1), event("2", 1, ts=7_000))
    head = store.head("t")
    with StoredHistory(store, ["t"], settled=True) as history:
        append(store, event("3", 1, ts=9_000))
        seen = [found for _, events in history.streams() for found in events]

    assert seen == [event("1", 1), event("2", 1, ts=7_000)]
    assert (history.tenants["t"].head, history.latest_ts) == (head, 7_000)


def test_settled_history_ends_at_the_last_event_before_it_waited(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    append(store, event("1", 1))
    before = settled_positions(store, ["t"], None)
    append(store, event("2", 1, ts=9_000))
    monkeypatch.setattr(stored_operations, "settled_positions", lambda *_: before)
    with StoredHistory(store, ["t"], settled=True) as history:
        seen = [found for _, events in history.streams() for found in events]

    assert seen == [event("1", 1)]
    assert (history.events_count, history.latest_ts) == (1, 1_000)


@pytest.mark.parametrize("settled", [False, True])
def test_history_without_events(store: Store, settled: bool) -> None:
    with StoredHistory(store, ["t"], settled=settled) as history:
        assert list(history.streams()) == []
        assert (history.tenants["t"].head, history.latest_ts) == (StoreHead(1, 0, 0), None)


def test_history_whose_events_are_removed_while_it_is_read(store: Store, plain: Plain, desk: Desk) -> None:
    append(store, event("1", 1), event("1", 2))
    desk.drop_trigger(plain, "fence_delete")
    with StoredHistory(store, ["t"]) as history:
        plain.execute("delete from {event} where seq = 2")
        seen = [found for _, events in history.streams() for found in events]

    assert seen == [event("1", 1), event("1", 2)]
    assert store.head("t").count == 1


def test_other_events_than_were_counted_are_told(store: Store) -> None:
    append(store, event("1", 1), event("1", 2))
    with StoredHistory(store, ["t"]) as history:
        held = history.tenants["t"]
        history.tenants = {"t": replace(held, head=replace(held.head, count=3))}
        with pytest.raises(StoreError, match=r"counted 3 events up to position \d+, read 2") as caught:
            list(history.streams())

    assert caught.value.code == "STORE_DAMAGED"


def test_a_moment_is_one_for_all_tenants(store: Store) -> None:
    add_tenant(store, "u")
    with store.moment() as moment:
        for tenant_id in ("t", "u"):
            append(store, event(tenant_id=tenant_id))
        assert [moment.reading(tenant_id).head().count for tenant_id in ("t", "u")] == [0, 0]
        assert (moment.share() is None) == (store.shared_url is None)


def test_reading_that_was_broken_off_is_ended(store: Store) -> None:
    append(store, event("1"), event("2"))
    with StoredHistory(store, ["t"]) as history:
        next(history.streams())

    store.close()  # and the database can be dropped


def test_store_of_a_url_is_opened_and_closed(desk: Desk) -> None:
    with desk.initialised() as store:
        store.put_bundle(BUNDLE)
        add_tenant(store, "t")
        append(store, event())
        assert len(stored(store)) == 1

    assert cicsc.verify_history(cicsc.StoreSource(desk.url, ["t"])).events == 1


def connections(desk: Desk) -> int:
    """How many connections to the database this process has, but for the one that asks."""
    if isinstance(desk, SqliteDesk):
        files = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        return sum(1 for file in files if str(file).startswith(str(desk.path)))
    with desk.plain() as writer:
        ((found,),) = writer.execute(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert isinstance(found, int)
    return found


def until_closed(desk: Desk) -> int:
    """A server ends a connection a little later than its client."""
    for _ in range(200):
        if connections(desk) == 0:
            return 0
        time.sleep(0.01)
    return connections(desk)


@pytest.mark.parametrize(
    "work",
    [
        lambda url: cicsc.verify_history(cicsc.StoreSource(url, ["t"])),
        lambda url: cicsc.preflight(None, TARGET, cicsc.StoreSource(url, ["t"]), "v0_to_v1"),
        lambda url: next(cicsc.replay_history(cicsc.StoreSource(url, ["t"]))),
        lambda url: cicsc.verify_history(cicsc.StoreSource(url, ["x"])),
        lambda url: cicsc.import_history(url, [event("9", 2)], actor_id="ann"),
        lambda url: cicsc.import_history(url, [{"tenant_id": "t", "payload": float("nan")}], actor_id="ann"),
        lambda url: cicsc.create_tenant(url, "t", BUNDLE, version=1, actor_id="ann"),
        lambda url: cicsc.export_history(cicsc.StoreSource(url, None), "none.xyz"),
        cicsc.list_tenants,
        cicsc.check_store,
        cicsc.initialise_store,
        cicsc.upgrade_store,
    ],
    ids=[
        *("verify", "preflight", "replay", "unknown tenant", "refused", "undecodable", "exists", "no format"),
        *("list", "check", "init", "upgrade"),
    ],
)
def test_store_of_a_url_is_closed_on_every_path(desk: Desk, work: Any) -> None:
    with desk.initialised() as store:
        store.put_bundle(BUNDLE)
        add_tenant(store, "t")
        append(store, event("1"), event("2"))

    with contextlib.suppress(cicsc.CicscError):
        work(desk.url)

    assert until_closed(desk) == 0


def test_generated_histories_have_the_verdicts_of_their_files(desk: Desk, tmp_path: Path) -> None:
    compared = 0
    with desk.initialised() as store:
        for seed in range(SEEDS):
            case, events, tenants = stored_case(store, seed)
            if not tenants:
                continue
            stored_ones = cicsc.StoreSource(store, tenants)
            options: Any = {"now": 5, "actor": "me", "equivalence": "every-event" if seed % 2 else "final"}
            of_file = cicsc.dry_run(case.source, case.target, events, MIGRATION_ID, tenants=tenants, **options)
            of_store = cicsc.dry_run(None, case.target, stored_ones, MIGRATION_ID, **options)
            exported = cicsc.export_history(stored_ones, tmp_path / "out.jsonl.zst")

            assert without_places(of_store.artifact) == of_file.artifact
            assert exported.digest == of_file.artifact.source_digest
            compared += len(tenants)
        checked = cicsc.check_store(store)
    assert (compared > SEEDS // 2, checked.ok) == (True, True)


def without_places(artifact: cicsc.Artifact) -> cicsc.Artifact:
    heads = {
        name: msgspec.structs.replace(head, position=msgspec.UNSET, generation=msgspec.UNSET)
        for name, head in artifact.heads.items()
    }
    return msgspec.structs.replace(artifact, heads=heads).sealed()
