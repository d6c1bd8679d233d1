"""`migration-status`: how live tenants stand, for people, for programs and for a collector of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.outcome import OK, Outcome
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("migration-status", cls=Verb, short_help="Tell how the tenants of a store stand.")
@options.store
@options.tenants
@click.option("--metrics-out", metavar="FILE", help="Write the same here in the text format of Prometheus.")
@options.summary
@click.pass_context
def migration_status(ctx: click.Context, store: str, tenants: tuple[str, ...], metrics_out: str | None) -> Outcome:
    """Tell how tenants stand: version, who has them, how far a run has come, how long a pause has taken.

    Changes nothing. The file of metrics is replaced as a whole.
    """
    from cicsc.operations.live.status import tenant_status  # noqa: PLC0415 (start-up: help must not load the operations)
    from cicsc.store import open_store  # noqa: PLC0415 (start-up: help must not load the stores)

    with open_store(store) as opened:
        report = tenant_status(opened, tenants, metrics_out=metrics_out)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.live.status_text import status_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return status_summary(report, call)

    return Outcome(OK, report.to_json(), summary)
