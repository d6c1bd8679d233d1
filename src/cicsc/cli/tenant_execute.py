"""`tenant-execute`: one command on one entity of a tenant, as its active bundle says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cicsc.cli import options
from cicsc.cli.outcome import OK, Outcome
from cicsc.cli.values import Milliseconds, Seq
from cicsc.cli.verb import Verb
from cicsc.errors import InputError, UsageError, system_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

INPUT_BYTES_MAX: Final = 2**20
"""Bytes of the JSON text of an input; what is larger is no command, but an import."""


@click.command("tenant-execute", cls=Verb, short_help="Carry out a command on an entity of a tenant.")
@options.store
@options.tenant
@click.option("--type", "entity_type", metavar="TYPE", required=True, help="The type of the entity.")
@click.option(
    "--id", "entity_id", metavar="ID", required=True, help="The id of the entity, which need not be there yet."
)
@click.option("--command", metavar="NAME", required=True, help="The command, as the active bundle declares it.")
@click.option("--input", "input_text", metavar="JSON", help="The input of the command, a JSON object. Default: {}.")
@click.option("--input-file", metavar="FILE", help="The same from a file; - for standard input.")
@click.option(
    "--actor", metavar="ACTOR", default="operator", show_default=True, help="Who guards and events see as the actor."
)
@click.option(
    "--role",
    "roles",
    metavar="ROLE",
    multiple=True,
    help="A role that the actor has, for guards that ask has_role or role_of; may be repeated.",
)
@click.option(
    "--command-id", metavar="ID", help="The id of this request: asked for again with it, it is not done again."
)
@click.option(
    "--expected-seq", metavar="SEQ", type=Seq(), help="Refuse unless this is the seq of the last event; 0: none."
)
@click.option(
    "--now", metavar="MS", type=Milliseconds(), help="The time of the events. Default: the clock of the database."
)
@options.summary
def tenant_execute(
    store: str,
    tenant: str,
    entity_type: str,
    entity_id: str,
    command: str,
    input_text: str | None,
    input_file: str | None,
    actor: str,
    roles: tuple[str, ...],
    command_id: str | None,
    expected_seq: int | None,
    now: int | None,
) -> Outcome:
    """Carry out a command on an entity: guard, events, constraints, snapshot and receipt in one transaction.

    Guards that ask has_role or role_of are told the roles of --role; whatever else they ask of an
    application (auth_ok, allowed, constraint) is null here.
    """
    given = _input(input_text, input_file)

    from cicsc.runtime import Runtime  # noqa: PLC0415 (start-up: help must not load the runtime)
    from cicsc.store import open_store  # noqa: PLC0415 (start-up: help must not load the stores)

    with open_store(store) as opened:
        result = Runtime(opened, host=_host(actor, roles)).execute(
            tenant,
            entity_type,
            entity_id,
            command,
            given,
            actor=actor,
            now=now,
            command_id=command_id,
            expected_seq=expected_seq,
        )
    report = result.report()

    def summary() -> RenderableType:
        from cicsc.report.commands_text import execution_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return execution_summary(report)

    return Outcome(OK, report.to_json(), summary)


def _host(actor: str, roles: tuple[str, ...]) -> dict[str, Callable[..., object]]:
    """Return the functions that guards may call: the actor has the roles that were given, nobody else has any."""
    return {
        "has_role": lambda *asked: len(asked) == 2 and asked[0] == actor and asked[1] in roles,  # noqa: PLR2004 - who, which
        "role_of": lambda *asked: roles[0] if asked == (actor,) and roles else None,
    }


def _input(text: str | None, path: str | None) -> dict[str, object]:
    """Return the object that was given; raises UsageError for two of them, and InputError for none."""
    if text is not None and path is not None:
        raise UsageError(
            "INVALID_VALUE", "tenant-execute has --input and --input-file, expected one of them", hint="leave one out"
        )
    if text is None and path is None:
        return {}

    from cicsc.decoding import decode_json  # noqa: PLC0415 (start-up: help decodes nothing)

    origin, data = ("--input", (text or "").encode()) if path is None else (f"input {path!r}", _read(path))
    if len(data) > INPUT_BYTES_MAX:
        raise InputError("INPUT_TOO_LARGE", f"{origin} is larger than {INPUT_BYTES_MAX} bytes")
    value = decode_json(data, origin)
    if not isinstance(value, dict):
        raise InputError(
            "INPUT_NOT_AN_OBJECT", f"{origin} is no JSON object", hint="""such as --input '{"total": 5}'"""
        )
    return value


def _read(path: str) -> bytes:
    """Read a file, no further than it takes to see that it is too large."""
    try:
        if path == "-":
            return sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
        with Path(path).open("rb") as file:
            return file.read(INPUT_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            "INPUT_UNREADABLE", f"cannot read input {path!r}: {system_reason(error)}", hint="check the path"
        ) from error
