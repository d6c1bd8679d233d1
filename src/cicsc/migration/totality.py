"""Whether a migration fits its bundles: the versions that it leads between, and totality.

Total is one that says what becomes of everything that the source version can hold. Static checks of two
bundles and a migration; they need no data. Every fault and every hole is named. What the target shows by
itself is found without the source too, in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cicsc.bundle.place import SUGGESTION_NAMES_MAX
from cicsc.errors import Problem
from cicsc.expression import json_path, suggestion

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cicsc.bundle.model import Bundle, EntityType, Migration, Transform, TypeMigration

SUGGESTIONS_MAX: Final = 100
"""Messages of one kind that suggest a name; two bundles of the largest size may differ in a hundred thousand."""


class Misfit(NamedTuple):
    """A name that is not there: where it is used, the message, the name, and the names that are there."""

    path: str
    message: str
    name: str
    known: Collection[str]


def version_faults(source: Bundle | None, target: Bundle | None, migration: Migration) -> Iterator[str]:
    """Say where a migration does not lead forward, or is not between the versions that the bundles given name."""
    before, after = migration.from_version, migration.to_version
    if before >= after:
        yield f"expected from_version < to_version, found {before} and {after}"
    for side, bundle, version in (("source", source, before), ("target", target, after)):
        if bundle is not None and bundle.version not in {None, version}:
            yield f"the {side} bundle is version {bundle.version}, the migration expects {version}"


def holes(source: Bundle, target: Bundle, migration: Migration) -> list[Problem]:
    """Return every hole of `migration` between two bundles, each with its place in the migration."""
    return list(_suggesting(_holes(source, target, migration)))


def target_faults(target: Bundle) -> list[Problem]:
    """Return what the migrations that a bundle holds do wrong, as far as the bundle tells by itself.

    Versions, holes, and what an inverse names though it is not there. A step that led to an earlier version, kept
    beside one that leads to this, is passed over: what it led to may be gone.
    """
    found: list[Problem] = []
    reached = {migration.to_version for migration in target.migrations.values()}
    version = max(reached, default=0) if target.version is None else target.version
    for migration in target.migrations.values():
        if migration.to_version < version and version in reached:
            continue
        path = _path_of(migration)
        found.extend(Problem(path, message) for message in version_faults(None, target, migration))
        found.extend(_suggesting(_holes(None, target, migration)))
        found.extend(inverse_warnings(None, target, migration))
    return found


def _path_of(migration: Migration) -> str:
    return json_path("$.core_ir.migrations", migration.id)


def _suggesting(found: Iterable[Misfit]) -> Iterator[Problem]:
    """Yield the problems, the first of them with a close name, where there are few enough to look through."""
    for number, (path, message, name, known) in enumerate(found):
        is_sought = number < SUGGESTIONS_MAX and len(known) <= SUGGESTION_NAMES_MAX
        yield Problem(path, f"{message}{suggestion(name, known)}" if is_sought else message)


def _holes(source: Bundle | None, target: Bundle, migration: Migration) -> Iterator[Misfit]:
    """Yield the holes between two bundles; without the source those that the target shows by itself.

    Types that are not there come first, since the name of one that is misspelt has other holes as a consequence.
    """
    names = migration.types.keys() if source is None else source.types.keys() | migration.types.keys()
    for name in sorted(names):
        yield from _missing_types(name, source, target, migration)
    for name in sorted(names):
        before, after = None if source is None else source.types.get(name), target.types.get(name)
        if after is not None and (source is None or before is not None):
            changes = migration.types.get(name)
            path = _path_of(migration) if changes is None else changes.path
            yield from _event_holes(path, before, after, changes)
            yield from _state_holes(path, before, after, changes)


def _missing_types(name: str, source: Bundle | None, target: Bundle, migration: Migration) -> Iterator[Misfit]:
    changes, path = migration.types.get(name), _path_of(migration)
    if changes is not None:
        path = json_path(path, "on_type") if changes.path == path else changes.path
    for side, bundle in (("source", source), ("target", target)):
        if bundle is not None and name not in bundle.types:
            yield Misfit(path, f"entity type {name!r} does not exist in the {side} bundle", name, bundle.types)


def _event_holes(
    path: str, before: EntityType | None, after: EntityType, changes: TypeMigration | None
) -> Iterator[Misfit]:
    transforms = {} if changes is None else changes.event_transforms
    for event_type in sorted(transforms.keys() | (set() if before is None else before.reducer.keys())):
        for step, emitted in _emissions(event_type, transforms.get(event_type)):
            if emitted not in after.reducer:
                how = "is carried over" if emitted == event_type else f"becomes {emitted!r}"
                message = (
                    f"event type {event_type!r} of entity type {after.name!r} {how}, but the target's reducer does"
                    f" not handle {emitted!r}"
                )
                at = f"{_entry(path, 'event_transforms', event_type)}{step}" if event_type in transforms else path
                yield Misfit(at, message, emitted, after.reducer)


def _entry(path: str, part: str, name: str) -> str:
    return json_path(json_path(path, part), name)


def emitted_types(event_type: str, transform: Transform | None) -> tuple[str, ...]:
    """Return the event types that an event of `event_type` may become, without repeats."""
    return tuple(emitted for _, emitted in _emissions(event_type, transform))


def _emissions(event_type: str, transform: Transform | None) -> list[tuple[str, str]]:
    """Return the event types that an event may become, each with where the transform first names it."""
    if transform is None:
        return [("", event_type)]
    if transform.drop:
        return []
    if transform.fan_out is not None:
        first: dict[str, int] = {}
        for index, emission in enumerate(transform.fan_out):
            first.setdefault(emission.emit_as, index)
        return [(f".fan_out.emit_many[{index}].emit_as", emitted) for emitted, index in first.items()]
    return [("" if transform.emit_as is None else ".emit_as", transform.emits(event_type))]


def _state_holes(
    path: str, before: EntityType | None, after: EntityType, changes: TypeMigration | None
) -> Iterator[Misfit]:
    states = frozenset(after.states)
    state_map = {} if changes is None else changes.state_map
    for state in sorted({*state_map, *(() if before is None else before.states)}):
        mapped = state_map.get(state, state)
        if mapped not in states:
            how = f"is mapped to {mapped!r}, which" if state in state_map else "is not mapped and"
            message = f"state {state!r} of entity type {after.name!r} {how} is no state of the target"
            yield Misfit(_entry(path, "state_map", state) if state in state_map else path, message, mapped, states)


def warnings(source: Bundle, target: Bundle, migration: Migration) -> list[Problem]:
    """Return what a migration mentions but its bundles do not have: no hole, but perhaps a typing error."""
    return [*_suggesting(_unknown_to(source, migration)), *inverse_warnings(source, target, migration)]


def _unknown_to(source: Bundle, migration: Migration) -> Iterator[Misfit]:
    for name, changes in sorted(migration.types.items()):
        before = source.types.get(name)
        if before is None:
            continue
        for event_type in sorted(changes.event_transforms.keys() - before.reducer.keys()):
            path, what = _entry(changes.path, "event_transforms", event_type), f"event type {event_type!r}"
            message = f"{what} has a transform, but no reducer in entity type {name!r} of the source"
            yield Misfit(path, message, event_type, before.reducer)
        for state in sorted(changes.state_map.keys() - set(before.states)):
            message = f"state {state!r} is mapped, but is no state of entity type {name!r} of the source"
            yield Misfit(_entry(changes.path, "state_map", state), message, state, before.states)


def inverse_warnings(source: Bundle | None, target: Bundle, migration: Migration) -> Iterator[Problem]:
    """Name what a declared inverse mentions but the bundles, the first of which may be unknown, do not have."""
    return _suggesting(_misnamed(source, target, migration))


def _misnamed(source: Bundle | None, target: Bundle, migration: Migration) -> Iterator[Misfit]:
    for name, changes in sorted((migration.inverse or {}).items()):
        if name not in migration.types:
            message = f"entity type {name!r} has an inverse, but the migration does not change it"
            yield Misfit(changes.path, message, name, migration.types)
            continue
        before, after = None if source is None else source.types.get(name), target.types.get(name)
        for event_type, transform in sorted(changes.event_transforms.items()):
            path, what = _entry(changes.path, "event_transforms", event_type), f"event type {event_type!r}"
            if after is not None and event_type not in after.reducer:
                message = f"{what} has a transform in the inverse, but no reducer in entity type {name!r} of the target"
                yield Misfit(path, message, event_type, after.reducer)
            for step, emitted in _emissions(event_type, transform):
                if before is not None and emitted not in before.reducer:
                    message = (
                        f"{what} becomes {emitted!r} in the inverse, which has no reducer in entity type {name!r} of"
                        " the source"
                    )
                    yield Misfit(f"{path}{step}", message, emitted, before.reducer)
