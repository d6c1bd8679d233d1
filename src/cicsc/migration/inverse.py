"""The way back: whether a migration has an inverse, and the inverse itself.

A structural inverse exists on the reversible subset (docs/semantics.md, Rollback): nothing dropped, no
payload mapped, event types and states mapped one to one, counting those that keep their name. Where
the author declares an inverse, payload maps may be undone by it. Every obstacle is named, all of
them at once; the round trip over the real history has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from cicsc.bundle.model import Migration, Transform, TypeMigration
from cicsc.migration.totality import emitted_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cicsc.bundle.model import Bundle

Method = Literal["structural", "declared"]

_MAPPED: Final = "payload_map on"
"""How the one kind of obstacle begins that an `inverse` of the migration takes away."""


class Reversibility(Struct, frozen=True):
    """Whether a migration can be undone, by which method, and every obstacle where it cannot."""

    method: Method
    reasons: tuple[str, ...]

    @property
    def reversible(self) -> bool:
        """Tell whether there is no obstacle in the migration itself."""
        return not self.reasons

    @property
    def declarable(self) -> bool:
        """Tell whether a declared `inverse` could undo all that stands in the way."""
        return all(reason.startswith(_MAPPED) for reason in self.reasons)


def reversibility(migration: Migration, source: Bundle | None) -> Reversibility:
    """Name every obstacle to undoing `migration`.

    `source` tells which event types and states keep their name; without it, unlisted ones are taken
    to keep theirs, and only the target side of the map is known.
    """
    method: Method = "structural" if migration.inverse is None else "declared"
    reasons = [reason for name in sorted(migration.types) for reason in _obstacles(migration, name, source)]
    return Reversibility(method, tuple(dict.fromkeys(reasons)))


def _obstacles(migration: Migration, name: str, source: Bundle | None) -> Iterator[str]:
    changes = migration.types[name]
    declared = {} if migration.inverse is None else migration.inverse
    undone = declared[name].event_transforms if name in declared else {}
    for event_type, transform in sorted(changes.event_transforms.items()):
        if transform.drop:
            yield f"dropped event {event_type!r}"
        elif transform.fan_out is not None:
            yield f"fan_out on {event_type!r}"
        elif transform.payload_map and transform.emits(event_type) not in undone:
            yield f"{_MAPPED} {event_type!r}"
    before = None if source is None else source.types.get(name)
    event_types = set() if before is None else set(before.reducer)
    yield from _shared_events(changes, event_types)
    yield from _shared_states(changes, set() if before is None else set(before.states))


def _shared_events(changes: TypeMigration, known: set[str]) -> Iterator[str]:
    """Name each event type that two source types become, counting those that keep their name."""
    sources: dict[str, set[str]] = {}
    for event_type in known | changes.event_transforms.keys():
        transform = changes.event_transforms.get(event_type)
        if transform is None or transform.fan_out is None:
            for emitted in emitted_types(event_type, transform):
                sources.setdefault(emitted, set()).add(event_type)
    for emitted in sorted(sources):
        if len(sources[emitted]) > 1:
            yield f"non-injective event mapping to {emitted!r}"


def _shared_states(changes: TypeMigration, known: set[str]) -> Iterator[str]:
    """Name each state that two source states become, counting those that keep their name."""
    sources: dict[str, set[str]] = {}
    for state in known | changes.state_map.keys():
        sources.setdefault(changes.state_map.get(state, state), set()).add(state)
    for mapped in sorted(sources):
        if len(sources[mapped]) > 1:
            yield f"non-injective state map to {mapped!r}"


def inverse_of(migration: Migration) -> Migration:
    """Return the migration that leads back; only for one without obstacles.

    Event types that only the target knows would keep their name: ask `has_way_back` of each event.
    """
    types = {name: _inverse_of_type(migration, name) for name in migration.types}
    return Migration(f"inverse of {migration.id}", migration.to_version, migration.from_version, types, None)


def _inverse_of_type(migration: Migration, name: str) -> TypeMigration:
    changes = migration.types[name]
    transforms = {
        transform.emits(event_type): Transform(event_type, None, drop=False, fan_out=None)
        for event_type, transform in changes.event_transforms.items()
    }
    if migration.inverse is not None and name in migration.inverse:
        transforms |= migration.inverse[name].event_transforms
    return TypeMigration(transforms, {new: old for old, new in changes.state_map.items()}, {})


def has_way_back(migration: Migration, source: Bundle | None, entity_type: str, event_type: str) -> bool:
    """Tell whether an event type found in a target history stems from a type of the source.

    Without a source bundle, event types that the migration does not list are taken to keep their name.
    """
    changes = migration.types.get(entity_type)
    transforms: Mapping[str, Transform] = {} if changes is None else changes.event_transforms
    if any(event_type in emitted_types(name, transform) for name, transform in transforms.items()):
        return True
    if event_type in transforms:
        return False
    if source is None:
        return True
    return entity_type in source.types and event_type in source.types[entity_type].reducer
