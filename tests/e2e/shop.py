"""A small application in two versions with a history, and the ways in which a migration of it goes wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]
MIGRATION: Json = {
    "from_version": 0,
    "to_version": 1,
    "on_type": "Order",
    "event_transforms": {"placed": {"emit_as": "order_placed"}, "paid": {"emit_as": "settled"}},
    "state_map": {"new": "open", "paid": "closed"},
}


def literal(text: str) -> Json:
    return {"expr": {"lit": {"string": text}}}


def payload(name: str) -> Json:
    return {"var": {"e_payload": {"path": name}}}


def order(states: list[str], reducer: Json) -> Json:
    attrs = {"total": {"type": "int"}, "note": {"type": "string", "optional": True}}
    return {
        "id_type": "string",
        "states": states,
        "initial_state": states[0],
        "attrs": attrs,
        "commands": {},
        "reducer": reducer,
    }


def bundle(version: int, entity: Json, **more: Json) -> Json:
    positive = {"ge": [{"var": {"row": {"field": "total"}}}, {"lit": {"int": 0}}]}
    constraints = {"total_is_positive": {"kind": "snapshot", "on_type": "Order", "expr": positive}}
    core = {"version": 0, "types": {"Order": entity}, "constraints": constraints, **more}
    return {"bundle_version": version, "core_ir": core}


def source() -> Json:
    reducer = {
        "placed": [{"set_state": literal("new")}, {"set_attr": {"name": "total", "expr": payload("total")}}],
        "paid": [{"set_state": literal("paid")}],
        "noted": [{"set_attr": {"name": "note", "expr": payload("text")}}],
    }
    return bundle(0, order(["new", "paid"], reducer))


def target(total: Json | None = None, migration: Json = MIGRATION) -> Json:
    """Version 1; `total` is what its reducer takes the attribute from, the payload's total by default."""
    reducer = {
        "order_placed": [
            {"set_state": literal("open")},
            {"set_attr": {"name": "total", "expr": total or payload("total")}},
        ],
        "settled": [{"set_state": literal("closed")}],
        "noted": [{"set_attr": {"name": "note", "expr": payload("text")}}],
    }
    return bundle(1, order(["open", "closed"], reducer), migrations={"v0_to_v1": migration})


def diverging_target() -> Json:
    """Version 1 with a slip: the total counts one too many."""
    return target({"add": [payload("total"), {"lit": {"int": 1}}]})


def event(seq: int, event_type: str, fields: Json, tenant: str = "acme", entity: str = "o1") -> Json:
    return {
        "tenant_id": tenant,
        "entity_type": "Order",
        "entity_id": entity,
        "seq": seq,
        "event_type": event_type,
        "payload": fields,
        "ts": 1000 * seq,
        "actor_id": "ann",
    }


def history() -> list[Json]:
    return [
        event(1, "placed", {"total": 12}),
        event(2, "noted", {"text": "call first"}),
        event(3, "paid", {}),
        event(1, "placed", {"total": 7}, entity="o2"),
        event(1, "placed", {"total": 3}, tenant="bmart"),
    ]


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document), "utf-8")
    return path


def lay_out(folder: Path) -> Path:
    """Write the files that the runbook names, and return the folder."""
    write(folder / "bundle.v0.json", source())
    write(folder / "bundle.v1.json", target())
    write(folder / "bundle.v1.diverging.json", diverging_target())
    write(folder / "events.v0.json", history())
    return folder


def long_history(entities: int) -> Iterator[str]:
    """Many orders of three events as JSON Lines, all first events before the second ones, so that reading has to sort."""
    for seq, event_type, fields in ((1, "placed", {"total": 5}), (2, "noted", {"text": "n" * 40}), (3, "paid", {})):
        for number in range(entities):
            yield json.dumps(event(seq, event_type, fields, entity=f"o{number}")) + "\n"
