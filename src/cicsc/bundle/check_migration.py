"""Reading a migration (docs/formats.md, Migrations).

A key that is ignored here would change a history, so transforms are closed, and a key of a migration
that looks like a misspelling is a problem. Whether a migration fits its bundles is decided in the migration
layer, since a bundle is valid without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from cicsc.bundle.model import Emission, Migration, Transform, TypeMigration
from cicsc.bundle.place import Names, Place
from cicsc.bundle.variables import OVER_EVENT, OVER_SNAPSHOT, Scope

if TYPE_CHECKING:
    from cicsc.expression import Node

Targets: TypeAlias = Mapping[str, Names]
"""The attributes and shadows of each entity type of the bundle, which is the target of its migrations."""

_BODY_KEYS: Final = ("event_transforms", "state_map", "attrs_map")
_MIGRATION_KEYS: Final = ("from_version", "to_version", "on_type", "types", "inverse", *_BODY_KEYS)
_TRANSFORM_KEYS: Final = ("emit_as", "payload_map", "drop", "fan_out")
_SCOPE: Final = Scope(held=OVER_EVENT)
"""What a payload map or a condition may read."""

_EMISSION_KEYS: Final = ("emit_as", "payload_map", "condition")


def read_migration(migration_id: str, place: Place, targets: Targets) -> Migration:
    """Read a migration in either form, that of one `on_type` or that of several `types`."""
    body = place.record("a migration, an object")
    body.misspelled(_MIGRATION_KEYS)
    on_type = body.find("on_type")
    name = None if on_type is None else on_type.text()
    inverse = body.find("inverse")
    return Migration(
        id=migration_id,
        from_version=body.required("from_version").integer(),
        to_version=body.required("to_version").integer(),
        types=_read_forms(body, name, targets),
        inverse=None if inverse is None else _read_inverse(inverse, name),
    )


def _read_forms(body: Place, on_type: str | None, targets: Targets) -> dict[str, TypeMigration]:
    types = body.find("types")
    if on_type is not None and types is not None:
        body.report("expected either 'on_type' or 'types', found both")
    elif on_type is not None:
        return {on_type: _read_type_migration(body, targets.get(on_type))}
    elif types is not None:
        return _read_types(body, types, targets)
    elif isinstance(body.value, dict):
        body.report("expected 'on_type' or 'types', found neither")
    return {}


def _read_types(body: Place, types: Place, targets: Targets) -> dict[str, TypeMigration]:
    for key in _BODY_KEYS:
        beside = body.find(key)
        if beside is not None:
            beside.report(f"expected {key!r} inside 'types', below the entity type it is for")
    migrations = {}
    for name, at in types.entries("an object of entity types"):
        type_body = at.record("the migration of an entity type, an object")
        type_body.misspelled(_BODY_KEYS)
        migrations[name] = _read_type_migration(type_body, targets.get(name))
    return migrations


def _read_inverse(place: Place, on_type: str | None) -> dict[str, TypeMigration]:
    """Read a declared inverse; what it maps to is declared in a bundle that is not at hand."""
    body = place.record("an inverse, an object")
    body.misspelled(("types", *_BODY_KEYS))
    types = body.find("types")
    if types is not None:
        return _read_types(body, types, {})
    if on_type is not None:
        return {on_type: _read_type_migration(body, None)}
    body.required("types")
    return {}


def _read_type_migration(body: Place, targets: Names) -> TypeMigration:
    transforms = body.required("event_transforms").entries("an object of transforms")
    states = body.optional("state_map", {}).entries("an object of states")
    return TypeMigration(
        event_transforms={event_type: _read_transform(at) for event_type, at in transforms},
        state_map={state: at.text() for state, at in states},
        attrs_map=_read_attrs_map(body.optional("attrs_map", {}), targets),
        path=body.path,
    )


def _read_attrs_map(place: Place, targets: Names) -> dict[str, Node]:
    for name, at in place.entries("an object of expressions") if place.names() else ():
        Place(name, at.path, at.problems).known(targets, "the target type has no attribute or shadow {}")
    return Scope(held=OVER_SNAPSHOT).expressions(place)


def _read_transform(place: Place) -> Transform:
    body = place.record("a transform, an object")
    body.closed(_TRANSFORM_KEYS)
    emit_as, fan_out = body.find("emit_as"), body.find("fan_out")
    if fan_out is not None:
        for key in ("emit_as", "payload_map"):
            beside = body.find(key)
            if beside is not None:
                beside.report(f"{key!r} cannot stand beside 'fan_out'")
    return Transform(
        emit_as=None if emit_as is None else emit_as.name(),
        payload_map=_read_payload_map(body),
        drop=body.optional("drop", default=False).flag(),
        fan_out=None if fan_out is None else _read_fan_out(fan_out),
    )


def _read_payload_map(body: Place) -> dict[str, Node] | None:
    """Read a payload map; an empty one keeps the payload, as if it were absent."""
    return _SCOPE.expressions(body.optional("payload_map", {})) or None


def _read_fan_out(place: Place) -> tuple[Emission, ...]:
    body = place.record("a fan_out, an object")
    body.closed(("emit_many",))
    many = body.required("emit_many")
    if many.value == []:
        many.report("expected at least one event, found an empty list; 'drop' is how an event is dropped")
    return tuple(_read_emission(item) for item in many.items("a list of events"))


def _read_emission(place: Place) -> Emission:
    body = place.record("an event to emit, an object")
    body.closed(_EMISSION_KEYS)
    condition = body.find("condition")
    return Emission(
        emit_as=body.required("emit_as").name(),
        payload_map=_read_payload_map(body),
        condition=None if condition is None else _SCOPE.expression(condition),
    )
