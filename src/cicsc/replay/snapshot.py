"""The result of a replay: the snapshot of an entity, and how expressions read it.

A snapshot's row, as constraints see it, has the core fields, then attributes, then shadows; a core
field is never shadowed by an attribute.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import msgspec

from cicsc.bundle.model import CORE_FIELDS
from cicsc.expression import FunctionBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    from cicsc.bundle.model import EntityType
    from cicsc.expression import Node

PARAMETERS = ("entity_type", "entity_id", "state", "updated_ts", "attrs", "shadows", "now", "actor")
"""The parameters of a function compiled over a snapshot."""


class Snapshot(msgspec.Struct, frozen=True):
    """What a stream folds to: its state, attributes, shadows, the time (ms) and seq of its last event."""

    tenant_id: str
    entity_type: str
    entity_id: str
    state: str
    attrs: dict[str, object]
    shadows: dict[str, object]
    updated_ts: int | None
    last_seq: int


def compile_over_snapshot(node: Node, entity_type: EntityType) -> Callable[..., object]:
    """Compile an expression over a snapshot of `entity_type`; the function takes `PARAMETERS`."""
    builder = FunctionBuilder(PARAMETERS, snapshot_variable(entity_type))
    return builder.build_expression(builder.expression(node))


def snapshot_variable(entity_type: EntityType) -> Callable[[FunctionBuilder, str, str | None], ast.expr]:
    """Return how a variable is read over a snapshot; what a snapshot does not hold is null."""

    def read(builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
        if argument is not None:
            if name == "attrs" or (name == "row" and argument not in CORE_FIELDS):
                return _kept_field(builder, entity_type, argument)
            if name == "row":
                return builder.name("attrs" if argument == "attrs_json" else argument)
        elif name in {"state", "now", "actor"}:
            return builder.name(name)
        return builder.constant(None)

    return read


def _kept_field(builder: FunctionBuilder, entity_type: EntityType, field: str) -> ast.expr:
    """Read an attribute or a shadow; where both are declared under one name, a shadow that is set wins."""
    key = builder.constant(field)
    from_attrs = builder.method(builder.name("attrs"), "get", key)
    if field not in entity_type.shadows:
        return from_attrs
    from_shadows = builder.method(builder.name("shadows"), "get", key)
    if field not in entity_type.attrs:
        return from_shadows
    is_set = ast.Compare(key, [ast.In()], [builder.name("shadows")])
    return ast.IfExp(is_set, from_shadows, from_attrs)
