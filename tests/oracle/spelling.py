"""Expressions, events and a small application in few words, for the examples of the oracle."""

from __future__ import annotations


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
