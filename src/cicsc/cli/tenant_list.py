"""`tenant-list`: every tenant of a store, and what is active for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("tenant-list", cls=Verb, short_help="List the tenants of a store.")
@options.store
@options.summary
def tenant_list(store: str) -> Outcome:
    """List the tenants of a store in the order of their names.

    For each the active version, bundle and generation, and whether it is paused, by whom and until when.
    """
    from cicsc.operations.store_admin import list_tenants  # noqa: PLC0415 (start-up: help must not load the operations)

    report = list_tenants(store)

    def summary() -> RenderableType:
        from cicsc.report.stores_text import list_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return list_summary(report)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
