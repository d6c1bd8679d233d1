"""Histories brought into a store and out of it again, as the commands do it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cicsc
from cicsc.bundle.load import load_bundle
from cicsc.errors import HistoryError, InputError, StoreError, UsageError, WorkError
from cicsc.history.integrity import FindingsTally
from cicsc.operations.import_history import SNAPSHOTS_BATCH_MAX, _import_each, _Survey, import_history
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.store.protocol import Store
from conformance.store.desk import Desk
from conformance.store.history import BUNDLE, add_tenant, append, event, stored
from e2e import shop

HOSTILE = ("'; drop table event; --", "a\nb", "../../etc", "%s {} $1 ?", "é\U0001f600", '"', "T")


def load(store: Store, *events: Any, tenants: tuple[str, ...] = ()) -> Any:
    return import_history(store, events, actor_id="ann", tenants=tenants)


def outcomes(report: Any) -> dict[str, str]:
    return {tenant.tenant_id: tenant.outcome for tenant in report.tenants}


def code_of(report: Any, tenant_id: str = "t") -> str:
    (tenant,) = (tenant for tenant in report.tenants if tenant.tenant_id == tenant_id)
    return str(tenant.error["code"])


def test_import_makes_events_and_snapshots(store: Store) -> None:
    events = [event(str(number), seq) for number in range(30) for seq in (2, 1)]

    report = load(store, *events)

    assert (report.ok, report.exit_code, outcomes(report)) == (True, 0, {"t": "imported"})
    assert (report.events, report.tenants[0].events, report.tenants[0].snapshots) == (60, 60, 30)
    assert report.digest == cicsc.verify_history(events).digest == report.tenants[0].digest
    checked = cicsc.check_store(store)
    assert (checked.ok, checked.events, checked.snapshots) == (True, 60, 30)
    assert [entry.actor_id for entry in store.audit("t")][-1] == "ann"


def test_snapshots_are_written_in_batches(store: Store) -> None:
    number = 2 * SNAPSHOTS_BATCH_MAX + 1

    assert load(store, *(event(f"{index:05}") for index in range(number))).tenants[0].snapshots == number
    assert len(list(store.snapshots("t"))) == number


def test_export_gives_back_what_was_imported(store: Store, tmp_path: Path) -> None:
    events = [event("1", 1, extra={"x": 1}), event("1", 2, payload={"total": 10**40, "é": [1.5, None]}), event("2")]
    digest = load(store, *events).digest

    for name in ("out.jsonl", "out.json", "out.jsonl.gz", "out.json.zst", "out.parquet"):
        report = cicsc.export_history(cicsc.StoreSource(store, ["t"]), tmp_path / name)
        with cicsc.read_history(tmp_path / name) as history:
            found = [item for _, stream in history.streams() for item in stream]

        assert (report.digest, report.events, report.streams) == (digest, 3, 2)
        assert cicsc.verify_history(tmp_path / name).digest == digest
        assert found == events


def test_names_of_any_kind_pass_through(store: Store, tmp_path: Path) -> None:
    for name in HOSTILE:
        add_tenant(store, name)
    events = [event(name, tenant_id=name, entity_type="Order") for name in HOSTILE]

    report = load(store, *events)
    exported = cicsc.export_history(cicsc.StoreSource(store, HOSTILE), tmp_path / "out.jsonl")

    assert outcomes(report) == dict.fromkeys(sorted(HOSTILE), "imported")
    assert [tenant.tenant_id for tenant in exported.tenants] == sorted(HOSTILE)
    assert exported.digest == report.digest
    assert (stored(store), cicsc.check_store(store).ok) == ([], True)


def test_import_of_nothing(store: Store) -> None:
    report = load(store)

    assert (report.ok, report.events, report.tenants, report.counts) == (True, 0, [], {})


def test_import_of_one_event(store: Store) -> None:
    assert outcomes(load(store, event())) == {"t": "imported"}


def test_import_of_some_tenants(store: Store) -> None:
    add_tenant(store, "u")

    report = load(store, event(), event(tenant_id="u"), tenants=("u",))

    assert (outcomes(report), stored(store)) == ({"u": "imported"}, [])
    with pytest.raises(UsageError, match="tenant 'x' has no events"):
        load(store, event(), tenants=("x",))


@pytest.mark.parametrize(
    ("bad", "code", "exit_code"),
    [
        (event("9", 2), "HISTORY_NOT_INTACT", 1),
        (event("1", 1, payload={}), "HISTORY_NOT_INTACT", 1),
        ({"tenant_id": "t", "seq": "one"}, "HISTORY_NOT_INTACT", 1),
        (event("9", event_type="unknown"), "UNKNOWN_EVENT_TYPE", 1),
        (event("9", entity_type="Unknown"), "UNKNOWN_EVENT_TYPE", 1),
    ],
    ids=["gap", "repeated", "malformed", "event type", "entity type"],
)
def test_one_tenants_failure_stops_no_other(store: Store, bad: Any, code: str, exit_code: int) -> None:
    for name in ("a", "z"):
        add_tenant(store, name)

    report = load(store, event(tenant_id="a"), event("1"), bad, event(tenant_id="z"))

    assert outcomes(report) == {"a": "imported", "t": "refused", "z": "imported"}
    assert (report.ok, report.exit_code, report.not_imported) == (False, exit_code, ["t"])
    assert (code_of(report), report.error["code"]) == (code, code)
    assert (stored(store, "t"), len(stored(store, "a")), len(stored(store, "z"))) == ([], 1, 1)
    assert store.gate("t").owner is None


def test_event_of_nobody_refuses_everybody(store: Store) -> None:
    add_tenant(store, "u")

    report = load(store, event(), {"seq": 1}, event(tenant_id="u"))

    assert (outcomes(report), report.digest) == ({"t": "refused", "u": "refused"}, None)
    assert "names no tenant" in report.error["message"]


def test_nothing_but_events_of_nobody_is_refused(store: Store) -> None:
    with pytest.raises(HistoryError, match="names no tenant: index 0: malformed event: expected an object") as raised:
        load(store, ["no event"])
    assert raised.value.code == "HISTORY_NOT_INTACT"


def test_more_malformed_events_than_are_listed_refuse_everybody(store: Store) -> None:
    add_tenant(store, "u")

    report = load(store, event(), *({"tenant_id": "u", "ts": number} for number in range(40)))

    assert outcomes(report) == {"t": "refused", "u": "refused"}
    assert outcomes(load(store, event(), {"tenant_id": "u"}, tenants=("t",))) == {"t": "imported"}


def test_tenant_that_does_not_exist(store: Store) -> None:
    report = load(store, event(), event(tenant_id="nobody"))

    assert outcomes(report) == {"nobody": "refused", "t": "imported"}
    assert code_of(report, "nobody") == "UNKNOWN_TENANT"


def test_paused_tenant_is_refused(store: Store) -> None:
    store.pause("t", owner="ann", seconds=60)

    report = load(store, event())

    assert (outcomes(report), code_of(report), stored(store)) == ({"t": "refused"}, "TENANT_PAUSED", [])


def test_tenant_that_is_paused_while_the_file_is_read(store: Store, desk: Desk) -> None:
    add_tenant(store, "u")

    def events() -> Any:
        yield event()
        with desk.open() as other:
            other.pause("t", owner="bob", seconds=60)
        yield event(tenant_id="u")

    report = import_history(store, events(), actor_id="ann")

    assert (outcomes(report), code_of(report)) == ({"t": "refused", "u": "imported"}, "TENANT_PAUSED")


def test_nul_in_an_id(store: Store, desk: Desk) -> None:
    add_tenant(store, "u")

    report = load(store, event("a\0b"), event(tenant_id="u"))

    if desk.keeps_nul:
        assert outcomes(report) == {"t": "imported", "u": "imported"}
    else:
        assert outcomes(report) == {"t": "failed", "u": "imported"}
        assert (code_of(report), report.exit_code) == ("TEXT_NOT_STORABLE", 2)


def test_nul_in_the_name_of_a_tenant(store: Store) -> None:
    report = load(store, event(tenant_id="t\0"), event())

    assert (outcomes(report)["t"], report.not_imported) == ("imported", ["t\0"])


def test_import_again_leaves_all_as_it_is(store: Store) -> None:
    events = [event("1", 1), event("1", 2), event("2")]
    store.import_events("t", iter(events), generation=1, actor_id="ann")

    report = load(store, *events)

    assert (outcomes(report), report.exit_code, report.tenants[0].snapshots) == ({"t": "already"}, 0, 2)
    assert stored(store) == events
    assert len(list(store.snapshots("t"))) == 2


@pytest.mark.parametrize(
    "events", [[event("1", 1, ts=5)], [event("1", 1), event("1", 2)]], ids=["another event", "a longer history"]
)
def test_import_over_another_history_is_refused(store: Store, events: list[Any]) -> None:
    append(store, event("1", 1))

    report = load(store, *events)

    assert (outcomes(report), code_of(report), stored(store)) == ({"t": "refused"}, "WRONG_SEQ", [event("1", 1)])
    assert report.error["message"].startswith("tenant 't' holds other events than the file already: ")
    assert "history-export" in report.error["hint"]


def test_new_streams_beside_those_that_are_there(store: Store) -> None:
    append(store, event("1", 1))

    assert outcomes(load(store, event("2", 1))) == {"t": "imported"}
    assert stored(store) == [event("1", 1), event("2", 1)]


def test_input_that_cannot_be_decoded(store: Store, tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"tenant_id":"t","tenant_id":"t"}\n')

    with pytest.raises(InputError, match=r"events\.jsonl"):
        import_history(store, tmp_path / "events.jsonl", actor_id="ann")


def test_file_with_a_byte_order_mark(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(shop.history()).encode())
    for name in ("acme", "bmart"):
        cicsc.create_tenant(store, name, shop.source(), actor_id="ann")

    assert outcomes(import_history(store, path, actor_id="ann")) == {"acme": "imported", "bmart": "imported"}


def test_store_that_is_not_there_is_told_before_the_file_is_read(desk: Desk) -> None:
    def events() -> Any:
        raise AssertionError
        yield

    with pytest.raises(StoreError) as caught:
        import_history(desk.url, events(), actor_id="ann")

    assert caught.value.code == "STORE_NOT_INITIALISED"


def test_import_whose_temporary_files_are_gone(store: Store) -> None:
    for name in ("u", "v"):
        add_tenant(store, name)
    events = {name: [event(tenant_id=name), event(tenant_id=name, seq=2)] for name in ("t", "u", "v")}

    def streams(_phase: str = "folding", *, broken: bool) -> Any:
        for name, found in events.items():
            yield (name, "Order", "1"), iter(found[:1]) if broken and name == "u" else found
            if broken and name == "u":
                raise WorkError("TEMPORARY_LOST", "gone")

    whole, cut = (SimpleNamespace(malformed=FindingsTally(), streams=partial(streams, broken=b)) for b in (False, True))
    results = _import_each(store, cut, _Survey(whole), "ann")

    assert [(result.report.outcome, result.error and result.error.code) for result in results] == [
        ("imported", None),
        ("failed", "TEMPORARY_LOST"),
        ("failed", "TEMPORARY_LOST"),
    ]
    assert (stored(store, "u"), stored(store, "v")) == ([], [])


def test_export_of_an_earlier_generation(desk: Desk, tmp_path: Path) -> None:
    with desk.initialised() as store:
        cicsc.create_tenant(store, "acme", shop.source(), actor_id="ann")
        before = load(store, *(item for item in shop.history() if item["tenant_id"] == "acme"))
        order = Order(target=load_bundle(shop.target()), migration="v0_to_v1", operator="ann", execute=True)
        assert cut_over(store, "acme", order).ok
        source = cicsc.StoreSource(store, ["acme"])

        now = cicsc.export_history(source, tmp_path / "now.jsonl")
        then = cicsc.export_history(source, tmp_path / "then.jsonl", generation=1)

        assert (then.digest, then.tenants[0].generation) == (before.digest, 1)
        assert (now.digest != before.digest, now.tenants[0].generation) == (True, 2)
        for wrong in (3, 99):
            with pytest.raises(UsageError, match=f"no generation {wrong}"):
                cicsc.export_history(source, tmp_path / "no.jsonl", generation=wrong)
        assert not (tmp_path / "no.jsonl").exists()


def test_export_of_a_generation_of_several_tenants(store: Store, tmp_path: Path) -> None:
    add_tenant(store, "u")

    with pytest.raises(UsageError, match="of one tenant, found 2"):
        cicsc.export_history(cicsc.StoreSource(store, None), tmp_path / "no.jsonl", generation=1)


def test_export_of_tenants_without_events(store: Store, tmp_path: Path) -> None:
    report = cicsc.export_history(cicsc.StoreSource(store, None), tmp_path / "out.jsonl")

    assert (report.events, report.streams, (tmp_path / "out.jsonl").read_bytes()) == (0, 0, b"")
    assert report.digest == cicsc.verify_history([]).digest


def test_export_that_fails_leaves_no_file(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        cicsc.export_history(cicsc.StoreSource(store, ["t", "x"]), tmp_path / "out.jsonl")

    assert list(tmp_path.iterdir()) == []


def test_tenants_are_created_and_listed(desk: Desk) -> None:
    with desk.initialised() as store:
        created = cicsc.create_tenant(store, "b", BUNDLE, version=7, actor_id="ann").tenant
        cicsc.create_tenant(store, "a", shop.source(), actor_id="ann")
        store.pause("b", owner="bob", seconds=60)
        listed = cicsc.list_tenants(store).tenants

    assert (created.active_version, created.active_bundle, created.tenant_paused) == (7, BUNDLE.digest, False)
    assert [(item.tenant_id, item.active_version, item.tenant_paused) for item in listed] == [
        ("a", 0, False),
        ("b", 7, True),
    ]
    assert listed[1].owner == "bob"


def test_store_is_created_once_and_upgraded(desk: Desk) -> None:
    with pytest.raises(StoreError) as caught:
        cicsc.upgrade_store(desk.url)
    assert caught.value.code == "STORE_NOT_INITIALISED"

    first, second = cicsc.initialise_store(desk.url), cicsc.initialise_store(desk.url)
    upgraded = cicsc.upgrade_store(desk.url)

    assert (first.changed, second.changed, upgraded.changed) == (True, False, False)
    assert first.schema_version == second.schema_version == upgraded.found_version


def test_store_of_an_earlier_version_is_upgraded(desk: Desk) -> None:
    desk.install_version_1(BUNDLE, [event()])
    with pytest.raises(StoreError) as caught:
        cicsc.initialise_store(desk.url)
    assert caught.value.code == "STORE_TOO_OLD"

    report = cicsc.upgrade_store(desk.url)

    assert (report.changed, report.found_version) == (True, 1)
    assert cicsc.verify_history(cicsc.StoreSource(desk.url, ["t"])).events == 1
