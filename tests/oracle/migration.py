"""Migrations: the transformed history, the relation of two snapshots, totality, and the way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from oracle.digest import Event, Key, history_digest, streams
from oracle.expression import Environment, interpret
from oracle.replay import Document, Snapshot, event_environment, snapshot_environment, steps, types_of
from oracle.values import PAYLOAD_VALUE_DEPTH_MAX, equal, levels, truth

Position = tuple[str, str, str, int, int | None]
Body = Mapping[str, Any]


@dataclass(frozen=True)
class Divergence:
    """The first difference found after one event: which field, and what each side holds."""

    key: Key
    seq: int
    field: str
    expected: object
    found: object


def migration_of(bundle: Document, migration_id: str) -> Body:
    """A migration's document in its target bundle."""
    migration: Body = bundle["core_ir"]["migrations"][migration_id]
    return migration


def type_bodies(migration: Body) -> dict[str, Body]:
    """What the migration says per entity type, whether written with `types` or with `on_type`."""
    if "types" in migration:
        return dict(migration["types"])
    return {str(migration["on_type"]): migration}


def emissions(body: Body | None, event: Event) -> list[tuple[str, object]]:
    """The types and payloads of the events that one event becomes, in order."""
    source = str(event["event_type"])
    transforms = (body or {}).get("event_transforms", {})
    transform = transforms.get(source)
    if transform is None:
        return [(source, event["payload"])]
    if transform.get("drop"):
        return []
    env = {**event_environment(event), "state": ""}
    if "fan_out" not in transform:
        return [(transform.get("emit_as", source), mapped_payload(transform, event, env))]
    return [
        (emission["emit_as"], mapped_payload(emission, event, env))
        for emission in transform["fan_out"]["emit_many"]
        if "condition" not in emission or truth(interpret(emission["condition"], env))
    ]


def mapped_payload(transform: Body, event: Event, env: Mapping[str, Any]) -> object:
    """Exactly the keys of a payload map that has any, else the payload as it is."""
    mapping = transform.get("payload_map")
    if not mapping:
        return event["payload"]
    values = {key: interpret(node, env) for key, node in mapping.items()}
    return {key: None if levels(value) > PAYLOAD_VALUE_DEPTH_MAX else value for key, value in values.items()}


def transform_stream(body: Body | None, events: Iterable[Event]) -> tuple[list[Event], list[tuple[int, list[int]]]]:
    """A stream's migrated events, renumbered, and for each old seq the new ones it became."""
    migrated: list[Event] = []
    positions = []
    for event in events:
        news = []
        for event_type, payload in emissions(body, event):
            seq = len(migrated) + 1
            migrated.append({**event, "event_type": event_type, "payload": payload, "seq": seq})
            news.append(seq)
        positions.append((int(event["seq"]), news))
    return migrated, positions


def transform(migration: Body, events: Iterable[Event]) -> tuple[list[Event], list[Position]]:
    """The migrated history by stream and seq, and the position map: one row per new event, or one with null."""
    bodies = type_bodies(migration)
    history: list[Event] = []
    rows: list[Position] = []
    for key, members in streams(events).items():
        migrated, positions = transform_stream(bodies.get(key[1]), members)
        history += migrated
        for old, news in positions:
            rows += [(*key, old, new) for new in news] or [(*key, old, None)]
    return history, rows


def related(
    key: Key, source_type: Body, target_type: Body, body: Body | None, snapshot: Snapshot, base: Environment
) -> dict[str, object]:
    """What the target must hold, by field: state, then `attrs.X` and `shadows.X`; unconstrained ones are left out."""
    body = body or {}
    state_map, attrs_map = body.get("state_map", {}), body.get("attrs_map", {})
    env = snapshot_environment(key, snapshot, source_type, base)
    expected: dict[str, object] = {"state": state_map.get(snapshot.state, snapshot.state)}
    for part, held in (("attrs", snapshot.attrs), ("shadows", snapshot.shadows)):
        declared = source_type.get(part, {})
        for name in target_type.get(part, {}):
            # Where an attribute and a shadow share a name, the map means the attribute.
            if name in attrs_map and (part == "attrs" or name not in target_type.get("attrs", {})):
                expected[f"{part}.{name}"] = interpret(attrs_map[name], env)
            elif name in declared:
                expected[f"{part}.{name}"] = held.get(name)
    return expected


def held_field(snapshot: Snapshot, name: str) -> object:
    """The value of a field as `related` names it; absent is null."""
    if name == "state":
        return snapshot.state
    part, _, attribute = name.partition(".")
    held = snapshot.attrs if part == "attrs" else snapshot.shadows
    return held.get(attribute)


def unconstrained(source_type: Body, target_type: Body, body: Body | None) -> set[str]:
    """The attributes and shadows that only one side declares and that nothing maps, neither to nor from."""
    attrs_map = (body or {}).get("attrs_map", {})
    read = {name for node in attrs_map.values() for name in fields_read(node)}
    names = set()
    for part in ("attrs", "shadows"):
        source, target = set(source_type.get(part, {})), set(target_type.get(part, {}))
        names |= {f"{part}.{name}" for name in source - target if name not in read}
        names |= {f"{part}.{name}" for name in target - source if name not in attrs_map}
    return names


def fields_read(node: Any) -> set[str]:
    """The attributes and row fields that an expression reads."""
    if isinstance(node, list):
        return {name for item in node for name in fields_read(item)}
    if not isinstance(node, dict) or "lit" in node:
        return set()
    if set(node) == {"var"}:
        return {body["field"] for name, body in node["var"].items() if name in {"attrs", "row"}}
    return {name for item in node.values() for name in fields_read(item)}


def divergences(
    source: Document,
    target: Document,
    migration: Body,
    events: Iterable[Event],
    every_event: bool = False,
    base: Environment = MappingProxyType({}),
) -> list[Divergence]:
    """Where the replay of the migrated history is not what the relation asks, at every compared place.

    `base` holds now and actor, as constraints see them.
    """
    found: list[Divergence] = []
    bodies = type_bodies(migration)
    for key, members in streams(events).items():
        source_type, target_type = types_of(source).get(key[1]), types_of(target).get(key[1])
        if source_type is None or target_type is None:
            continue
        body = bodies.get(key[1])
        migrated, positions = transform_stream(body, members)
        old, _ = steps(source, key, members)
        new, _ = steps(target, key, migrated)
        reached = 0
        for index, (seq, news) in enumerate(positions):
            reached += len(news)
            if not every_event and index < len(positions) - 1:
                continue
            expected = related(key, source_type, target_type, body, old[index + 1], base)
            found += differences(key, seq, expected, new[reached])
    return found


def differences(key: Key, seq: int, expected: Mapping[str, Any], snapshot: Snapshot) -> list[Divergence]:
    """The fields of one snapshot that are not as expected."""
    return [
        Divergence(key, seq, name, value, held_field(snapshot, name))
        for name, value in expected.items()
        if not equal(value, held_field(snapshot, name))
    ]


def holes(source: Document, target: Document, migration: Body) -> set[tuple[str, str, str]]:
    """What keeps a migration from being total, as (kind, type, name)."""
    found = set()
    bodies = type_bodies(migration)
    for type_name in {*types_of(source), *bodies}:
        body = bodies.get(type_name, {})
        before, after = types_of(source).get(type_name), types_of(target).get(type_name)
        found |= {("type", type_name, side) for side, known in (("source", before), ("target", after)) if known is None}
        if before is None or after is None:
            continue
        found |= {("event", type_name, event) for event in unhandled_events(before, after, body)}
        found |= {("state", type_name, state) for state in unmapped_states(before, after, body)}
    return found


def possible_emissions(transform: Mapping[str, Any] | None, source: str) -> list[str]:
    """Every event type that a source event type may become."""
    if transform is None:
        return [source]
    if transform.get("drop"):
        return []
    if "fan_out" in transform:
        return [emission["emit_as"] for emission in transform["fan_out"]["emit_many"]]
    return [str(transform.get("emit_as", source))]


def unhandled_events(before: Body, after: Body, body: Body) -> set[str]:
    """The target event types that may be emitted and that the target's reducer does not handle."""
    transforms = body.get("event_transforms", {})
    sources = set(before["reducer"]) | set(transforms)
    emitted = {name for source in sources for name in possible_emissions(transforms.get(source), source)}
    return emitted - set(after["reducer"])


def unmapped_states(before: Body, after: Body, body: Body) -> set[str]:
    """The states that the relation may ask for and that the target does not declare."""
    state_map = body.get("state_map", {})
    reached = {state_map.get(state, state) for state in before["states"]} | set(state_map.values())
    return reached - set(after["states"])


def obstacles(source: Document | None, migration: Body) -> set[str]:
    """Why a migration has no structural inverse; the source bundle says which types keep their name."""
    reasons: set[str] = set()
    for type_name, body in type_bodies(migration).items():
        declared = types_of(source).get(type_name, {}) if source is not None else {}
        reasons |= event_obstacles(set(declared.get("reducer", {})), body)
        state_map = body.get("state_map", {})
        states = set(declared.get("states", ())) | set(state_map)
        targets = [state_map.get(state, state) for state in states]
        reasons |= {f"non-injective state map to '{name}'" for name in targets if targets.count(name) > 1}
    return reasons


def event_obstacles(sources: set[str], body: Body) -> set[str]:
    """Why the events of one type cannot be mapped back."""
    transforms = body.get("event_transforms", {})
    reasons: set[str] = set()
    targets: list[str] = []
    for name in sources | set(transforms):
        transform = transforms.get(name, {})
        if transform.get("drop"):
            reasons.add(f"dropped event '{name}'")
            continue
        if "fan_out" in transform:
            reasons.add(f"fan_out on '{name}'")
            continue
        if transform.get("payload_map"):
            reasons.add(f"payload_map on '{name}'")
        targets.append(transform.get("emit_as", name))
    return reasons | {f"non-injective event mapping to '{name}'" for name in targets if targets.count(name) > 1}


def inverse(migration: Body) -> dict[str, dict[str, str]]:
    """For each type, target event type to source event type; only where there is no obstacle."""
    assert not obstacles(None, migration)
    return {
        type_name: {
            transform.get("emit_as", name): name for name, transform in body.get("event_transforms", {}).items()
        }
        for type_name, body in type_bodies(migration).items()
    }


def rolled_back(migration: Body, events: Iterable[Event]) -> list[Event]:
    """The history from before the migration; the round trip must restore the digest."""
    back = inverse(migration)
    events = list(events)
    history: list[Event] = [
        {
            **event,
            "event_type": back.get(str(event["entity_type"]), {}).get(str(event["event_type"]), event["event_type"]),
        }
        for event in events
    ]
    assert history_digest(transform(migration, history)[0]) == history_digest(events)
    return history
