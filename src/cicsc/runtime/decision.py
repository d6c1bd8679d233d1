"""What a command comes to: its guard, its events, and the constraints that must hold after them.

Nothing here reads or writes a store; who calls has folded the entity and keeps what is decided.
"""

from __future__ import annotations

from collections.abc import Iterable

from cicsc.errors import CommandError
from cicsc.expression.limits import PAYLOAD_VALUE_DEPTH_MAX, VALUE_WEIGHT_MAX
from cicsc.expression.values import is_heavier, weight_of
from cicsc.history.given import text_bytes
from cicsc.history.model import Event
from cicsc.history.texts import TEXT_BYTES_MAX
from cicsc.replay.fold import Fold
from cicsc.runtime.inputs import checked_input
from cicsc.runtime.program import Application, CommandProgram, EntityProgram
from cicsc.runtime.request import Request


def find_command(application: Application, version: int, request: Request) -> tuple[EntityProgram, CommandProgram]:
    """Return the command that a request names, and its entity type; raises CommandError where there is none."""
    tenant_id, entity_type, _ = request.key
    where = f"version {version} of tenant {tenant_id!r}"
    entity = application.get(entity_type)
    if entity is None:
        raise CommandError(
            "UNKNOWN_ENTITY_TYPE", f"{where} has no entity type {entity_type!r}", hint=_names(application)
        )
    command = entity.commands.get(request.command)
    if command is None:
        raise CommandError(
            "UNKNOWN_COMMAND_OF_TYPE",
            f"entity type {entity_type!r} in {where} takes no command {request.command!r}",
            hint=_names(entity.commands),
        )
    return entity, command


def decide(
    entity: EntityProgram,
    command: CommandProgram,
    fold: Fold,
    request: Request,
    *,
    now: int,
    last_seq: int,
    environment: dict[str, object],
) -> tuple[Event, ...]:
    """Return the events of a command on an entity that stands at `last_seq`, and apply them to its fold.

    Guard and payloads see the entity as it was before. Raises CommandInputError, and CommandError when
    the guard is not true, a payload could not be read again or a constraint would not hold afterwards.
    """
    _, entity_type, entity_id = request.key

    def seen() -> tuple[object, ...]:
        return (entity_type, entity_id, fold.state, fold.updated_ts, fold.attrs, fold.shadows, now, request.actor)

    arguments = (*seen(), checked_input(command, request.input), environment)
    if not command.guard(*arguments):
        raise _guard_refused(request, fold.state)
    payloads = [emitted.payload(*arguments) for emitted in command.emits]
    for emitted, payload in zip(command.emits, payloads, strict=True):
        _require_bounded(request, emitted.event_type, payload)
    events = tuple(
        Event(*request.key, last_seq + number, emitted.event_type, payload, now, request.actor)
        for number, (emitted, payload) in enumerate(zip(command.emits, payloads, strict=True), start=1)
    )
    for event in events:
        _require_readable(request, event)
        fold.apply(event.event_type, event.payload, event)
    broken = [check.id for check in entity.checks if events and not check.holds(*seen())]
    if broken:
        raise _constraint_violated(request, broken)
    return events


def _names(known: Iterable[str]) -> str:
    return f"it has: {', '.join(map(repr, sorted(known))) or 'none'}"


def _guard_refused(request: Request, state: str) -> CommandError:
    return CommandError(
        "GUARD_REFUSED",
        f"command {request.command!r} is refused for {request.key!r} in state {state!r}: its guard is not true",
        hint="nothing was written; a guard may ask for the state, the input, and who sends the command",
    )


def _require_bounded(request: Request, event_type: str, payload: dict[str, object]) -> None:
    """Raise CommandError for a payload that could not be read again, or would grow with each command that copies it."""
    levels = PAYLOAD_VALUE_DEPTH_MAX + 1
    if not is_heavier(payload, levels, VALUE_WEIGHT_MAX):
        return
    if is_heavier(payload, levels, VALUE_WEIGHT_MAX + weight_of(request.input)):
        raise CommandError(
            "PAYLOAD_TOO_LARGE",
            f"command {request.command!r} is refused for {request.key!r}: expected a payload of {event_type!r} with at "
            f"most {PAYLOAD_VALUE_DEPTH_MAX} levels of nesting in a value, and a weight of {VALUE_WEIGHT_MAX:,} beside "
            "that of the input, found more",
            hint="nothing was written; each value weighs one, and each 64 characters of a text one more",
        )


def _require_readable(request: Request, event: Event) -> None:
    """Raise CommandError for an event whose text is longer than a file may hold, since an export could not be read."""
    size = text_bytes(event)
    if size > TEXT_BYTES_MAX:
        raise CommandError(
            "PAYLOAD_TOO_LARGE",
            f"command {request.command!r} is refused for {request.key!r}: expected an event {event.event_type!r} of at "
            f"most {TEXT_BYTES_MAX} bytes of text, found {size}",
            hint="nothing was written; keep what is so large elsewhere, and its name in the input",
        )


def _constraint_violated(request: Request, broken: list[str]) -> CommandError:
    return CommandError(
        "CONSTRAINT_VIOLATED",
        f"command {request.command!r} is refused for {request.key!r}: "
        f"afterwards these would not hold: {', '.join(map(repr, broken))}",
        hint="nothing was written",
    )
