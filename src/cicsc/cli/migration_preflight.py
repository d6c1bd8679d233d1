"""`migration-preflight`: may this migration go ahead? Chapter 1 of the runbook; changes nothing."""

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


@click.command("migration-preflight", cls=Verb, short_help="Check a migration on the whole history.")
@options.assessment
@options.metrics_out
@options.summary
@click.pass_context
def migration_preflight(ctx: click.Context, /, **given: Any) -> Outcome:
    """Check a migration on the whole history, without changing anything.

    Both bundles, the migration, the integrity of the history, the replay and the constraints on both
    sides, and that every entity means the same after as before.
    """
    from cicsc.operations.preflight import preflight  # noqa: PLC0415 (start-up: help must not load the operations)

    with metered(ctx) as progress:
        report = preflight(**with_history(ctx, given), progress=progress)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.text import preflight_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return preflight_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
