"""A valid bundle that uses every part of the format, and ways to change it in one place."""

from __future__ import annotations

import copy
from typing import Any

from cicsc.bundle.check_bundle import parse_bundle

Document = dict[str, Any]

ORDER = ("core_ir", "types", "Order")
QUERY = ("core_ir", "constraints", "few_open", "query")
PIPELINE = (*QUERY, "pipeline")
MIGRATION = ("core_ir", "migrations", "v1_to_v2")
TRANSFORMS = (*MIGRATION, "event_transforms")
TYPES_MIGRATION = ("core_ir", "migrations", "v0_to_v2")


def text(value: str) -> Document:
    return {"lit": {"string": value}}


def number(value: int) -> Document:
    return {"lit": {"int": value}}


def row(field: str) -> Document:
    return {"var": {"row": {"field": field}}}


def payload(path: str) -> Document:
    return {"var": {"e_payload": {"path": path}}}


def bundle() -> Document:
    """Return a new valid bundle."""
    return {
        "bundle_version": 2,
        "note": "kept and ignored",
        "core_ir": {
            "version": 0,
            "types": {"Order": order_type(), "Customer": customer_type()},
            "constraints": {"paid_has_amount": paid_has_amount(), "few_open": few_open()},
            "policies": {"clerk": {"params": ["who"], "expr": {"call": {"fn": "has_role", "args": [text("clerk")]}}}},
            "views": {"board": {"kind": "lanes", "on_type": "Order", "query": all_orders(), "lanes": ["open"]}},
            "migrations": {"v1_to_v2": one_type_migration(), "v0_to_v2": several_types_migration()},
            "slas": {},
            "ui": {"screens": {}},
        },
    }


def order_type() -> Document:
    return {
        "id_type": "string",
        "states": ["new", "open", "paid"],
        "initial_state": "new",
        "attrs": {
            "amount": {"type": "float", "optional": True, "default": 0},
            "channel": {"type": "enum", "values": ["web", "shop"], "default": "web"},
            "customer": {},
        },
        "shadows": {"rank": {"type": "int", "expr": number(1)}, "mark": {}},
        "commands": {
            "pay": {
                "input": {"amount": {"type": "float"}},
                "guard": {"expr": {"call": {"fn": "allowed", "args": [text("clerk")]}}},
                "emits": [{"event_type": "paid", "payload": {"amount": {"var": {"input": {"field": "amount"}}}}}],
            }
        },
        "reducer": {
            "opened": [
                {"set_state": {"expr": text("open")}},
                {"set_attr": {"name": "amount", "expr": payload("amount")}},
                {"set_shadow": {"name": "rank", "expr": number(1)}},
            ],
            "paid": [{"set_state": {"expr": text("paid")}}, {"clear_attr": {"name": "channel"}}],
            "noted": [],
        },
    }


def customer_type() -> Document:
    return {
        "id_type": "string",
        "states": ["known"],
        "initial_state": "known",
        "attrs": {"email": {"type": "string"}},
        "commands": {},
        "reducer": {"__class__": []},
    }


def paid_has_amount() -> Document:
    expr = {"or": [{"ne": [row("state"), text("paid")]}, {"gt": [row("amount"), number(0)]}]}
    return {"kind": "snapshot", "on_type": "Order", "expr": expr}


def few_open() -> Document:
    return {
        "kind": "bool_query",
        "on_type": "Order",
        "args": {"most": {"type": "int", "default": 9}},
        "query": {
            "source": {
                "join": {
                    "left": {"snap": {"type": "Order"}},
                    "right": "Customer",
                    "on": {"left_field": "customer", "right_field": "entity_id"},
                }
            },
            "pipeline": [
                {"filter": {"eq": [row("left.state"), row("email")]}},
                {
                    "group_by": {
                        "keys": [{"name": "who", "expr": row("right.entity_id")}],
                        "aggs": {
                            "orders": {"count": {}},
                            "total": {"sum": {"expr": row("amount")}},
                            "least": {"min": {"expr": row("amount")}},
                            "most": {"max": {"expr": row("rank")}},
                        },
                    }
                },
                {"having": {"gt": [{"var": {"agg": {"name": "orders"}}}, number(1)]}},
                {"project": {"fields": [{"name": "who", "expr": row("who")}, {"name": "sum", "expr": row("total")}]}},
                {"order_by": [{"expr": row("sum"), "dir": "desc"}, {"expr": row("who"), "dir": "asc"}]},
                {"offset": 1},
                {"limit": 2.0},
            ],
        },
        "assert": {"lt": [{"var": {"rows_count": True}}, {"var": {"arg": {"name": "most"}}}]},
    }


def all_orders() -> Document:
    return {"source": {"snap": {"type": "Order"}}, "pipeline": []}


def one_type_migration() -> Document:
    return {
        "from_version": 1,
        "to_version": 2,
        "on_type": "Order",
        "event_transforms": {
            "created": {"emit_as": "opened", "payload_map": {"amount": payload("sum")}},
            "pinged": {"drop": True},
            "noted": {},
            "remarked": {"emit_as": "noted", "payload_map": {}},
            "closed": {
                "fan_out": {
                    "emit_many": [
                        {"emit_as": "paid", "condition": {"is_null": payload("sum")}},
                        {"emit_as": "noted", "payload_map": {"text": payload("why")}},
                    ]
                }
            },
        },
        "state_map": {"created": "open"},
        "attrs_map": {"amount": {"var": {"attrs": {"field": "sum"}}}, "rank": number(1)},
        "inverse": {"event_transforms": {"opened": {"emit_as": "created"}}, "state_map": {"open": "created"}},
    }


def several_types_migration() -> Document:
    return {
        "from_version": 0,
        "to_version": 2,
        "types": {"Order": {"event_transforms": {}}, "Customer": {"event_transforms": {"a": {"emit_as": "b"}}}},
        "inverse": {"types": {"Customer": {"event_transforms": {"b": {"emit_as": "a"}}}}},
    }


Steps = tuple[str | int, ...]


def changed(steps: Steps, value: object) -> Document:
    """Return the example with `value` at the place that `steps` lead to; a list may grow by one."""
    document = bundle()
    parent = _parent(document, steps)
    if isinstance(parent, list) and steps[-1] == len(parent):
        parent.append(value)
    else:
        parent[steps[-1]] = copy.deepcopy(value)
    return document


def without(steps: Steps) -> Document:
    """Return the example without the key that `steps` lead to."""
    document = bundle()
    del _parent(document, steps)[steps[-1]]
    return document


def problems(document: object) -> list[tuple[str, str]]:
    """Return the path and the message of each problem of a document."""
    return [(problem.path, problem.message) for problem in parse_bundle(document)[1]]


def _parent(document: Any, steps: Steps) -> Any:
    for step in steps[:-1]:
        document = document[step]
    return document
