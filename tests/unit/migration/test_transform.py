"""Transforms: what becomes of one event."""

import pytest

import cicsc
from cicsc.migration.transform import compile_rules, successors
from unit.migration.documents import bundles, event, lit, payload


def become(transform, source_event):
    _, _, migration = bundles({"event_transforms": {"paid": transform}})
    return successors(compile_rules(migration.types["Account"]).get(source_event.event_type), source_event)


PAID = event(3, "paid", {"amount": 5, "note": "x"}, ts=77)


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        ({}, [("paid", {"amount": 5, "note": "x"})]),
        ({"emit_as": "closed"}, [("closed", {"amount": 5, "note": "x"})]),
        ({"drop": True, "emit_as": "closed"}, []),
        ({"drop": False}, [("paid", {"amount": 5, "note": "x"})]),
        ({"payload_map": {}}, [("paid", {"amount": 5, "note": "x"})]),
        ({"payload_map": {"sum": payload("amount"), "none": payload("nothing")}}, [("paid", {"sum": 5, "none": None})]),
        ({"fan_out": {"emit_many": [{"emit_as": "b"}, {"emit_as": "a", "payload_map": {"k": lit(1)}}]}}, [("b", {"amount": 5, "note": "x"}), ("a", {"k": 1})]),
        ({"fan_out": {"emit_many": [{"emit_as": "a", "condition": {"gt": [payload("amount"), lit(9)]}}, {"emit_as": "b", "condition": payload("note")}]}}, [("b", {"amount": 5, "note": "x"})]),
        ({"fan_out": {"emit_many": [{"emit_as": "a", "condition": lit(None)}]}}, []),
    ],
)  # fmt: skip
def test_successors(transform, expected):
    assert become(transform, PAID) == expected


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("now", True, 77), ("e_time", True, 77), ("actor", True, "ann"), ("e_actor", True, "ann"), ("e_type", True, "paid"), ("state", True, ""),
        ("attrs", {"field": "balance"}, None), ("row", {"field": "state"}, None), ("payload", {"path": "amount"}, 5), ("input", {"field": "x"}, None),
        ("arg", {"name": "x"}, None), ("agg", {"name": "x"}, None), ("rows_count", True, None), ("e_payload", {"path": ""}, {"amount": 5, "note": "x"}),
    ],
)  # fmt: skip
def test_environment_of_a_payload_map(name, argument, expected):
    assert become({"payload_map": {"found": {"var": {name: argument}}}}, PAID) == [("paid", {"found": expected})]


def test_an_event_type_without_a_rule_keeps_type_and_payload():
    assert become({}, event(1, "other", {"a": 1})) == [("other", {"a": 1})]
    assert compile_rules(None) == {}


def nested(levels):
    value = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("variable", ["payload", "e_payload"])
def test_a_payload_inside_a_payload_is_null_where_it_could_not_be_read_again(variable):
    whole = {"coalesce": [{"var": {variable: {"path": "."}}}]}
    for levels, expected in ((125, {"note": nested(125)}), (126, None)):
        source_event = event(1, "paid", {"note": nested(levels)})
        ((_, made),) = become({"payload_map": {"was": whole, "note": payload("note")}}, source_event)
        assert made == {"was": expected, "note": nested(levels)}


def without_ops(core):
    core["types"]["Account"]["reducer"]["paid"] = []


def test_what_a_migration_writes_can_be_read(tmp_path):
    transforms = {"opened": {"emit_as": "account_opened"}, "paid": {"payload_map": {"was": payload("")}}}
    source, target, _ = bundles({"event_transforms": transforms | {"pinged": {"drop": True}}}, without_ops, without_ops)
    history = [event(1, "opened"), event(2, "paid", {"note": nested(126)})]
    report = cicsc.dry_run(source, target, history, "m", out_events=tmp_path / "out.jsonl")
    assert report.ok
    assert cicsc.verify_history(tmp_path / "out.jsonl").digest == report.artifact.migrated_digest
