"""Reading an entity type: states, attributes, shadows, commands and the reducer (docs/formats.md, Bundles)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cicsc.bundle.model import (
    Attribute,
    AttributeType,
    ClearAttr,
    Command,
    CommandEvent,
    EntityType,
    Op,
    SetAttr,
    SetShadow,
    SetState,
    Shadow,
)
from cicsc.bundle.place import KEY_LIKENESS, Names, Place
from cicsc.bundle.variables import IN_COMMAND, IN_REDUCER, Scope
from cicsc.expression import json_path, quoted, reads, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from cicsc.expression import Node

ATTRIBUTE_TYPES: Final[Mapping[str, AttributeType]] = {
    "string": "string",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "time": "time",
    "enum": "enum",
    "json": "json",
}


_TYPE_KEYS: Final = ("id_type", "states", "initial_state", "attrs", "shadows", "commands", "reducer")
_ATTRIBUTE_KEYS: Final = ("type", "optional", "default", "values")


class _Declared(Struct, frozen=True):
    """What the ops of a type may write, and its expressions may read."""

    states: Names
    attrs: Names
    shadows: Names


def read_type(name: str, place: Place) -> EntityType:
    """Read an entity type; its ops write, and its commands emit, only what it declares."""
    body = place.record("an entity type, an object")
    body.doubtful(_TYPE_KEYS)
    body.required("id_type").choice({"string": "string"})
    states = _read_states(body.required("states"))
    attrs, shadows, reducer = body.required("attrs"), body.optional("shadows", {}), body.required("reducer")
    # A list of states without a string is reported; whether others are declared cannot be told then.
    declared = _Declared(frozenset(states) or None, attrs.names(), shadows.names())
    entity_type = EntityType(
        name=name,
        states=states,
        initial_state=body.required("initial_state").known(declared.states, "no state {} is declared"),
        attrs=read_attributes(attrs),
        shadows=_read_shadows(shadows),
        commands=_read_commands(body.required("commands"), reducer.names(), declared_fields(body), declared.states),
        reducer={key: _read_ops(ops, declared) for key, ops in reducer.entries("an object of event types")},
    )
    _doubt_payloads(body, entity_type)
    return entity_type


def declared_fields(place: Place) -> Names:
    """Return the attributes and shadows that the entity type at `place` declares, None where a defect hides them."""
    attrs, shadows = place.find("attrs"), place.optional("shadows", {}).names()
    names = None if attrs is None else attrs.names()
    return None if names is None or shadows is None else names | shadows


def declared_states(place: Place) -> Names:
    """Return the states that the entity type at `place` declares, None where a defect hides them."""
    states = place.find("states")
    found = None if states is None or not isinstance(states.value, list) else states.value
    return frozenset(found) if found and all(isinstance(state, str) for state in found) else None


def read_attributes(place: Place) -> dict[str, Attribute]:
    """Read the attributes of a type, the input of a command or the arguments of a constraint."""
    return {name: _read_attribute(name, at) for name, at in place.entries("an object of attributes")}


def _read_attribute(name: str, place: Place) -> Attribute:
    body = place.record("an attribute, an object")
    body.doubtful(_ATTRIBUTE_KEYS)
    kind, default = _read_kind(body), body.optional("default", None)
    values = body.optional("values", []).distinct_texts("a list of strings")
    if kind == "enum" and values and default.value is not None:
        default.known(frozenset(values), "the default {} is not one of the values")
    return Attribute(name, kind, body.optional("optional", default=False).flag(), default.value, values)


def _read_kind(body: Place) -> AttributeType | None:
    kind = body.find("type")
    return None if kind is None else kind.choice(ATTRIBUTE_TYPES)


def _read_states(place: Place) -> tuple[str, ...]:
    states = place.distinct_texts("a list of strings")
    if place.value == []:
        place.report("expected at least one state, found an empty list")
    return states


def _read_shadows(place: Place) -> dict[str, Shadow]:
    shadows = {}
    for name, at in place.entries("an object of shadows"):
        body = at.record("a shadow, an object")
        expr = body.find("expr")
        shadows[name] = Shadow(name, _read_kind(body), None if expr is None else expr.expression())
    return shadows


def _read_commands(place: Place, event_types: Names, fields: Names, states: Names) -> dict[str, Command]:
    commands = {}
    for name, at in place.entries("an object of commands"):
        body = at.record("a command, an object")
        given = body.required("input")
        scope = Scope(attrs=fields, inputs=given.names(), states=states, held=IN_COMMAND)
        guard = body.required("guard").record("a guard, an object").required("expr")
        emits = body.required("emits").items("a list of events")
        commands[name] = Command(
            name=name,
            input=read_attributes(given),
            guard=scope.expression(guard, host_calls=True),
            emits=tuple(_read_emitted(item, event_types, scope) for item in emits),
        )
    return commands


def _read_emitted(place: Place, event_types: Names, scope: Scope) -> CommandEvent:
    body = place.record("an event to emit, an object")
    event_type = body.required("event_type").known(event_types, "event type {} has no reducer")
    return CommandEvent(event_type, scope.expressions(body.required("payload")))


def _doubt_payloads(body: Place, entity_type: EntityType) -> None:
    """Warn of what a command emits, where the reducer of the event reads not that but something very like it."""
    path = json_path(body.path, "commands")
    read = {event_type: _payload_keys(ops) for event_type, ops in entity_type.reducer.items()}
    for command in entity_type.commands.values():
        for index, emitted in enumerate(command.emits):
            wanted = read.get(emitted.event_type, frozenset())
            absent = wanted - emitted.payload.keys()
            for key in emitted.payload if absent else ():
                close = "" if key in wanted else suggestion(key, absent, KEY_LIKENESS)
                if close:
                    at = json_path(f"{json_path(path, command.name)}.emits[{index}].payload", key)
                    message = f"the reducer of {quoted(emitted.event_type)} does not read {quoted(key)}{close}"
                    Place(key, at, body.problems).doubt(message)


def _payload_keys(ops: Iterable[Op]) -> frozenset[str]:
    """Return the keys of its payload that the reducer of an event reads, none where it reads the whole."""
    found = reads(op.expr for op in ops if not isinstance(op, ClearAttr) and op.expr)  # a defective one is empty
    paths = [path.strip(".").split(".") for variable in ("e_payload", "payload") for path in found.of(variable)]
    keys = frozenset(steps[0] for steps in paths)
    return frozenset() if "" in keys else keys


def _read_ops(place: Place, declared: _Declared) -> tuple[Op, ...]:
    ops = []
    for item in place.items("a list of ops"):
        found = item.variant(_OPS, "an op")
        if found is not None:
            read, body = found
            ops.append(read(body.record("an object"), declared))
    return tuple(ops)


def _read_set_state(body: Place, declared: _Declared) -> Op:
    expr = body.required("expr")
    node = _read_written(expr, declared)
    for path, literal in _literal_results(node, expr.path):
        Place(literal, path, body.problems).known(declared.states, "no state {} is declared")
    return SetState(node)


def _read_set_attr(body: Place, declared: _Declared) -> Op:
    return SetAttr(_read_target(body, declared.attrs, "attribute"), _read_written(body.required("expr"), declared))


def _read_clear_attr(body: Place, declared: _Declared) -> Op:
    return ClearAttr(_read_target(body, declared.attrs, "attribute"))


def _read_set_shadow(body: Place, declared: _Declared) -> Op:
    return SetShadow(_read_target(body, declared.shadows, "shadow"), _read_written(body.required("expr"), declared))


def _read_written(place: Place, declared: _Declared) -> Node:
    """Read the expression of an op, which sees attributes but no shadows."""
    return Scope(attrs=declared.attrs, states=declared.states, held=IN_REDUCER).expression(place)


def _read_target(body: Place, names: Names, what: str) -> str:
    return body.required("name").known(names, f"no {what} {{}} is declared")


_OPS: Final[Mapping[str, Callable[[Place, _Declared], Op]]] = {
    "set_state": _read_set_state,
    "set_attr": _read_set_attr,
    "clear_attr": _read_clear_attr,
    "set_shadow": _read_set_shadow,
}


def _literal_results(node: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield the literals that a checked node may result in, through the branches of if and coalesce.

    The literal null is none of them: it is how an author says that the state stays.
    """
    match node:
        case {"lit": {"null": True}}:
            return
        case {"lit": dict(literal)}:
            yield from ((json_path(f"{path}.lit", kind), value) for kind, value in literal.items())
        case {"if": {"then": then, "else": other}}:
            yield from _literal_results(then, f"{path}.if.then")
            yield from _literal_results(other, f"{path}.if.else")
        case {"coalesce": list(items)}:
            for index, item in enumerate(items):
                yield from _literal_results(item, json_path(f"{path}.coalesce", index))
