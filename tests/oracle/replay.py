"""Replay: the fold of a stream into snapshots, and the constraints over the snapshots of each tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from oracle import query
from oracle.digest import Event, Key, streams
from oracle.expression import Environment, interpret
from oracle.values import truth

Document = Mapping[str, Any]
JsonObject = dict[str, object]


@dataclass
class Snapshot:
    """What one stream has become: its state, attributes and shadows."""

    state: str
    attrs: JsonObject = field(default_factory=dict)
    shadows: JsonObject = field(default_factory=dict)
    updated_ts: int | None = None


@dataclass(frozen=True)
class Unhandled:
    """An event that the bundle cannot replay."""

    key: Key
    seq: int
    event_type: str


@dataclass(frozen=True)
class Violation:
    """A constraint that does not hold: for one entity, or with the number of rows of its query."""

    constraint_id: str
    kind: str
    tenant_id: str
    entity_id: str | None = None
    rows_count: int | None = None


def types_of(bundle: Document) -> dict[str, dict[str, Any]]:
    """The entity types of a bundle's document."""
    types: dict[str, dict[str, Any]] = bundle["core_ir"]["types"]
    return types


def steps(bundle: Document, key: Key, events: Iterable[Event]) -> tuple[list[Snapshot], list[Unhandled]]:
    """The snapshots of a stream before any event and after each, and the events that no reducer handles."""
    declared = types_of(bundle).get(key[1])
    if declared is None:
        return [], [Unhandled(key, e["seq"], e["event_type"]) for e in events]
    snapshots = [Snapshot(str(declared["initial_state"]))]
    unhandled = []
    for event in events:
        operations = declared["reducer"].get(event["event_type"])
        if operations is None:
            unhandled.append(Unhandled(key, event["seq"], event["event_type"]))
            snapshots.append(snapshots[-1])
        else:
            snapshots.append(reduce(snapshots[-1], event, operations))
    return snapshots, unhandled


def reduce(before: Snapshot, event: Event, operations: list[dict[str, dict[str, Any]]]) -> Snapshot:
    """The snapshot after one event: every operation sees the state and attributes from before it."""
    env = {**event_environment(event), "state": before.state, "attrs": before.attrs}
    after = Snapshot(before.state, dict(before.attrs), dict(before.shadows), event["ts"])
    for operation in operations:
        [(kind, body)] = operation.items()
        if kind == "clear_attr":
            after.attrs.pop(str(body["name"]), None)
            continue
        value = interpret(body["expr"], env)
        if kind == "set_attr":
            after.attrs[str(body["name"])] = value
        elif kind == "set_shadow":
            after.shadows[str(body["name"])] = value
        elif kind == "set_state" and isinstance(value, str):
            after.state = value
    return after


def event_environment(event: Event) -> JsonObject:
    """What an expression may read of an event."""
    return {
        "now": event["ts"],
        "actor": event["actor_id"],
        "e_type": event["event_type"],
        "e_actor": event["actor_id"],
        "e_time": event["ts"],
        "e_payload": event["payload"],
        "payload": event["payload"],
    }


def replay(bundle: Document, events: Iterable[Event]) -> tuple[dict[Key, Snapshot], list[Unhandled]]:
    """The last snapshot of every stream whose type the bundle knows, and every event not handled."""
    last: dict[Key, Snapshot] = {}
    unhandled: list[Unhandled] = []
    for key, members in streams(events).items():
        snapshots, found = steps(bundle, key, members)
        unhandled += found
        if snapshots:
            last[key] = snapshots[-1]
    return last, unhandled


def row_of(key: Key, snapshot: Snapshot, declared: Mapping[str, Any]) -> JsonObject:
    """A snapshot as a row; its own fields stand before attributes and shadows of the same name.

    Every declared attribute and shadow is a column, null where it is not set: which side of a join
    a bare name means must not depend on the data.
    """
    return {
        **dict.fromkeys(declared.get("attrs", {})),
        **dict.fromkeys(declared.get("shadows", {})),
        **snapshot.attrs,
        **snapshot.shadows,
        "entity_type": key[1],
        "entity_id": key[2],
        "state": snapshot.state,
        "updated_ts": snapshot.updated_ts,
        "attrs_json": snapshot.attrs,
    }


def violations(
    bundle: Document, events: Iterable[Event], now: int | None, actor: str | None, tenants: Iterable[str]
) -> tuple[list[Violation], dict[Key, Snapshot]]:
    """Every violation of the bundle's constraints, tenant by tenant, and the snapshots they were found in.

    A tenant of which nothing is left after a migration still has its queries asked.
    """
    snapshots, _ = replay(bundle, events)
    found: list[Violation] = []
    for tenant in sorted(tenants):
        own = {key: snapshot for key, snapshot in snapshots.items() if key[0] == tenant}
        for name, constraint in bundle["core_ir"].get("constraints", {}).items():
            found += constraint_violations(
                name, constraint, tenant, own, types_of(bundle), {"now": now, "actor": actor}
            )
    return found, snapshots


def constraint_violations(
    name: str,
    constraint: Mapping[str, Any],
    tenant: str,
    snapshots: Mapping[Key, Snapshot],
    types: Document,
    base: Environment,
) -> list[Violation]:
    """The violations of one constraint among one tenant's snapshots."""
    if constraint["kind"] == "snapshot":
        return [
            Violation(name, "snapshot", tenant, entity_id=key[2])
            for key, snapshot in sorted(snapshots.items(), key=lambda item: item[0])
            if key[1] == constraint["on_type"]
            and not truth(interpret(constraint["expr"], snapshot_environment(key, snapshot, types[key[1]], base)))
        ]
    rows = query.run(constraint["query"], held_rows(snapshots, types), base)
    if truth(interpret(constraint["assert"], {**base, "rows_count": len(rows)})):
        return []
    return [Violation(name, "bool_query", tenant, rows_count=len(rows))]


def held_rows(snapshots: Mapping[Key, Snapshot], types: Document) -> dict[str, list[query.Held]]:
    """One tenant's rows by entity type, in the order of the entity ids."""
    rows: dict[str, list[query.Held]] = {}
    for key, snapshot in sorted(snapshots.items(), key=lambda item: item[0]):
        held = query.Held(row_of(key, snapshot, types[key[1]]), snapshot.state, {**snapshot.attrs, **snapshot.shadows})
        rows.setdefault(key[1], []).append(held)
    return rows


def snapshot_environment(key: Key, snapshot: Snapshot, declared: Mapping[str, Any], base: Environment) -> JsonObject:
    """What a constraint on one snapshot may read."""
    return {
        **base,
        "state": snapshot.state,
        "attrs": {**snapshot.attrs, **snapshot.shadows},
        "row": row_of(key, snapshot, declared),
    }
