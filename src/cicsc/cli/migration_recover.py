"""`migration-recover`: bring to an end what a run that died has left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import Outcome
from cicsc.cli.verb import Verb, invocation
from cicsc.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType


def _with_epoch(_ctx: click.Context, _param: click.Parameter, given: tuple[str, str] | None) -> tuple[str, int] | None:
    """Read the epoch before the words left over are refused: where it was forgotten, the next flag is in its place."""
    return None if given is None else (given[0], _epoch(given[1]))


def _epoch(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 19:  # noqa: PLR2004 - digits of 64 bits
        return int(text)
    raise UsageError(
        "INVALID_VALUE",
        f"the epoch of --take-over is {text!r}, expected a whole number",
        hint="migration-status shows the run that has a tenant, and its epoch",
    )


@click.command("migration-recover", cls=Verb, short_help="Bring to an end what a run that died left behind.")
@options.store
@options.tenants
@click.option(
    "--take-over",
    metavar="RUN EPOCH",
    nargs=2,
    callback=_with_epoch,
    help="Follow this run although its lease holds; for one that is known to be dead, with its --tenant.",
)
@options.operator_name
@options.summary
@click.pass_context
def migration_recover(
    ctx: click.Context, store: str, tenants: tuple[str, ...], take_over: tuple[str, int] | None, operator: str | None
) -> Outcome:
    """Find the runs that died, and bring each to its end: undone before its switch, completed after it.

    Only a run whose lease is over is touched; one that may still live is told as held, and by whom.
    Nothing to do is ok. Doing it twice is the same as doing it once.
    """
    from cicsc.operations.live.recovery import recover_tenants  # noqa: PLC0415 (start-up: help must not load the operations)
    from cicsc.store import open_store  # noqa: PLC0415 (start-up: help must not load the stores)

    with open_store(store) as opened:
        report = recover_tenants(opened, tenants, operator=operator_name(operator), take_over=take_over)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.live.status_text import recovery_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return recovery_summary(report, call)

    return Outcome(report.exit_code, report.to_json(), summary)
