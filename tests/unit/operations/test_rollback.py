"""Rollback: taken back whole, or every reason at once."""

import pytest

import cicsc
from cicsc.errors import BundleError
from unit.migration.documents import SOURCE, event, target_document

REVERSIBLE = {"event_transforms": {"opened": {"emit_as": "account_opened"}}}
GIVEN = [event(1, "account_opened", {"owner": "Ann"}, extra={"x": 1}), event(2, "paid", {"amount": 5})]
BACK = [event(1, "opened", {"owner": "Ann"}, extra={"x": 1}), event(2, "paid", {"amount": 5})]


def run(events=GIVEN, migration=REVERSIBLE, name="m", **options):
    return cicsc.rollback(target_document(migration), events, name, **options)


def test_a_history_goes_back(tmp_path):
    out = tmp_path / "back.jsonl"
    report = run(source=SOURCE, out_events=out)
    assert report.ok
    assert (report.rolled_back_events, report.source_checked, report.method) == (2, True, "structural")
    assert report.source_digest == cicsc.verify_history(GIVEN).digest
    assert report.rolled_back_digest == cicsc.verify_history(BACK).digest == cicsc.verify_history(out).digest
    with cicsc.read_history(out) as history:
        assert [list(events) for _, events in history.streams()] == [BACK]


def test_without_outputs_the_way_back_is_only_checked():
    assert run().ok
    assert run().source_checked is False


def test_every_obstacle_at_once_and_nothing_written(tmp_path):
    migration = {
        "event_transforms": {"opened": {"emit_as": "account_opened"}, "pinged": {"drop": True}},
        "state_map": {"open": "closed"},
    }
    events = [event(1, "account_opened"), event(2, "brand_new"), event(4, "paid")]
    report = run(events, migration, source=SOURCE, out_events=tmp_path / "x.jsonl")
    assert not report.ok
    assert report.reasons == [
        "dropped event 'pinged'",
        "non-injective state map to 'closed'",
        "no source event type for 'brand_new' of entity type 'Account': 1 event has no way back",
        "the history is not intact: 1 SEQ_GAP",
    ]
    assert report.error["code"] == "ROLLBACK_UNSAFE"
    assert report.error["message"] == "cannot roll back 'm': dropped event 'pinged' (and 3 more)"
    assert report.rolled_back_events == 0
    assert list(tmp_path.iterdir()) == []


def test_what_the_source_cannot_replay_and_what_is_not_restored():
    migration = {"event_transforms": {"odd": {"emit_as": "even"}}}
    report = run([event(1, "even")], migration, source=SOURCE)
    assert report.reasons == ["event type 'odd' of entity type 'Account' has no reducer in the source bundle: 1 event"]
    assert report.error["message"].endswith("1 event")
    paid = {"payload_map": {"a": {"var": {"e_payload": {"path": "amount"}}}}}
    back = {"payload_map": {"amount": {"var": {"e_payload": {"path": "a"}}}}}
    declared = {"event_transforms": {"paid": paid}, "inverse": {"event_transforms": {"paid": back}}}
    report = run([event(1, "paid", {"a": 1}), event(2, "paid", {"a": 1, "b": 2})], declared, source=SOURCE)
    assert report.method == "declared"
    assert report.reasons == [
        "the round trip does not restore 1 event, the first: stream ('t', 'Account', '1') at seq 2: event type 'paid' is not restored"
    ]
    assert run([event(1, "paid", {"a": 1})], declared, source=SOURCE).ok


MAPPED = {"payload_map": {"a": {"var": {"e_payload": {"path": "amount"}}}}}
UNMAPPED = {"payload_map": {"amount": {"var": {"e_payload": {"path": "a"}}}}}


@pytest.mark.parametrize(
    ("migration", "events", "hint"),
    [
        ({"event_transforms": {"paid": MAPPED}}, GIVEN, "or declare an inverse in the migration"),
        ({"event_transforms": {"paid": MAPPED, "pinged": {"drop": True}}}, GIVEN, "have no inverse"),
        ({"event_transforms": {"opened": {"emit_as": "paid"}}}, GIVEN, "have no inverse"),
        (REVERSIBLE, [event(1, "opened")], "see whether --events is what this migration made"),
        (REVERSIBLE, [event(2, "paid")], "history-verify shows what is wrong with the history"),
        (
            {"event_transforms": {"paid": MAPPED}, "inverse": {"event_transforms": {"paid": UNMAPPED}}},
            [event(1, "paid", {"a": 1, "b": 2})],
            "or correct the inverse that the migration declares",
        ),
    ],
)
def test_the_hint_fits_the_obstacles(migration, events, hint):
    report = run(events, migration, source=SOURCE)

    assert hint in report.error["hint"]
    assert ("declare an inverse" in report.error["hint"]) is ("declare an inverse" in hint)


def test_a_misspelled_inverse_is_named_where_there_is_no_way_back():
    paid = {"payload_map": {"a": {"var": {"e_payload": {"path": "amount"}}}}}
    declared = {"event_transforms": {"paid": paid}, "inverse": {"event_transforms": {"payd": {"emit_as": "paid"}}}}
    report = run([event(1, "paid", {"a": 1})], declared)
    assert report.reasons == ["payload_map on 'paid'"]
    assert report.error["hint"].endswith(
        "or correct the inverse: event type 'payd' has a transform in the inverse, but no reducer in entity type"
        " 'Account' of the target, did you mean 'paid'?"
    )


def test_the_expected_digest():
    assert run(expected_hash=cicsc.verify_history(GIVEN).digest).ok
    assert run(expected_hash="0" * 64).reasons == ["the history is not intact: 1 HASH_MISMATCH"]


def test_tenants_restrict():
    assert run([*GIVEN, event(2, "paid", tenant_id="u")], tenants=["t"]).rolled_back_events == 2
    with pytest.raises(cicsc.UsageError, match="tenant 'nobody' has no events"):
        run(tenants=["nobody"])


def test_an_unknown_migration_is_named():
    report = run(name="mm")
    assert report.reasons == ["migration 'mm' is not in the target bundle, did you mean 'm'?"]
    assert report.error["hint"] == "name a migration of the --to bundle in --migration"
    assert "method" not in report.to_json().decode()


def test_an_invalid_bundle_is_an_error():
    with pytest.raises(BundleError):
        run(source={"core_ir": 1})


def test_the_input_is_never_overwritten(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text("")
    with pytest.raises(cicsc.UsageError, match="--out-events would overwrite --events"):
        run(path, out_events=path)
