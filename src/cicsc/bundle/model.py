"""The records of a valid bundle: one version of an application, as replay and migration read it.

    Bundle
    ├── types        {name: EntityType}     states, attributes, shadows, commands, reducer of Op
    ├── constraints  {id: Constraint}       SnapshotConstraint | QueryConstraint (holds a Query)
    └── migrations   {id: Migration}        per entity type a TypeMigration of Transforms

A record exists only after every check has passed, so readers need not look twice. Expressions stay
as the decoded JSON nodes they came as; compiling them is the business of replay and migration.
Mappings keep the order of the document and must not be changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cicsc.bundle.place import ProblemList
    from cicsc.expression import Node

CORE_FIELDS: Final = ("entity_type", "entity_id", "state", "updated_ts", "attrs_json")
"""Columns that the row of every snapshot has; an attribute of the same name never shadows them."""

AttributeType: TypeAlias = Literal["string", "int", "float", "bool", "time", "enum", "json"]


class Bundle(Struct, frozen=True):
    """One version of an application.

    `document` is the whole decoded document with the keys that nobody knows, `digest` the SHA-256
    of its canonical bytes in hexadecimal, `version` the application's own version if it has one. `warnings`
    are what is no defect of it, but perhaps a typing error.
    """

    document: Mapping[str, object]
    digest: str
    version: int | None
    types: Mapping[str, EntityType]
    constraints: Mapping[str, Constraint]
    migrations: Mapping[str, Migration]
    warnings: ProblemList


class EntityType(Struct, frozen=True):
    """One kind of entity: what it stores, which commands it takes, how events change it."""

    name: str
    states: tuple[str, ...]
    initial_state: str
    attrs: Mapping[str, Attribute]
    shadows: Mapping[str, Shadow]
    commands: Mapping[str, Command]
    reducer: Mapping[str, tuple[Op, ...]]


class Attribute(Struct, frozen=True):
    """A declared attribute or input; without a type it holds any JSON value."""

    name: str
    type: AttributeType | None
    optional: bool
    default: object
    values: tuple[str, ...]


class Shadow(Struct, frozen=True):
    """A declared shadow; `expr` is kept for hosts that compute it, replay only knows set_shadow."""

    name: str
    type: AttributeType | None
    expr: Node | None


class Command(Struct, frozen=True):
    """What an application may ask of an entity: allowed by the guard, answered by events."""

    name: str
    input: Mapping[str, Attribute]
    guard: Node
    emits: tuple[CommandEvent, ...]


class CommandEvent(Struct, frozen=True):
    """An event that a command emits; `payload` maps each key to an expression."""

    event_type: str
    payload: Mapping[str, Node]


class SetState(Struct, frozen=True):
    """Move the entity to the state that `expr` names; what is no string leaves it where it is."""

    expr: Node


class SetAttr(Struct, frozen=True):
    """Give the attribute `name` the value of `expr`."""

    name: str
    expr: Node


class ClearAttr(Struct, frozen=True):
    """Remove the value of the attribute `name`."""

    name: str


class SetShadow(Struct, frozen=True):
    """Give the shadow `name` the value of `expr`."""

    name: str
    expr: Node


Op: TypeAlias = SetState | SetAttr | ClearAttr | SetShadow


class SnapshotConstraint(Struct, frozen=True):
    """An expression that must be true for every entity of `on_type`."""

    id: str
    on_type: str
    expr: Node


class QueryConstraint(Struct, frozen=True):
    """An expression, `assertion`, that must be true over the rows of `query`."""

    id: str
    on_type: str
    args: Mapping[str, Attribute]
    query: Query
    assertion: Node


Constraint: TypeAlias = SnapshotConstraint | QueryConstraint


class Query(Struct, frozen=True):
    """Rows of a source, sent through the steps of a pipeline in order."""

    source: Source
    pipeline: tuple[Step, ...]


class Snap(Struct, frozen=True):
    """The snapshots of one entity type, named by `type`."""

    type: str


class Join(Struct, frozen=True):
    """Pairs of snapshots of the types `left` and `right` whose two fields are equal."""

    left: str
    right: str
    left_field: str
    right_field: str


Source: TypeAlias = Snap | Join


class Filter(Struct, frozen=True):
    """Keep the rows for which `expr` is true."""

    expr: Node


class Having(Struct, frozen=True):
    """Keep the rows for which `expr` is true; after a group_by, by custom."""

    expr: Node


class Project(Struct, frozen=True):
    """Make rows of exactly the named columns."""

    fields: tuple[tuple[str, Node], ...]


class GroupBy(Struct, frozen=True):
    """Make one row per combination of the keys, holding these and the aggregates."""

    keys: tuple[tuple[str, Node], ...]
    aggs: Mapping[str, Aggregate]


class OrderBy(Struct, frozen=True):
    """Sort the rows, stable; each key is an expression and whether it descends."""

    keys: tuple[tuple[Node, bool], ...]


class Limit(Struct, frozen=True):
    """Keep the first `count` rows."""

    count: int


class Offset(Struct, frozen=True):
    """Leave out the first `count` rows."""

    count: int


Step: TypeAlias = Filter | Having | Project | GroupBy | OrderBy | Limit | Offset


class Count(Struct, frozen=True):
    """How many rows the group has."""


class Sum(Struct, frozen=True):
    """The sum of the numbers that `expr` gives, null if there is none."""

    expr: Node


class Min(Struct, frozen=True):
    """The smallest of the numbers that `expr` gives, null if there is none."""

    expr: Node


class Max(Struct, frozen=True):
    """The largest of the numbers that `expr` gives, null if there is none."""

    expr: Node


Aggregate: TypeAlias = Count | Sum | Min | Max


class Migration(Struct, frozen=True):
    """How histories of `from_version` become histories of `to_version`; `types` by entity type.

    The form `on_type` of a document is a `types` of one entry here, in `inverse` as well.
    """

    id: str
    from_version: int
    to_version: int
    types: Mapping[str, TypeMigration]
    inverse: Mapping[str, TypeMigration] | None


class TypeMigration(Struct, frozen=True):
    """The migration of one entity type.

    `event_transforms` goes by source event type, `state_map` from source to target state,
    `attrs_map` from target attribute (or shadow) to an expression over the source snapshot. `path` is where it
    stands in the document, empty for one that was derived.
    """

    event_transforms: Mapping[str, Transform]
    state_map: Mapping[str, str]
    attrs_map: Mapping[str, Node]
    path: str = ""


class Transform(Struct, frozen=True):
    """What becomes of one event; `drop` wins over everything, `fan_out` excludes the first two.

    `payload_map` is None where the payload is kept, which an empty map in the document means too.
    """

    emit_as: str | None
    payload_map: Mapping[str, Node] | None
    drop: bool
    fan_out: tuple[Emission, ...] | None

    def emits(self, event_type: str) -> str:
        """Return the type that an event of `event_type` gets, where it is neither dropped nor fanned out."""
        return event_type if self.emit_as is None else self.emit_as


class Emission(Struct, frozen=True):
    """One event of a fan_out, emitted where `condition` is true or absent."""

    emit_as: str
    payload_map: Mapping[str, Node] | None
    condition: Node | None
