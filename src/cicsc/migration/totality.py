"""Whether a migration fits its bundles: the versions that it leads between, and totality.

Total is one that says what becomes of everything that the source version can hold. Static checks of two
bundles and a migration; they need no data. Every fault and every hole is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from cicsc.bundle.place import SUGGESTION_NAMES_MAX
from cicsc.errors import Problem
from cicsc.expression import json_path, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cicsc.bundle.model import Bundle, EntityType, Migration, Transform, TypeMigration

    Misfit: TypeAlias = tuple[str, str, Collection[str]]
    """A message, the name in it that is not there, and the names that are."""

SUGGESTIONS_MAX: Final = 100
"""Messages of one kind that suggest a name; two bundles of the largest size may differ in a hundred thousand."""


def version_faults(source: Bundle | None, target: Bundle | None, migration: Migration) -> Iterator[str]:
    """Say where a migration does not lead forward, or is not between the versions that the bundles given name."""
    before, after = migration.from_version, migration.to_version
    if before >= after:
        yield f"expected from_version < to_version, found {before} and {after}"
    for side, bundle, version in (("source", source, before), ("target", target, after)):
        if bundle is not None and bundle.version not in {None, version}:
            yield f"the {side} bundle is version {bundle.version}, the migration expects {version}"


def holes(source: Bundle, target: Bundle, migration: Migration) -> list[Problem]:
    """Return every hole of `migration` between two bundles, each with the path of the migration."""
    path = json_path("$.core_ir.migrations", migration.id)
    found: list[Misfit] = []
    for name in sorted(source.types.keys() | migration.types.keys()):
        found.extend(_type_holes(name, source, target, migration.types.get(name)))
    return [Problem(path, message) for message in _suggesting(found)]


def _suggesting(found: Iterable[Misfit]) -> Iterator[str]:
    """Yield the messages, the first of them with a close name, where there are few enough to look through."""
    for number, (message, name, known) in enumerate(found):
        is_sought = number < SUGGESTIONS_MAX and len(known) <= SUGGESTION_NAMES_MAX
        yield f"{message}{suggestion(name, known)}" if is_sought else message


def _type_holes(name: str, source: Bundle, target: Bundle, migration: TypeMigration | None) -> Iterator[Misfit]:
    before, after = source.types.get(name), target.types.get(name)
    if before is None:
        yield f"entity type {name!r} does not exist in the source bundle", name, source.types
    if after is None:
        yield f"entity type {name!r} does not exist in the target bundle", name, target.types
    if before is not None and after is not None:
        yield from _event_holes(before, after, migration)
        yield from _state_holes(before, after, migration)


def _event_holes(before: EntityType, after: EntityType, migration: TypeMigration | None) -> Iterator[Misfit]:
    transforms = {} if migration is None else migration.event_transforms
    for event_type in sorted(before.reducer.keys() | transforms.keys()):
        for emitted in emitted_types(event_type, transforms.get(event_type)):
            if emitted not in after.reducer:
                how = "is carried over" if emitted == event_type else f"becomes {emitted!r}"
                message = (
                    f"event type {event_type!r} of entity type {before.name!r} {how}, but the target's reducer does"
                    f" not handle {emitted!r}"
                )
                yield message, emitted, after.reducer


def emitted_types(event_type: str, transform: Transform | None) -> tuple[str, ...]:
    """Return the event types that an event of `event_type` may become, without repeats."""
    if transform is None:
        return (event_type,)
    if transform.drop:
        return ()
    if transform.fan_out is not None:
        return tuple(dict.fromkeys(emission.emit_as for emission in transform.fan_out))
    return (transform.emits(event_type),)


def _state_holes(before: EntityType, after: EntityType, migration: TypeMigration | None) -> Iterator[Misfit]:
    states = frozenset(after.states)
    state_map = {} if migration is None else migration.state_map
    for state in sorted({*before.states, *state_map}):
        mapped = state_map.get(state, state)
        if mapped not in states:
            how = f"is mapped to {mapped!r}, which" if state in state_map else "is not mapped and"
            yield f"state {state!r} of entity type {before.name!r} {how} is no state of the target", mapped, states


def warnings(source: Bundle, target: Bundle, migration: Migration) -> list[Problem]:
    """Return what a migration mentions but its bundles do not have: no hole, but perhaps a typing error."""
    path = json_path("$.core_ir.migrations", migration.id)
    messages = [*_suggesting(_unknown_to(source, migration)), *inverse_warnings(source, target, migration)]
    return [Problem(path, message) for message in messages]


def _unknown_to(source: Bundle, migration: Migration) -> Iterator[Misfit]:
    for name, changes in sorted(migration.types.items()):
        before = source.types.get(name)
        if before is None:
            continue
        for event_type in sorted(changes.event_transforms.keys() - before.reducer.keys()):
            what = f"event type {event_type!r} has a transform"
            yield f"{what}, but no reducer in entity type {name!r} of the source", event_type, before.reducer
        for state in sorted(changes.state_map.keys() - set(before.states)):
            yield (
                f"state {state!r} is mapped, but is no state of entity type {name!r} of the source",
                state,
                before.states,
            )


def inverse_warnings(source: Bundle | None, target: Bundle, migration: Migration) -> Iterator[str]:
    """Name what a declared inverse mentions but the bundles, the first of which may be unknown, do not have."""
    return _suggesting(_misnamed(source, target, migration))


def _misnamed(source: Bundle | None, target: Bundle, migration: Migration) -> Iterator[Misfit]:
    for name, changes in sorted((migration.inverse or {}).items()):
        if name not in migration.types:
            message = f"entity type {name!r} has an inverse, but the migration does not change it"
            yield message, name, migration.types
            continue
        before, after = None if source is None else source.types.get(name), target.types.get(name)
        for event_type, transform in sorted(changes.event_transforms.items()):
            if after is not None and event_type not in after.reducer:
                what = f"event type {event_type!r} has a transform in the inverse"
                yield f"{what}, but no reducer in entity type {name!r} of the target", event_type, after.reducer
            for emitted in emitted_types(event_type, transform):
                if before is not None and emitted not in before.reducer:
                    message = (
                        f"event type {event_type!r} becomes {emitted!r} in the inverse, which has no reducer in entity"
                        f" type {name!r} of the source"
                    )
                    yield message, emitted, before.reducer
