"""The oracle on examples worked out by hand from the description: a wrong oracle is worse than none."""

from __future__ import annotations

import hashlib
import math

import pytest

from oracle import query
from oracle.digest import history_digest
from oracle.expression import interpret
from oracle.migration import (
    divergences,
    event_obstacles,
    holes,
    inverse,
    obstacles,
    rolled_back,
    transform,
    unconstrained,
)
from oracle.replay import Violation, replay, steps, violations
from oracle.values import MISSING, built, canonical, equal, levels, step, truth, weight

BIG = 10**999


def n(value):
    """A literal of the value's own kind."""
    if value is None:
        return {"lit": {"null": True}}
    kind = {bool: "bool", int: "int", float: "float", str: "string"}[type(value)]
    return {"lit": {kind: value}}


def arr(*items):
    return {"arr": {"items": list(items)}}


def attr(name):
    return {"var": {"attrs": {"field": name}}}


def pay(path):
    return {"var": {"e_payload": {"path": path}}}


def call(fn, arg):
    return {"call": {"fn": fn, "args": [arg]}}


@pytest.mark.parametrize("value", [None, False, 0, 0.0, -0.0, "", [], {}])
def test_truth_has_seven_false_values(value):
    assert truth(value) is False


@pytest.mark.parametrize("value", [True, 1, -1, 0.1, "0", "false", [0], [[]], {"": None}])
def test_truth_everything_else_is_true(value):
    assert truth(value) is True


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (1, "1", False),
        (None, None, True),
        (None, False, False),
        (0.0, -0.0, True),
        (2**53 + 1, 2.0**53, False),
        ({"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}, True),
        ({"a": None}, {}, False),
        ([1], [True], False),
        ([1, 2], [1], False),
        ("é", "e\u0301", False),
    ],
)
def test_equality_is_deep_and_without_coercion(a, b, expected):
    assert equal(a, b) is expected
    assert equal(b, a) is expected


@pytest.mark.parametrize(
    ("tag", "a", "b", "expected"),
    [
        ("add", 1, 2, 3),
        ("add", 0.5, 0.5, 1),
        ("add", True, 1, None),
        ("add", "1", 1, None),
        ("add", None, 1, None),
        ("sub", 2, 5, -3),
        ("mul", BIG, 9, 9 * BIG),
        ("mul", BIG, 10, None),
        ("add", 10 * BIG - 1, 1, None),
        ("add", BIG, 0.5, None),
        ("mul", 1e308, 10.0, int(1e308) * 10),
        ("mul", float(10**308), 1.5, 1.5e308),
        ("mul", 1.7e308, 1.5, None),
        ("div", 0.5, 5e-324, None),
        ("add", 2.0**53, 1.0, 2**53 + 1),
        ("sub", 0.5, 2.0**53, -(2**53)),
        ("div", 6, 3, 2),
        ("div", 7, 2, 3.5),
        ("div", 1, 3, 1 / 3),
        ("div", 1, 0, None),
        ("div", 1.0, 0.0, None),
        ("div", 0, 5, 0),
        ("div", 10 * BIG - 2, 2, 5 * BIG - 1),
        ("div", BIG, 3, None),
        ("div", BIG, 0.5, None),
        ("div", 10**400 + 1, 10**399, 10.0),
        ("time_between", 10, 4, -6),
        ("time_between", 0.5, 3, 2),
        ("time_between", 3, 0.5, -2),
        ("time_between", "1", 2, None),
        ("lt", 1, 1.5, True),
        ("lt", 2**53 + 1, 2.0**53, False),
        ("ge", 1, 1.0, True),
        ("le", "a", "b", None),
        ("gt", True, 0, None),
    ],
)
def test_operators_on_two_values(tag, a, b, expected):
    found = interpret({tag: [n(a), n(b)]}, {})
    assert equal(found, expected)


def test_an_integral_result_is_an_integer():
    assert type(interpret({"add": [n(0.5), n(1.5)]}, {})) is int
    assert type(interpret({"div": [n(2.0), n(1.0)]}, {})) is int


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        ("len", "𝄞a", 2),
        ("len", "", 0),
        ("len", None, None),
        ("len", 12, None),
        ("str", None, None),
        ("str", True, "true"),
        ("str", False, "false"),
        ("str", 2.0, "2"),
        ("str", -0.0, "0"),
        ("str", 1e21, "1" + "0" * 21),
        ("str", 0.1, "0.1"),
        ("str", 1e-7, "1e-7"),
        ("str", -1.25e-10, "-1.25e-10"),
        ("str", 0.000001, "0.000001"),
        ("str", "x", "x"),
        ("int", 1.9, 1),
        ("int", -1.9, -1),
        ("int", "1", None),
        ("int", True, None),
        ("float", 3, 3),
        ("float", 2**53 + 1, 2**53),
        ("float", BIG, None),
        ("float", "1.5", None),
    ],
)
def test_functions(function, value, expected):
    assert equal(interpret(call(function, n(value)), {}), expected)


def test_str_of_a_list_and_an_object_is_their_canonical_text():
    node = {"obj": {"fields": {"b": arr(n(1.0), n(None)), "a": n('"')}}}
    assert interpret(call("str", node), {}) == '{"a":"\\"","b":[1,null]}'
    assert interpret(call("len", arr(n(1), n(2))), {}) == 2
    assert interpret(call("len", node), {}) is None


def test_what_an_environment_does_not_hold_is_null_and_the_state_is_empty():
    names = {"input": "field", "attrs": "field", "row": "field", "arg": "name", "agg": "name"}
    for name, key in names.items():
        assert interpret({"var": {name: {key: "x"}}}, {}) is None
    for name in ("now", "actor", "rows_count", "e_type", "e_actor", "e_time"):
        assert interpret({"var": {name: True}}, {}) is None
    for name in ("e_payload", "payload"):
        assert interpret({"var": {name: {"path": "x.y"}}}, {}) is None
    assert interpret({"var": {"state": True}}, {}) == ""


def test_a_field_is_no_path():
    env = {"attrs": {"a.b": 1, "a": {"b": 2}}, "e_payload": {"a.b": 1, "a": {"b": 2}}}
    assert interpret(attr("a.b"), env) == 1
    assert interpret(pay("a.b"), env) == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.l.1", 20),
        ("a..l.0", 10),
        (".a.l.0.", 10),
        ("a.l.2", MISSING),
        ("a.l.-1", MISSING),
        ("a.l.x", MISSING),
        ("a.l.0.x", MISSING),
        ("a.z", None),
        ("a.z.y", MISSING),
        ("a.0", "zero"),
        ("s.0", MISSING),
        ("l." + "9" * 5000, MISSING),
    ],
)
def test_paths(path, expected):
    value = {"a": {"l": [10, 20], "z": None, "0": "zero"}, "s": "text", "l": [1]}
    found = step(value, path)
    assert found is MISSING if expected is MISSING else equal(found, expected)
    env = {"e_payload": value}
    assert interpret({"has": {"expr": pay(""), "path": path}}, env) is (expected is not MISSING)
    assert interpret({"get": {"expr": pay(""), "path": path}}, env) == (None if expected is MISSING else expected)


def test_booleans_are_strict_and_short_circuit():
    assert interpret({"and": []}, {}) is True
    assert interpret({"or": []}, {}) is False
    assert interpret({"and": [n(1), n("x")]}, {}) is True
    assert interpret({"or": [n(0), n("")]}, {}) is False
    assert interpret({"not": n("")}, {}) is True
    assert interpret({"bool": n(3)}, {}) is True


def test_if_coalesce_is_null():
    assert interpret({"if": {"cond": n(""), "then": n(1), "else": n(2)}}, {}) == 2
    assert interpret({"coalesce": [n(None), n(False), n(1)]}, {}) is False
    assert interpret({"coalesce": []}, {}) is None
    assert interpret({"is_null": n(None)}, {}) is True
    assert interpret({"is_null": n(0)}, {}) is False


def test_in_wants_a_list():
    assert interpret({"in": {"needle": n(1), "haystack": arr(n(True), n(1.0))}}, {}) is True
    assert interpret({"in": {"needle": n(1), "haystack": arr(n(True), n("1"))}}, {}) is False
    assert interpret({"in": {"needle": n("a"), "haystack": n("abc")}}, {}) is None


def test_map_enum_maps_strings_only():
    def mapped(value):
        return interpret({"map_enum": {"expr": n(value), "mapping": {"low": 1, "1": 2}}}, {})

    assert [mapped("low"), mapped("other"), mapped(1), mapped(None)] == [1, None, None, None]


def nested(levels_wanted):
    value = []
    for _ in range(levels_wanted - 1):
        value = [value]
    return value


def test_values_that_an_expression_builds_are_bounded():
    assert weight([1, [2, {"a": 3}]]) == 6
    assert weight({"k" * 40: "x" * 64, "l" * 40: "x" * 63}) == 1 + 1 + 2 + 1
    assert levels([1, [2, {"a": []}]]) == 4
    assert built([0] * 99_999) is not None
    assert built([0] * 100_000) is None
    assert built(nested(100)) is not None
    assert built(nested(101)) is None


def test_canonical_text():
    assert canonical({"b": 1, "a": [True, None, -0.0, 1e300, 1.5]}) == f'{{"a":[true,null,0,{int(1e300)},1.5],"b":1}}'
    # By code point U+FF5A stands before U+1D11E; by UTF-16 units, as RFC 8785 sorts, it would not.
    assert canonical({"𝄞": 1, "ｚ": 2}) == '{"ｚ":2,"𝄞":1}'
    assert canonical('\x00\x1f\b\f\n\r\t"\\/\x7f\u2028é') == '"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\/\x7f\u2028é"'
    assert canonical(10**5000) == "1" + "0" * 5000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "0.5"),
        (123456.789, "123456.789"),
        (1.5e-5, "0.000015"),
        (1e-6, "0.000001"),
        (9.5e-7, "9.5e-7"),
        (5e-324, "5e-324"),
        (-2.2250738585072014e-308, "-2.2250738585072014e-308"),
        (4503599627370495.5, "4503599627370495.5"),
        (math.pi, "3.141592653589793"),
    ],
)
def test_canonical_text_of_fractions(value, expected):
    assert canonical(value) == expected


def event(seq, event_type="made", payload=None, ts=None, tenant="t1", kind="Order", entity="7", actor="ann"):
    return {
        "tenant_id": tenant,
        "entity_type": kind,
        "entity_id": entity,
        "seq": seq,
        "event_type": event_type,
        "payload": {} if payload is None else payload,
        "ts": seq * 10 if ts is None else ts,
        "actor_id": actor,
    }


def test_digest_is_built_as_described():
    first, second = event(1, payload={"b": 1, "a": 2.0}), event(2)
    line = (
        b'{"actor_id":"ann","entity_id":"7","entity_type":"Order","event_type":"made",'
        b'"payload":{"a":2,"b":1},"seq":1,"tenant_id":"t1","ts":10}\n'
        b'{"actor_id":"ann","entity_id":"7","entity_type":"Order","event_type":"made",'
        b'"payload":{},"seq":2,"tenant_id":"t1","ts":20}\n'
    )
    leaf = hashlib.sha256(b"\x00" + line).hexdigest()
    root = hashlib.sha256(b"\x01" + f'["t1","Order","7",2,"{leaf}"]\n'.encode()).hexdigest()
    assert history_digest([first, second]) == root
    assert history_digest([second, {**first, "note": "extra"}]) == root
    assert history_digest([]) == hashlib.sha256(b"\x01").hexdigest()


ORDER = {
    "id_type": "string",
    "states": ["new", "open", "done"],
    "initial_state": "new",
    "attrs": {"n": {"type": "int"}, "m": {"type": "int"}, "state": {"type": "string"}},
    "shadows": {"h": {"type": "int"}},
    "commands": {},
    "reducer": {
        "made": [
            {"set_state": {"expr": n("open")}},
            {"set_attr": {"name": "n", "expr": {"add": [{"coalesce": [attr("n"), n(0)]}, n(1)]}}},
            {"set_attr": {"name": "m", "expr": attr("n")}},
            {"set_shadow": {"name": "h", "expr": {"var": {"e_time": True}}}},
        ],
        "odd": [{"set_state": {"expr": n(3)}}, {"set_attr": {"name": "state", "expr": n("mine")}}],
        "cleared": [{"clear_attr": {"name": "n"}}, {"clear_attr": {"name": "m"}}],
        "noop": [],
    },
}


def bundle(order=ORDER, constraints=None, **others):
    return {"core_ir": {"version": 0, "types": {"Order": order, **others}, "constraints": constraints or {}}}


def test_replay_ops_see_what_was_before_the_event():
    snapshots, unhandled = steps(bundle(), ("t1", "Order", "7"), [event(1), event(2), event(3, "cleared")])
    assert unhandled == []
    assert [s.attrs for s in snapshots] == [{}, {"n": 1, "m": None}, {"n": 2, "m": 1}, {}]
    assert [s.state for s in snapshots] == ["new", "open", "open", "open"]
    assert [s.updated_ts for s in snapshots] == [None, 10, 20, 30]
    assert snapshots[-1].shadows == {"h": 20}


def test_replay_ignores_a_state_that_is_no_string_and_orders_by_seq():
    last, _ = replay(bundle(), [event(2, "odd"), event(1)])
    assert last["t1", "Order", "7"].state == "open"


def test_replay_reports_what_it_cannot_replay():
    _, unhandled = replay(bundle(), [event(1), event(2, "gone"), event(1, kind="Ghost")])
    assert [(u.key[1], u.seq, u.event_type) for u in unhandled] == [("Ghost", 1, "made"), ("Order", 2, "gone")]


def test_constraints_are_evaluated_per_tenant_and_core_fields_are_not_shadowed():
    row = {"var": {"row": {"field": "state"}}}
    constraints = {
        "open": {"kind": "snapshot", "on_type": "Order", "expr": {"eq": [row, n("open")]}},
        "at_most_one": {
            "kind": "bool_query",
            "on_type": "Order",
            "args": {},
            "query": {"source": {"snap": {"type": "Order"}}, "pipeline": []},
            "assert": {"le": [{"var": {"rows_count": True}}, n(1)]},
        },
    }
    events = [event(1, "odd"), event(1, entity="8"), event(1, tenant="t2"), event(2, "odd", tenant="t2")]
    found, _ = violations(bundle(constraints=constraints), events, 0, None, ["t1", "t2"])
    assert found == [
        Violation("open", "snapshot", "t1", entity_id="7"),
        Violation("at_most_one", "bool_query", "t1", rows_count=2),
    ]


def rows_of(source_rows, *pipeline):
    document = {"source": {"snap": {"type": "T"}}, "pipeline": list(pipeline)}
    return query.run(document, {"T": [query.Held(row) for row in source_rows]}, {})


def field(name):
    return {"var": {"row": {"field": name}}}


def test_query_pipeline_runs_in_order():
    rows = [{"k": "a", "v": 1}, {"k": "b", "v": 2}, {"k": "a", "v": 2.5}, {"k": "a", "v": "x"}, {"k": "b"}]
    group = {
        "group_by": {
            "keys": [{"name": "key", "expr": field("k")}],
            "aggs": {
                "c": {"count": {}},
                "s": {"sum": {"expr": field("v")}},
                "lo": {"min": {"expr": field("v")}},
                "hi": {"max": {"expr": field("v")}},
            },
        }
    }
    a, b = {"key": "a", "c": 3, "s": 3.5, "lo": 1, "hi": 2.5}, {"key": "b", "c": 2, "s": 2, "lo": 2, "hi": 2}
    assert rows_of(rows, group) == [a, b]
    assert rows_of(rows, group, {"having": {"lt": [field("c"), n(3)]}}) == [b]
    assert rows_of(rows, {"filter": field("v")}, {"offset": 1}, {"limit": 1}) == [rows[1]]
    assert rows_of(rows, {"project": {"fields": [{"name": "x", "expr": field("k")}]}}, {"limit": 1}) == [{"x": "a"}]


def test_group_by_tells_true_from_one_and_not_one_from_one_point_nought():
    group = {"group_by": {"keys": [{"name": "k", "expr": field("v")}], "aggs": {"c": {"count": {}}}}}
    found = rows_of([{"v": 1}, {"v": True}, {"v": 1.0}, {"v": None}, {}], group)
    assert [row["c"] for row in found] == [2, 1, 2]


def test_sum_is_exact_and_null_without_numbers():
    assert query.total([10**20, 0.1, 0.2, 0.3, -(10**20)]) == 0.6
    assert query.total([1e308, 1e308, -1e308]) == 1e308
    assert query.total([1e308, 1e308]) == 2 * int(1e308)
    assert query.total([1e308, 1e308, 0.5]) is None
    assert query.total([2.0**53, 1, 0.5, 0.5]) == 2**53 + 2
    assert query.aggregate({"sum": {"expr": field("v")}}, [query.Held({"v": "1"}), query.Held({"v": True})], {}) is None


def test_order_by_ranks_kinds_and_is_stable():
    values = [{"a": 1}, [2], True, False, "b", "a", 2, 1.5, None]
    rows = [{"v": value, "i": i} for i, value in enumerate([*values, 1.5])]
    found = rows_of(rows, {"order_by": [{"expr": field("v"), "dir": "asc"}]})
    assert [row["i"] for row in found] == [8, 7, 9, 6, 5, 4, 3, 2, 1, 0]
    found = rows_of(rows, {"order_by": [{"expr": field("v"), "dir": "desc"}]})
    assert [row["i"] for row in found] == [0, 1, 2, 3, 4, 5, 6, 7, 9, 8]


def test_join_takes_bare_names_from_the_left_and_never_joins_null():
    left = [{"k": 1, "v": "L"}, {"k": None, "v": "N"}, {"k": True, "v": "T"}]
    right = [{"k": 1.0, "v": "R", "w": 5}, {"v": "none"}]
    source = {"join": {"left": "A", "right": "B", "on": {"left_field": "k", "right_field": "k"}}}
    rows = {"A": [query.Held(row) for row in left], "B": [query.Held(row) for row in right]}
    found = query.run({"source": source, "pipeline": []}, rows, {})
    assert found == [
        {"k": 1, "v": "L", "w": 5, "left.k": 1, "left.v": "L", "right.k": 1.0, "right.v": "R", "right.w": 5}
    ]


def test_transform_of_every_kind_renumbers_and_maps_positions():
    migration = {
        "on_type": "Order",
        "event_transforms": {
            "gone": {"drop": True, "emit_as": "x"},
            "made": {
                "emit_as": "created",
                "payload_map": {"by": {"var": {"e_actor": True}}, "at": {"var": {"now": True}}},
            },
            "odd": {
                "fan_out": {
                    "emit_many": [
                        {"emit_as": "one", "condition": pay("yes")},
                        {"emit_as": "two", "payload_map": {"s": {"var": {"state": True}}}},
                    ]
                }
            },
            "same": {"payload_map": {}},
        },
    }
    events = [
        {**event(1), "note": "kept"},
        event(2, "gone"),
        event(3, "odd", {"yes": 1}),
        event(4, "odd"),
        event(5, "same", {"p": 1}),
        event(6, "unlisted", {"p": 2}),
        event(1, "gone", tenant="t2"),
        event(1, kind="Other"),
    ]
    migrated, positions = transform(migration, events)
    assert [(e["entity_type"], e["seq"], e["event_type"], e["payload"], e["ts"]) for e in migrated] == [
        ("Order", 1, "created", {"by": "ann", "at": 10}, 10),
        ("Order", 2, "one", {"yes": 1}, 30),
        ("Order", 3, "two", {"s": ""}, 30),
        ("Order", 4, "two", {"s": ""}, 40),
        ("Order", 5, "same", {"p": 1}, 50),
        ("Order", 6, "unlisted", {"p": 2}, 60),
        ("Other", 1, "made", {}, 10),
    ]
    assert migrated[0]["note"] == "kept"
    order = ("t1", "Order", "7")
    assert positions == [
        (*order, 1, 1),
        (*order, 2, None),
        (*order, 3, 2),
        (*order, 3, 3),
        (*order, 4, 4),
        (*order, 5, 5),
        (*order, 6, 6),
        ("t1", "Other", "7", 1, 1),
        ("t2", "Order", "7", 1, None),
    ]


TARGET = {
    **ORDER,
    "states": ["new", "active", "done"],
    "attrs": {"n": {"type": "int"}, "label": {"type": "string"}, "extra": {"type": "int"}},
    "shadows": {"h": {"type": "int"}},
    "reducer": {
        "created": [
            {"set_state": {"expr": n("active")}},
            {"set_attr": {"name": "n", "expr": {"add": [{"coalesce": [attr("n"), n(0)]}, n(1)]}}},
            {"set_attr": {"name": "label", "expr": call("str", attr("n"))}},
            {"set_shadow": {"name": "h", "expr": {"var": {"e_time": True}}}},
        ],
        "odd": [],
        "noop": [],
    },
}
MOVE = {
    "on_type": "Order",
    "event_transforms": {"made": {"emit_as": "created"}, "cleared": {"drop": True}},
    "state_map": {"open": "active"},
    "attrs_map": {"label": call("str", attr("m"))},
}


def test_relation_names_what_differs_and_what_is_unconstrained():
    source, target = bundle(), bundle(TARGET)
    assert divergences(source, target, MOVE, [event(1), event(2)], every_event=True) == []
    [found] = divergences(source, target, MOVE, [event(1), event(2, "cleared"), event(3, "noop")], every_event=False)
    assert (found.seq, found.field, found.expected, found.found) == (3, "attrs.n", None, 1)
    assert unconstrained(ORDER, TARGET, MOVE) == {"attrs.state", "attrs.extra"}


def test_a_passing_difference_is_seen_after_every_event_only():
    source_type = {
        **ORDER,
        "reducer": {"a": [{"set_state": {"expr": n("open")}}], "b": [{"set_state": {"expr": n("done")}}]},
    }
    target_type = {**source_type, "reducer": {"a": [], "b": [{"set_state": {"expr": n("done")}}]}}
    nothing = {"on_type": "Order", "event_transforms": {}}
    both = (bundle(source_type), bundle(target_type), nothing, [event(1, "a"), event(2, "b")])
    assert divergences(*both) == []
    [found] = divergences(*both, every_event=True)
    assert (found.seq, found.field, found.expected, found.found) == (1, "state", "open", "new")


def test_a_stream_whose_events_are_all_dropped_is_compared_with_the_initial_snapshot():
    found = divergences(bundle(), bundle(TARGET), {**MOVE, "event_transforms": {"made": {"drop": True}}}, [event(1)])
    assert {d.field for d in found} == {"state", "attrs.n", "shadows.h"}


def test_holes_are_named():
    assert holes(bundle(), bundle(TARGET), MOVE) == set()
    bad = {"on_type": "Order", "event_transforms": {"made": {"emit_as": "nothing"}}, "state_map": {"done": "finished"}}
    assert holes(bundle(), bundle(TARGET), bad) == {
        ("event", "Order", "nothing"),
        ("event", "Order", "cleared"),
        ("state", "Order", "open"),
        ("state", "Order", "finished"),
    }
    assert holes(bundle(), {"core_ir": {"types": {}}}, MOVE) == {("type", "Order", "target")}


def test_obstacles_are_named_all_at_once():
    migration = {
        "on_type": "Order",
        "event_transforms": {
            "made": {"emit_as": "odd", "payload_map": {"x": n(1)}},
            "cleared": {"drop": True},
            "noop": {"fan_out": {"emit_many": [{"emit_as": "y"}]}},
        },
        "state_map": {"new": "done"},
    }
    assert obstacles(bundle(), migration) == {
        "payload_map on 'made'",
        "dropped event 'cleared'",
        "fan_out on 'noop'",
        "non-injective event mapping to 'odd'",
        "non-injective state map to 'done'",
    }
    assert event_obstacles(set(), {"event_transforms": {"made": {"emit_as": "odd", "payload_map": {}}}}) == set()


def test_inverse_restores_the_history():
    migration = {"on_type": "Order", "event_transforms": {"made": {"emit_as": "odd"}, "odd": {"emit_as": "made"}}}
    events = [{**event(1), "note": 1}, event(2, "odd"), event(3, "noop"), event(1, kind="Other")]
    migrated, _ = transform(migration, events)
    assert inverse(migration) == {"Order": {"odd": "made", "made": "odd"}}
    assert [e["event_type"] for e in migrated] == ["odd", "made", "noop", "made"]
    assert rolled_back(migration, migrated) == events
