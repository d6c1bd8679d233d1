"""`migration-rollback`: take a migrated history back, or name every obstacle. Chapter 4 of the runbook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cicsc.cli import options
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("migration-rollback", cls=Verb, short_help="Take a migrated history back, where that is safe.")
@options.target
@options.events
@options.migration
@options.source_optional
@options.out_events
@options.tenants
@options.expected_hash
@options.summary
@click.pass_context
def migration_rollback(ctx: click.Context, /, **given: Any) -> Outcome:
    """Take a migrated history back to the version before, where that is safe.

    Without --out-events the way back is only checked. What comes out is migrated forward again and must
    give the very history that went in; then, and only then, is it written. Every obstacle is named.
    """
    from cicsc.operations import rollback  # noqa: PLC0415 (start-up: help must not load the operations)

    report = rollback(**given)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.text import rollback_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return rollback_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
