"""`migration-dry-run`: the preflight, recorded in a deterministic artifact. Chapter 2 of the runbook."""

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


@click.command("migration-dry-run", cls=Verb, short_help="Check a migration and record the outcome.")
@options.assessment
@click.option("--artifact", metavar="FILE", help="Write the deterministic report here, also when the verdict is no.")
@options.out_events
@click.option("--out-positions", metavar="FILE", help="Write the map from old to new positions here.")
@options.metrics_out
@options.summary
@click.pass_context
def migration_dry_run(ctx: click.Context, /, **given: Any) -> Outcome:
    """Check a migration as migration-preflight does, and record the outcome.

    The artifact is the same, byte for byte, whenever the inputs are. The migrated history and the
    position map are written only when the verdict is yes. Each file appears whole or not at all.
    """
    from cicsc.operations.dry_run import dry_run  # noqa: PLC0415 (start-up: help must not load the operations)

    with metered(ctx) as progress:
        report = dry_run(**with_history(ctx, given), progress=progress)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.text import dry_run_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return dry_run_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
