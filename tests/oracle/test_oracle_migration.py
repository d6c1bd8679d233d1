"""Migrations of the oracle, and their ways back, on examples worked out by hand from the description."""

from __future__ import annotations

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
from oracle.spelling import ORDER, attr, bundle, call, event, n, pay


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
