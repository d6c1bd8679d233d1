"""Compiled reducers: what one event does to the state, attributes and shadows of its entity.

Each reducer entry of a bundle becomes one Python function. All its operations see the state and the
attributes as they were before the event; `fold` calls the functions in stream order.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, assert_never

from msgspec import Struct

from cicsc.bundle.model import ClearAttr, Op, SetAttr, SetShadow, SetState
from cicsc.expression import FunctionBuilder
from cicsc.expression.compile import payload_path
from cicsc.remembered import remembering

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cicsc.bundle.model import Bundle, EntityType
    from cicsc.expression import Node
    from cicsc.history.model import Event

    Reducer = Callable[[str, dict[str, object], dict[str, object], dict[str, object], Event], str]

_EVENT_FIELDS = {"now": "ts", "e_time": "ts", "actor": "actor_id", "e_actor": "actor_id"}
_PARAMETERS = ("state", "attrs", "shadows", "payload", "event")


class TypeProgram(Struct, frozen=True):
    """An entity type ready to be replayed: where a stream starts, and a function for each event type.

    A reducer takes state, attrs, shadows, payload and the event, changes attrs and shadows in place
    and returns the new state. Of the event it reads time and actor only, which a migration never
    changes: so the target's reducers run on the source's event with the payload that it becomes.
    """

    name: str
    initial_state: str
    reducers: Mapping[str, Reducer]


@remembering
def compile_types(bundle: Bundle) -> dict[str, TypeProgram]:
    """Compile the reducers of every entity type of a bundle, or return those of it that were compiled last."""
    return {name: compile_type(entity_type) for name, entity_type in bundle.types.items()}


def compile_type(entity_type: EntityType) -> TypeProgram:
    """Compile the reducers of one entity type."""
    reducers = {event_type: compile_reducer(event_type, ops) for event_type, ops in entity_type.reducer.items()}
    return TypeProgram(entity_type.name, entity_type.initial_state, reducers)


def compile_reducer(event_type: str, ops: Sequence[Op]) -> Reducer:
    """Compile the operations of one event type: first every value, then every write, then the new state."""

    def variable(builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
        return builder.constant(event_type) if name == "e_type" else event_variable(builder, name, argument)

    builder = FunctionBuilder(_PARAMETERS, variable)
    values = builder.keep_repeated([op.expr for op in ops if not isinstance(op, ClearAttr)])
    writes: list[ast.stmt] = []
    for op in ops:
        _compile_op(builder, op, values, writes)
    return builder.build([*values, *writes, ast.Return(builder.name("state"))])


def _compile_op(builder: FunctionBuilder, op: Op, values: list[ast.stmt], writes: list[ast.stmt]) -> None:
    if isinstance(op, ClearAttr):
        cleared = builder.method(builder.name("attrs"), "pop", builder.constant(op.name), builder.constant(None))
        writes.append(ast.Expr(cleared))
        return
    if isinstance(op, SetState) and (literal := _literal_text(op.expr)) is not None:
        writes.append(ast.Assign([ast.Name("state", ast.Store())], builder.constant(literal)))
        return
    value = builder.temporary()
    values.append(ast.Assign([ast.Name(value, ast.Store())], builder.expression(op.expr)))
    match op:
        case SetState():
            text = builder.call(_text_or, builder.name(value), builder.name("state"))
            writes.append(ast.Assign([ast.Name("state", ast.Store())], text))
        case SetAttr():
            writes.append(_write(builder, "attrs", op.name, value))
        case SetShadow():
            writes.append(_write(builder, "shadows", op.name, value))
        case _:
            assert_never(op)


def _write(builder: FunctionBuilder, owner: str, name: str, value: str) -> ast.stmt:
    target = ast.Subscript(builder.name(owner), builder.constant(name), ast.Store())
    return ast.Assign([target], builder.name(value))


def _literal_text(expression: Node) -> str | None:
    literal = expression.get("lit")
    text = literal.get("string") if isinstance(literal, dict) else None
    return text if isinstance(text, str) else None


def _text_or(value: object, state: str) -> str:
    """Return the new state; anything but text leaves the old one."""
    return value if isinstance(value, str) else state


def event_variable(builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
    """Read a variable where one event meets one entity; what such a place does not hold is null."""
    if name in _EVENT_FIELDS:
        return ast.Attribute(builder.name("event"), _EVENT_FIELDS[name], ast.Load())
    if name == "state":
        return builder.name("state")
    if argument is not None:
        if name == "attrs":
            return builder.method(builder.name("attrs"), "get", builder.constant(argument))
        if name in {"e_payload", "payload"}:
            return payload_path(builder, builder.name("payload"), argument)
    return builder.constant(None)
