"""What the properties draw of whole applications: bundles and migrations between them.

An application is a small state machine for each of a few entity types. The next version is derived
from it by a migration drawn first: event types renamed, merged, dropped, fanned out, payloads
reshaped, states renamed or merged, attributes renamed. Its reducers are the source's under the new
names, so that most migrations are total and many are equivalent; then, sometimes, one thing is broken.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from properties.strategies import (
    NAMES_BY_KIND,
    Draw,
    Expressions,
    Node,
    chance,
    draw_leaf,
    draw_literal,
    draw_variable,
    pick,
)

TYPES = ("Order", "Line::Item", "__class__")
ENTITIES = ("1", "2", "a|b", "a::b", 'q"uote\n', "nul\x00", "𝄞", "ｚ")
STATES = ("new", "open", "paid", "closed", "")
EVENT_TYPES = ("made", "changed", "paid", "closed", "pop", "order paid", "é")
ATTRIBUTES = (*(name for names in NAMES_BY_KIND.values() for name in names), "state", "a.b", "")
SHADOWS = ("h", "count i", "updated_ts")
CORE = ("entity_type", "entity_id", "state", "updated_ts", "attrs_json")

MIGRATION_ID = "v0 to v1"

Document = dict[str, Any]


def some(draw: Draw, options: Sequence[Any], least: int = 0, most: int | None = None) -> list[Any]:
    """Some of the options, without repeats, in their order."""
    left = list(options)
    wanted = least + draw.index((len(left) if most is None else most) - least + 1)
    while len(left) > wanted:
        left.pop(draw.index(len(left)))
    return left


def named_kind(draw: Draw, kind: str | None, names: Sequence[str]) -> str | None:
    """A declared name of the kind, if there is one."""
    fitting = [name for name in names if kind is None or name in NAMES_BY_KIND[kind]] or list(names)
    return pick(draw, fitting) if fitting else None


def reducer_leaf(attrs: Sequence[str]) -> Any:
    """Leaves that a reducer reads: attributes, the payload, the event, the state."""

    def leaf(draw: Draw, kind: str | None) -> Node:
        way = draw.index(8)
        if way < 3:
            return draw_variable(draw, kind, ("e_payload", "payload"))
        name = named_kind(draw, kind, attrs)
        if way < 6 and name is not None:
            return {"var": {"attrs": {"field": name}}}
        return draw_leaf(draw, kind)

    return leaf


def event_leaf(draw: Draw, kind: str | None) -> Node:
    """Leaves that a payload map or a condition reads: the event, and now and then what is null there."""
    if draw.index(5) < 4:
        return draw_variable(draw, kind, ("e_payload", "payload", "e_payload"))
    return draw_leaf(draw, kind)


def row_leaf(columns: Sequence[str], aggs: Sequence[str] = (), snapshot: bool = False) -> Any:
    """Leaves that a query or a constraint reads: declared columns only, since others are defects."""

    def leaf(draw: Draw, kind: str | None) -> Node:
        way = draw.index(10)
        if way < 6 and columns:
            return {"var": {"row": {"field": named_kind(draw, kind, columns)}}}
        if way == 6 and aggs:
            return {"var": {"agg": {"name": pick(draw, aggs)}}}
        if way == 7 and snapshot:
            return pick(draw, ({"var": {"state": True}}, {"var": {"attrs": {"field": pick(draw, ATTRIBUTES)}}}))
        if way == 8:
            return {"var": {pick(draw, ("now", "actor")): True}}
        return draw_literal(draw, kind if kind in {"number", "text", "truth"} else None)

    return leaf


def draw_type(draw: Draw) -> Document:
    """An entity type with a reducer for each of its event types."""
    states = some(draw, STATES, least=1)
    attrs = some(draw, ATTRIBUTES, least=1, most=5)
    shadows = some(draw, SHADOWS, most=2)
    expressions = Expressions(draw, reducer_leaf(attrs))
    return {
        "id_type": "string",
        "states": states,
        "initial_state": pick(draw, states),
        "attrs": {name: {} for name in attrs},
        "shadows": {name: {} for name in shadows},
        "commands": {},
        "reducer": {
            event_type: [draw_op(draw, expressions, states, attrs, shadows) for _ in range(draw.index(4))]
            for event_type in some(draw, EVENT_TYPES, least=1, most=4)
        },
    }


def draw_op(
    draw: Draw, expressions: Expressions, states: Sequence[str], attrs: Sequence[str], shadows: Sequence[str]
) -> Document:
    """One operation of a reducer."""
    way = draw.index(8)
    if way < 2:
        return {"set_state": {"expr": draw_state(draw, expressions, states)}}
    if way == 2:
        return {"clear_attr": {"name": pick(draw, attrs)}}
    name = pick(draw, shadows if way == 3 and shadows else attrs)
    kind = next((kind for kind, names in NAMES_BY_KIND.items() if name in names), None)
    operation = "set_shadow" if way == 3 and shadows else "set_attr"
    return {operation: {"name": name, "expr": expressions.any(3, kind)}}


def draw_state(draw: Draw, expressions: Expressions, states: Sequence[str]) -> Node:
    """An expression for a state: a declared one, one of two, or what a payload says."""
    way = draw.index(6)
    if way < 3:
        return {"lit": {"string": pick(draw, states)}}
    if way == 3:
        cond = expressions.any(3, "truth")
        return {"if": {"cond": cond, "then": draw_state(draw, expressions, states), "else": {"lit": {"null": True}}}}
    return draw_variable(draw, "text", ("e_payload",))


def columns_of(entity_type: Document) -> list[str]:
    """The columns of the rows of a type."""
    return [*CORE, *entity_type["attrs"], *(name for name in entity_type["shadows"] if name not in CORE)]


def draw_constraint(draw: Draw, types: Document) -> Document:
    """A constraint that is often true."""
    on_type = pick(draw, sorted(types))
    columns = columns_of(types[on_type])
    if draw.index(2):
        expr = Expressions(draw, row_leaf(columns, snapshot=True)).any(3, "truth")
        return {
            "kind": "snapshot",
            "on_type": on_type,
            "expr": {"or": [expr, {"not": expr}]} if chance(draw, 3) else expr,
        }
    rows = {"var": {"rows_count": True}}
    sides = [rows, {"lit": {"int": draw.index(4)}}]
    return {
        "kind": "bool_query",
        "on_type": on_type,
        "args": {},
        "query": draw_query(draw, types, on_type),
        "assert": {pick(draw, ("le", "ge", "eq", "ne")): sides},
    }


def draw_query(draw: Draw, types: Document, on_type: str) -> Document:
    """A query over one type or a join of two."""
    if chance(draw, 3):
        other = pick(draw, sorted(types))
        left, right = columns_of(types[on_type]), columns_of(types[other])
        shared = [name for name in left if name in right and name not in {"entity_type", "attrs_json"}]
        on = {"left_field": pick(draw, left), "right_field": pick(draw, right)}
        if not chance(draw, 3):
            on = dict.fromkeys(on, pick(draw, shared))
        names = [("snap", "left"), ("name", "right")]
        sides = {
            key: {"snap": {"type": kind}} if draw.index(2) else kind
            for (_, key), kind in zip(names, (on_type, other), strict=True)
        }
        source: Document = {"join": {**sides, "on": on}}
        columns = [*dict.fromkeys((*left, *right)), *(f"left.{n}" for n in left), *(f"right.{n}" for n in right)]
        return {"source": source, "pipeline": draw_pipeline(draw, columns, snapshot=True)}
    return {
        "source": {"snap": {"type": on_type}},
        "pipeline": draw_pipeline(draw, columns_of(types[on_type]), snapshot=True),
    }


def draw_pipeline(draw: Draw, columns: list[str], snapshot: bool) -> list[Document]:
    """Up to four steps, each reading what the one before leaves."""
    steps = []
    aggs: list[str] = []
    for _ in range(draw.index(5)):
        expressions = Expressions(draw, row_leaf(columns, aggs, snapshot))
        step = draw_step(draw, expressions)
        steps.append(step)
        if "project" in step:
            columns, aggs, snapshot = [field["name"] for field in step["project"]["fields"]], [], False
        elif "group_by" in step:
            aggs, snapshot = list(step["group_by"]["aggs"]), False
            columns = [key["name"] for key in step["group_by"]["keys"]] + aggs
    return steps


def draw_step(draw: Draw, expressions: Expressions) -> Document:
    """One step of a pipeline."""
    name = pick(
        draw, ("filter", "having", "project", "group_by", "group_by", "order_by", "order_by", "limit", "offset")
    )
    if name in {"filter", "having"}:
        return {name: expressions.any(3, "truth")}
    if name in {"limit", "offset"}:
        return {name: draw.index(4)}
    if name == "project":
        return {
            name: {"fields": [{"name": key, "expr": expressions.any(2)} for key in some(draw, ("x", "y.z", "n"), 1)]}
        }
    if name == "order_by":
        return {
            name: [{"expr": expressions.any(2), "dir": pick(draw, ("asc", "desc"))} for _ in range(1 + draw.index(2))]
        }
    keys = [{"name": key, "expr": expressions.any(2)} for key in some(draw, ("k", "s", "entity_id"), 0, 2)]
    aggs: Document = {}
    for key in some(draw, ("c", "total", "lo", "hi"), 1):
        kind = pick(draw, ("count", "sum", "sum", "min", "max"))
        aggs[key] = {kind: {}} if kind == "count" else {kind: {"expr": expressions.any(2, "number")}}
    return {name: {"keys": keys, "aggs": aggs}}


def draw_bundle(draw: Draw) -> Document:
    """A valid bundle of one to three types."""
    types = {name: draw_type(draw) for name in some(draw, TYPES, least=1)}
    return {"core_ir": {"version": 0, "types": types, "constraints": draw_constraints(draw, types)}}


def draw_constraints(draw: Draw, types: Document) -> Document:
    """Up to three constraints."""
    return {f"c{number}": draw_constraint(draw, types) for number in range(draw.index(4))}


def draw_next_version(draw: Draw, source: Document) -> tuple[Document, list[str]]:
    """The target bundle with its migration, and the names of what was broken in it on purpose."""
    types = copy.deepcopy(source["core_ir"]["types"])
    bodies = {name: draw_type_migration(draw, types[name]) for name in some(draw, sorted(types), least=1)}
    for name, body in bodies.items():
        types[name] = next_type(draw, types[name], body)
    broken = [break_something(draw, types, bodies)] if chance(draw, 3) else []
    migration: Document = {"from_version": 0, "to_version": 1}
    if len(bodies) == 1 and draw.index(2):
        [(on_type, body)] = bodies.items()
        migration |= {"on_type": on_type, **body}
    else:
        migration["types"] = bodies
    constraints = draw_constraints(draw, types)
    core = {"version": 0, "types": types, "constraints": constraints, "migrations": {MIGRATION_ID: migration}}
    return {"core_ir": core}, broken


def draw_type_migration(draw: Draw, before: Document) -> Document:
    """How one type changes, to begin with without what concerns attributes."""
    transforms = {event_type: draw_transform(draw, event_type) for event_type in some(draw, list(before["reducer"]))}
    state_map = {state: pick(draw, (state, f"{state}*", "merged")) for state in some(draw, before["states"])}
    return {"event_transforms": transforms, "state_map": state_map}


def draw_transform(draw: Draw, event_type: str) -> Document:
    """What becomes of one event type."""
    way = draw.index(10)
    if way < 5:
        return {"emit_as": pick(draw, (f"{event_type}_2", f"{event_type}_2", "merged event", event_type))}
    if way == 5:
        return {"drop": True}
    if way < 8:
        return {**({"emit_as": f"{event_type}_2"} if draw.index(2) else {}), "payload_map": draw_payload_map(draw)}
    return {"fan_out": {"emit_many": [draw_emission(draw, event_type) for _ in range(1 + draw.index(3))]}}


def draw_payload_map(draw: Draw) -> Document:
    """A payload map; an empty one keeps the payload."""
    expressions = Expressions(draw, event_leaf)
    return {name: expressions.any(3) for name in some(draw, ("n", "s", "l", "o", "x"))}


def draw_emission(draw: Draw, event_type: str) -> Document:
    """One event of a fan-out."""
    emission: Document = {"emit_as": pick(draw, (f"{event_type}_2", "part", event_type))}
    if draw.index(2):
        emission["payload_map"] = draw_payload_map(draw)
    if draw.index(2):
        emission["condition"] = Expressions(draw, event_leaf).any(3, "truth")
    return emission


def next_type(draw: Draw, before: Document, body: Document) -> Document:
    """The type after the migration: the same reducers under new names, states and attributes."""
    states = body["state_map"]
    after = copy.deepcopy(before)
    after["states"] = list(dict.fromkeys(states.get(state, state) for state in before["states"]))
    after["initial_state"] = states.get(before["initial_state"], before["initial_state"])
    after["reducer"] = {}
    for event_type, operations in before["reducer"].items():
        renamed = [with_states(operation, states) for operation in operations]
        for emitted in emitted_types(event_type, body["event_transforms"].get(event_type)):
            after["reducer"].setdefault(emitted, renamed)
    if chance(draw, 3):
        rename_attribute(draw, before, after, body)
    if chance(draw, 4):
        body["attrs_map"] = {
            **body.get("attrs_map", {}),
            pick(draw, sorted({*after["attrs"], *after["shadows"]})): Expressions(
                draw, row_leaf(columns_of(before), snapshot=True)
            ).any(3),
        }
    if chance(draw, 6):
        after["attrs"]["only after"] = {}
    return after


def emitted_types(event_type: str, transform: Document | None) -> list[str]:
    """The event types that one may become."""
    if transform is None:
        return [event_type]
    if transform.get("drop"):
        return []
    if "fan_out" in transform:
        return [emission["emit_as"] for emission in transform["fan_out"]["emit_many"]]
    return [transform.get("emit_as", event_type)]


def with_states(operation: Document, states: Document) -> Document:
    """An operation that sets the new name of a state."""
    if "set_state" not in operation:
        return operation

    def renamed(node: Node) -> Node:
        if "lit" in node and "string" in node["lit"]:
            return {"lit": {"string": states.get(node["lit"]["string"], node["lit"]["string"])}}
        if "if" in node:
            body = node["if"]
            return {"if": {**body, "then": renamed(body["then"])}}
        return node

    return {"set_state": {"expr": renamed(operation["set_state"]["expr"])}}


def rename_attribute(draw: Draw, before: Document, after: Document, body: Document) -> None:
    """Give one attribute a new name, in all that writes and reads it."""
    old, new = pick(draw, sorted(before["attrs"])), "renamed"

    def renamed(node: Any) -> Any:
        if isinstance(node, list):
            return [renamed(item) for item in node]
        if not isinstance(node, dict):
            return node
        if node == {"attrs": {"field": old}}:
            return {"attrs": {"field": new}}
        return {key: renamed(item) for key, item in node.items()}

    for event_type, operations in after["reducer"].items():
        after["reducer"][event_type] = changed = renamed(operations)
        for operation in changed:
            for kind in ("set_attr", "clear_attr"):
                if operation.get(kind, {}).get("name") == old:
                    operation[kind]["name"] = new
    after["attrs"] = {new if name == old else name: spec for name, spec in after["attrs"].items()}
    body["attrs_map"] = {new: {"var": {"attrs": {"field": old}}}}


def break_something(draw: Draw, types: Document, bodies: Document) -> str:
    """Break the target or the migration in one place; say how. Every outcome is still a valid bundle."""
    name = pick(draw, sorted(bodies))
    after, body = types[name], bodies[name]
    way = draw.index(5)
    if way == 0 and after["reducer"]:
        after["reducer"].pop(pick(draw, sorted(after["reducer"])))
        return "reducer entry removed"
    if way == 1 and body["state_map"]:
        body["state_map"][pick(draw, sorted(body["state_map"]))] = "undeclared"
        return "state mapped to an undeclared one"
    if way == 2 and body["event_transforms"]:
        body["event_transforms"][pick(draw, sorted(body["event_transforms"]))] = {"emit_as": "unknown"}
        return "emits an unknown event type"
    if way == 3 and after["reducer"]:
        event_type = pick(draw, sorted(after["reducer"]))
        written = {"name": pick(draw, sorted(after["attrs"])), "expr": draw_literal(draw, None)}
        after["reducer"][event_type] = [*after["reducer"][event_type], {"set_attr": written}]
        return "reducer writes something else"
    body["event_transforms"][pick(draw, EVENT_TYPES)] = {"drop": True}
    return "one more event type dropped"
