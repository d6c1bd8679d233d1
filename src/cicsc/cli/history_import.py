"""`history-import`: from a file into a store, each tenant all or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import Outcome
from cicsc.cli.progress import metered
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("history-import", cls=Verb, short_help="Bring histories into a store.")
@options.store
@options.events
@options.tenants
@options.operator_name
@options.metrics_out
@options.summary
@click.pass_context
def history_import(
    ctx: click.Context, store: str, events: str, tenants: tuple[str, ...], operator: str | None
) -> Outcome:
    """Bring the histories of a file into tenants that tenant-create has made.

    Of each tenant all events are written or none; one that fails does not keep the others from being
    imported. A tenant that holds the same history already stays as it is, so that a call can be run again.
    """
    from cicsc.operations.import_history import import_history  # noqa: PLC0415 (start-up: help must not load the operations)

    with metered(ctx) as progress:
        report = import_history(store, events, tenants=tenants, actor_id=operator_name(operator), progress=progress)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.stores_text import import_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return import_summary(report, call)

    return Outcome(report.exit_code, report.to_json(), summary)
