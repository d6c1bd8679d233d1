"""What a migration makes of one event: nothing, one event, or several, compiled from the bundle.

The environment of a payload map is the source event alone (docs/semantics.md, What each place can read): a transform
cannot see another event, another stream or another tenant.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from cicsc.expression import FunctionBuilder, reads
from cicsc.expression.values import path_steps, payload_value
from cicsc.replay.reducers import event_variable

if TYPE_CHECKING:
    from collections.abc import Callable

    from cicsc.bundle.model import Transform, TypeMigration
    from cicsc.expression import Node
    from cicsc.history.model import Event

    PayloadFunction = Callable[[dict[str, object], Event], dict[str, object]]
    Condition = Callable[[dict[str, object], Event], object]

_PARAMETERS = ("payload", "event")
_FLOAT_MAKERS = frozenset({"div", "call"})


class EmissionProgram(Struct, frozen=True):
    """One event that a source event may become.

    `payload` maps the source's payload and event to the new payload (None: kept as it is);
    `condition` tells whether the event is emitted at all (None: always). `makes_floats` tells that the new payload
    may hold a float, though there is none in the source's.
    """

    event_type: str
    payload: PayloadFunction | None
    condition: Condition | None
    makes_floats: bool


class Rule(Struct, frozen=True):
    """What becomes of one source event type: its emissions in order; a dropped one has none.

    `always` is the one emission of a rule that emits exactly one event whatever it is.
    """

    emissions: tuple[EmissionProgram, ...]
    fans_out: bool
    always: EmissionProgram | None


def compile_rules(migration: TypeMigration | None) -> dict[str, Rule]:
    """Compile the transforms of one entity type; an event type without a rule keeps type and payload."""
    transforms: Mapping[str, Transform] = {} if migration is None else migration.event_transforms
    return {event_type: _compile_rule(event_type, transform) for event_type, transform in transforms.items()}


def _compile_rule(event_type: str, transform: Transform) -> Rule:
    if transform.drop:
        return Rule((), fans_out=False, always=None)
    if transform.fan_out is not None:
        emissions = tuple(
            _compile_emission(emission.emit_as, emission.payload_map, emission.condition)
            for emission in transform.fan_out
        )
        return Rule(emissions, fans_out=True, always=None)
    always = _compile_emission(transform.emits(event_type), transform.payload_map)
    return Rule((always,), fans_out=False, always=always)


def successors(rule: Rule | None, event: Event) -> list[tuple[str, dict[str, object]]]:
    """Return type and payload of what `event` becomes, in order; without a rule it stays what it is."""
    payload = event.payload
    if rule is None:
        return [(event.event_type, payload)]
    return [
        (emission.event_type, payload if emission.payload is None else emission.payload(payload, event))
        for emission in rule.emissions
        if emission.condition is None or emission.condition(payload, event)
    ]


def _compile_emission(
    event_type: str, payload_map: Mapping[str, Node] | None, condition: Node | None = None
) -> EmissionProgram:
    return EmissionProgram(
        event_type,
        _compile_payload(payload_map),
        None if condition is None else _compile_condition(condition),
        _may_make_float(payload_map),
    )


def _compile_payload(payload_map: Mapping[str, Node] | None) -> PayloadFunction | None:
    """Compile a payload map; without one, or with an empty one, the payload is kept."""
    if not payload_map:
        return None
    builder = FunctionBuilder(_PARAMETERS, _event_only)
    before = builder.keep_repeated(list(payload_map.values()))
    keys: list[ast.expr | None] = [builder.constant(key) for key in payload_map]
    made = ast.Dict(keys, [_payload_value(builder, node) for node in payload_map.values()])
    return builder.build_expression(made, before)


def _payload_value(builder: FunctionBuilder, node: Node) -> ast.expr:
    """Lower a value of a payload; the whole payload of an event that nests as deep as it may does not fit into one."""
    value, found = builder.expression(node), reads([node])
    paths = (*found.of("e_payload"), *found.of("payload"))
    return value if all(map(path_steps, paths)) else builder.call(payload_value, value)


def _may_make_float(node: object) -> bool:
    """Tell whether expressions hold anything that gives a float where it is given none; names alike count too."""
    if isinstance(node, Mapping):
        return not _FLOAT_MAKERS.isdisjoint(node) or any(map(_may_make_float, node.values()))
    return any(map(_may_make_float, node)) if isinstance(node, list | tuple) else isinstance(node, float)


def _compile_condition(node: Node) -> Condition:
    builder = FunctionBuilder(_PARAMETERS, _event_only)
    return builder.build_expression(builder.condition(node))


def _event_only(builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
    """Read a variable where there is an event but no entity: state is "", attributes are null."""
    if name == "state":
        return builder.constant("")
    if name == "e_type":
        return ast.Attribute(builder.name("event"), "event_type", ast.Load())
    if name == "attrs":
        return builder.constant(None)
    return event_variable(builder, name, argument)
