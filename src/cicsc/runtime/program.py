"""An application ready to run: the commands, reducers and snapshot constraints of one bundle, compiled.

A guard and a payload are functions over the snapshot of the entity, the input and the host. They
are lowered like every expression, so bundle text enters as constants only.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from cicsc.bundle.model import Attribute, Bundle, Command, CommandEvent, EntityType
from cicsc.expression import FunctionBuilder
from cicsc.replay.constraints import SnapshotCheck, compile_constraints
from cicsc.replay.reducers import TypeProgram, compile_type
from cicsc.replay.snapshot import PARAMETERS, snapshot_variable

COMMAND_PARAMETERS: Final = (*PARAMETERS, "input", "environment")
"""The parameters of a guard and of a payload; ``environment["host"]`` holds the functions of the host."""


class EmittedEvent(Struct, frozen=True):
    """An event that a command emits: its type, and its payload as a function of `COMMAND_PARAMETERS`."""

    event_type: str
    payload: Callable[..., dict[str, object]]


class CommandProgram(Struct, frozen=True):
    """A command: what input it declares, its guard as a function of `COMMAND_PARAMETERS`, what it emits."""

    name: str
    input: Mapping[str, Attribute]
    guard: Callable[..., object]
    emits: tuple[EmittedEvent, ...]


class EntityProgram(Struct, frozen=True):
    """An entity type: how its events fold, which commands it takes, what must hold for each entity."""

    replay: TypeProgram
    commands: Mapping[str, CommandProgram]
    checks: tuple[SnapshotCheck, ...]


Application = Mapping[str, EntityProgram]
"""A whole bundle, by entity type."""


def compile_application(bundle: Bundle) -> Application:
    """Compile the entity types of a bundle."""
    checks = compile_constraints(bundle).snapshot_checks
    return {name: _compile_entity(entity_type, checks.get(name, ())) for name, entity_type in bundle.types.items()}


def _compile_entity(entity_type: EntityType, checks: tuple[SnapshotCheck, ...]) -> EntityProgram:
    commands = {name: _compile_command(command, entity_type) for name, command in entity_type.commands.items()}
    return EntityProgram(compile_type(entity_type), commands, checks)


def _compile_command(command: Command, entity_type: EntityType) -> CommandProgram:
    builder = _builder(entity_type)
    guard = builder.build_expression(builder.condition(command.guard))
    emits = tuple(EmittedEvent(emitted.event_type, _compile_payload(emitted, entity_type)) for emitted in command.emits)
    return CommandProgram(command.name, command.input, guard, emits)


def _compile_payload(emitted: CommandEvent, entity_type: EntityType) -> Callable[..., dict[str, object]]:
    builder = _builder(entity_type)
    keys: list[ast.expr | None] = [builder.constant(key) for key in emitted.payload]
    return builder.build_expression(ast.Dict(keys, list(map(builder.expression, emitted.payload.values()))))


def _builder(entity_type: EntityType) -> FunctionBuilder:
    """Return a builder of functions over a snapshot, which also read the input of a command."""
    over_snapshot = snapshot_variable(entity_type)

    def read(builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
        if name == "input" and argument is not None:
            return builder.method(builder.name("input"), "get", builder.constant(argument))
        return over_snapshot(builder, name, argument)

    return FunctionBuilder(COMMAND_PARAMETERS, read)
