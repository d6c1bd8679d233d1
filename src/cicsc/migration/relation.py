"""The relation between a source snapshot and the target snapshot that must correspond to it.

A state is related by the state map (unmapped ones keep their name), a target attribute by its
`attrs_map` expression, else by the source attribute of the same name; shadows likewise. Absent
equals null. What only one side declares and no such expression gives or reads is unconstrained, and
is listed as such.
"""

from __future__ import annotations

import ast
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from cicsc.expression import FunctionBuilder, reads
from cicsc.expression.values import equal
from cicsc.replay.snapshot import PARAMETERS, compile_over_snapshot, snapshot_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cicsc.bundle.model import Bundle, EntityType, Migration, TypeMigration
    from cicsc.expression import Node
    from cicsc.replay.fold import Fold

_OF_TARGET = ("target_state", "target_attrs", "target_shadows")


class Difference(Struct, frozen=True):
    """One field in which a target snapshot is not what the source snapshot is related to."""

    field: str
    expected: object
    found: object


class Relation(Struct, frozen=True, dict=True):
    """The compiled relation of one entity type.

    `holds` tells of both snapshots whether nothing differs. What does is found field by field: `attrs` and `shadows`
    name what is compared as it is, `given` the fields that are given by expressions over the source snapshot.
    """

    holds: Callable[..., object]
    state_map: Mapping[str, str]
    attrs: tuple[str, ...]
    shadows: tuple[str, ...]
    given: tuple[tuple[str, str, Node], ...]
    source: EntityType

    @cached_property
    def mapped(self) -> list[tuple[str, str, Callable[..., object]]]:
        """The function of each field that an expression gives; made when something differs, which is rare."""
        return [(kind, name, compile_over_snapshot(node, self.source)) for kind, name, node in self.given]

    def differences(
        self, source: Fold, target: Fold, entity: tuple[str, str], now: object, actor: object
    ) -> list[Difference]:
        """Compare two folds of the entity (type, id) and return every field that differs, state first."""
        of_source = (*entity, source.state, source.updated_ts, source.attrs, source.shadows, now, actor)
        if self.holds(*of_source, target.state, target.attrs, target.shadows):
            return []
        found: list[Difference] = []
        expected_state = self.state_map.get(source.state, source.state)
        if target.state != expected_state:
            found.append(Difference("state", expected_state, target.state))
        found.extend(_differing("attrs", self.attrs, source.attrs, target.attrs))
        for kind, name, function in self.mapped:
            expected = function(*of_source)
            value = (target.attrs if kind == "attrs" else target.shadows).get(name)
            if expected is not value and not equal(expected, value):
                # It may hold the attributes themselves, which later events change.
                found.append(Difference(f"{kind}.{name}", deepcopy(expected), value))
        found.extend(_differing("shadows", self.shadows, source.shadows, target.shadows))
        return found


def _differing(
    kind: str, names: tuple[str, ...], source: Mapping[str, object], target: Mapping[str, object]
) -> Iterator[Difference]:
    for name in names:
        expected, value = source.get(name), target.get(name)
        if expected is not value and not equal(expected, value):
            yield Difference(f"{kind}.{name}", expected, value)


def compile_relation(source: EntityType, target: EntityType, migration: TypeMigration | None) -> Relation:
    """Compile the relation of one entity type between two bundles."""
    attrs_map: Mapping[str, Node] = {} if migration is None else migration.attrs_map
    same_attrs = [name for name in sorted(source.attrs) if name in target.attrs and name not in attrs_map]
    own_shadows = {name: expr for name, expr in attrs_map.items() if name not in target.attrs}
    same_shadows = [name for name in sorted(source.shadows) if name in target.shadows and name not in own_shadows]
    given = [("shadows" if name in own_shadows else "attrs", name, expr) for name, expr in sorted(attrs_map.items())]
    state_map = dict(migration.state_map) if migration is not None else {}
    return Relation(
        holds=_compile_holds(source, state_map, {"attrs": same_attrs, "shadows": same_shadows}, given),
        state_map=state_map,
        attrs=tuple(same_attrs),
        shadows=tuple(same_shadows),
        given=tuple(given),
        source=source,
    )


def _compile_holds(
    source: EntityType,
    state_map: dict[str, str],
    same: Mapping[str, Sequence[str]],
    given: Sequence[tuple[str, str, Node]],
) -> Callable[..., object]:
    """Compile one function over both snapshots that tells what `differences` finds out field by field."""
    builder = FunctionBuilder((*PARAMETERS, *_OF_TARGET), snapshot_variable(source))
    before = builder.keep_repeated([node for _, _, node in given])
    state = builder.name("state")
    mapped = builder.method(builder.constant(state_map), "get", state, state) if state_map else state
    alike: list[ast.expr] = [ast.Compare(builder.name("target_state"), [ast.Eq()], [mapped])]
    for owner, names in same.items():
        for name in names:
            value = builder.method(builder.name(owner), "get", builder.constant(name))
            alike.append(_alike(builder, value, owner, name))
    alike.extend(_alike(builder, builder.expression(node), owner, name) for owner, name, node in given)
    return builder.build_expression(ast.BoolOp(ast.And(), alike) if len(alike) > 1 else alike[0], before)


def _alike(builder: FunctionBuilder, expected: ast.expr, owner: str, name: str) -> ast.expr:
    """Compare a value with a field of the target, which is often the very same object."""
    found = builder.method(builder.name(f"target_{owner}"), "get", builder.constant(name))
    kept = ast.Name(builder.temporary(), ast.Store()), ast.Name(builder.temporary(), ast.Store())
    is_same = ast.Compare(ast.NamedExpr(kept[0], expected), [ast.Is()], [ast.NamedExpr(kept[1], found)])
    is_equal = builder.call(equal, builder.name(kept[0].id), builder.name(kept[1].id))
    return ast.BoolOp(ast.Or(), [is_same, is_equal])


def _unconstrained(source: EntityType, target: EntityType, migration: TypeMigration | None) -> Iterator[str]:
    attrs_map: Mapping[str, Node] = {} if migration is None else migration.attrs_map
    found = reads(attrs_map.values())
    read = {*found.of("attrs"), *found.of("row")}
    sides = (("attrs", source.attrs, target.attrs), ("shadows", source.shadows, target.shadows))
    for kind, before, after in sides:
        for name in sorted(before.keys() ^ after.keys()):
            if name not in (attrs_map if name in after else read):
                side = "source" if name in before else "target"
                yield f"{source.name}.{kind}.{name} ({side} only)"


def unconstrained_fields(source: Bundle, target: Bundle, migration: Migration) -> list[str]:
    """List what equivalence does not compare, in every entity type that both bundles have."""
    return [
        name
        for entity_type in sorted(source.types.keys() & target.types.keys())
        for name in _unconstrained(
            source.types[entity_type], target.types[entity_type], migration.types.get(entity_type)
        )
    ]
