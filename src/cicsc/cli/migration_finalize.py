"""`migration-finalize`: drop the generations that tenants have left behind, on request and when all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.history_source import require_tenants_or_all
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import Outcome
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("migration-finalize", cls=Verb, short_help="Drop the generations that tenants have left behind.")
@options.store
@options.stored_tenants
@options.all_tenants
@options.lease_without_pause
@options.operator_name
@options.execute
@options.summary
@click.pass_context
def migration_finalize(
    ctx: click.Context,
    store: str,
    tenants: tuple[str, ...],
    all_tenants: bool,
    lease_s: float,
    operator: str | None,
    execute: bool,
) -> Outcome:
    """Drop every generation of tenants but the active one.

    Only where the active one is intact and replayable just now. The tenant stays open. Without
    --execute it is told what would go. Afterwards there is no way back but through the inverse.
    """
    require_tenants_or_all(ctx, tenants, every=all_tenants)
    from cicsc.operations.live.finalize import finalize  # noqa: PLC0415 (start-up: help loads nothing)

    report = finalize(store, tenants or None, execute=execute, lease_s=lease_s, operator=operator_name(operator))
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.live.ways_back_text import finalize_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return finalize_summary(report, call)

    return Outcome(report.exit_code, report.to_json(), summary)
