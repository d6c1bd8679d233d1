"""Digests, replay, constraints and queries of the oracle on examples worked out by hand from the description."""

from __future__ import annotations

import hashlib

from oracle import query
from oracle.digest import history_digest
from oracle.replay import Violation, replay, steps, violations
from oracle.spelling import bundle, event, n


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
