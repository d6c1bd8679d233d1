"""Transforms: what becomes of one event."""

import pytest

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
