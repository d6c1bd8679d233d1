"""Totality: a migration says what becomes of everything that the source version can hold.

A static check of two bundles and a migration; it needs no data. Every hole is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.errors import Problem
from cicsc.expression import json_path, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cicsc.bundle.model import Bundle, EntityType, Migration, Transform, TypeMigration


def holes(source: Bundle, target: Bundle, migration: Migration) -> list[Problem]:
    """Return every hole of `migration` between two bundles, each with the path of the migration."""
    path = json_path("$.core_ir.migrations", migration.id)
    messages: list[str] = []
    for name in sorted(source.types.keys() | migration.types.keys()):
        messages.extend(_type_holes(name, source, target, migration.types.get(name)))
    return [Problem(path, message) for message in messages]


def _type_holes(name: str, source: Bundle, target: Bundle, migration: TypeMigration | None) -> Iterator[str]:
    before, after = source.types.get(name), target.types.get(name)
    if before is None:
        yield f"entity type {name!r} does not exist in the source bundle{suggestion(name, source.types)}"
    if after is None:
        yield f"entity type {name!r} does not exist in the target bundle{suggestion(name, target.types)}"
    if before is not None and after is not None:
        yield from _event_holes(before, after, migration)
        yield from _state_holes(before, after, migration)


def _event_holes(before: EntityType, after: EntityType, migration: TypeMigration | None) -> Iterator[str]:
    transforms = {} if migration is None else migration.event_transforms
    for event_type in sorted(before.reducer.keys() | transforms.keys()):
        for emitted in emitted_types(event_type, transforms.get(event_type)):
            if emitted not in after.reducer:
                how = "is carried over" if emitted == event_type else f"becomes {emitted!r}"
                yield (
                    f"event type {event_type!r} of entity type {before.name!r} {how}, but the target's reducer does"
                    f" not handle {emitted!r}{suggestion(emitted, after.reducer)}"
                )


def emitted_types(event_type: str, transform: Transform | None) -> tuple[str, ...]:
    """Return the event types that an event of `event_type` may become, without repeats."""
    if transform is None:
        return (event_type,)
    if transform.drop:
        return ()
    if transform.fan_out is not None:
        return tuple(dict.fromkeys(emission.emit_as for emission in transform.fan_out))
    return (transform.emits(event_type),)


def _state_holes(before: EntityType, after: EntityType, migration: TypeMigration | None) -> Iterator[str]:
    state_map = {} if migration is None else migration.state_map
    for state in sorted({*before.states, *state_map}):
        mapped = state_map.get(state, state)
        if mapped not in after.states:
            how = f"is mapped to {mapped!r}, which" if state in state_map else "is not mapped and"
            yield (
                f"state {state!r} of entity type {before.name!r} {how} is no state of the target"
                f"{suggestion(mapped, after.states)}"
            )


def warnings(source: Bundle, target: Bundle, migration: Migration) -> list[Problem]:
    """Return what a migration mentions but its bundles do not have: no hole, but perhaps a typing error."""
    path = json_path("$.core_ir.migrations", migration.id)
    messages: list[str] = []
    for name, changes in sorted(migration.types.items()):
        before = source.types.get(name)
        if before is not None:
            messages.extend(
                f"event type {event_type!r} has a transform, but no reducer in entity type {name!r} of the source"
                f"{suggestion(event_type, before.reducer)}"
                for event_type in sorted(changes.event_transforms.keys() - before.reducer.keys())
            )
            messages.extend(
                f"state {state!r} is mapped, but is no state of entity type {name!r} of the source"
                f"{suggestion(state, before.states)}"
                for state in sorted(changes.state_map.keys() - set(before.states))
            )
    messages.extend(inverse_warnings(source, target, migration))
    return [Problem(path, message) for message in messages]


def inverse_warnings(source: Bundle | None, target: Bundle, migration: Migration) -> Iterator[str]:
    """Name what a declared inverse mentions but the bundles, the first of which may be unknown, do not have."""
    for name, changes in sorted((migration.inverse or {}).items()):
        if name not in migration.types:
            near = suggestion(name, migration.types)
            yield f"entity type {name!r} has an inverse, but the migration does not change it{near}"
            continue
        before, after = None if source is None else source.types.get(name), target.types.get(name)
        for event_type, transform in sorted(changes.event_transforms.items()):
            if after is not None and event_type not in after.reducer:
                yield (
                    f"event type {event_type!r} has a transform in the inverse, but no reducer in entity type {name!r}"
                    f" of the target{suggestion(event_type, after.reducer)}"
                )
            for emitted in emitted_types(event_type, transform):
                if before is not None and emitted not in before.reducer:
                    yield (
                        f"event type {event_type!r} becomes {emitted!r} in the inverse, which has no reducer in entity"
                        f" type {name!r} of the source{suggestion(emitted, before.reducer)}"
                    )
