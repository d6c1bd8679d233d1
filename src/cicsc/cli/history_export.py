"""`history-export`: from a store to a file, whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.history_source import stored_history
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.progress import metered
from cicsc.cli.values import Integer
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("history-export", cls=Verb, short_help="Write histories of a store to a file.")
@options.store
@options.stored_tenants
@options.all_tenants
@click.option(
    "--out-events",
    metavar="FILE",
    required=True,
    help="Where the histories go; the format follows the ending.",
)
@click.option(
    "--generation",
    metavar="N",
    type=Integer(1),
    help="An earlier generation of one tenant, which the store still keeps. Default: the active one.",
)
@options.store_workers
@options.metrics_out
@options.summary
@click.pass_context
def history_export(
    ctx: click.Context,
    store: str,
    tenants: tuple[str, ...],
    out_events: str,
    generation: int | None,
    workers: int | None,
    *,
    all_tenants: bool,
) -> Outcome:
    """Write the histories of tenants to one file, and give its digest.

    Each tenant is as it was at one moment, whatever is written meanwhile. The file appears whole or not at all.
    """
    source = stored_history(ctx, store, tenants, every=all_tenants)

    from cicsc.operations.export_history import export_history  # noqa: PLC0415 (start-up: help must not load the operations)

    with metered(ctx) as progress:
        report = export_history(source, out_events, generation=generation, workers=workers, progress=progress)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.stores_text import export_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return export_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
