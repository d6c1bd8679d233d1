"""`history-verify`: is a history intact, what is its digest, and does its bundle accept it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cicsc.cli import options
from cicsc.cli.history_source import with_history
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.progress import metered
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("history-verify", cls=Verb, short_help="Check a history's integrity and give its digest.")
@options.together(*options.history)
@click.option(
    "--bundle",
    metavar="BUNDLE",
    help="Also replay the history with this bundle and check its constraints. Default: a store's active bundle.",
)
@options.expected_hash
@options.now
@options.actor
@options.workers
@options.engine
@options.spark_master
@options.metrics_out
@options.summary
@click.pass_context
def history_verify(ctx: click.Context, /, **given: Any) -> Outcome:
    """Check the integrity of a history and give its digest.

    With --bundle or --store the history is also replayed, and the bundle's constraints are checked.
    """
    from cicsc.operations.history import verify_history  # noqa: PLC0415 (start-up: help must not load the operations)

    with metered(ctx) as progress:
        report = verify_history(**with_history(ctx, given), progress=progress)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.text import history_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return history_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
