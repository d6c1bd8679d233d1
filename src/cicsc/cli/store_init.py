"""`store-init`: create a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("store-init", cls=Verb, short_help="Create a store.")
@options.store
@options.summary
def store_init(store: str) -> Outcome:
    """Create a store: a new SQLite file, or what it needs in a PostgreSQL database that is there.

    On a store that exists nothing is done.
    """
    from cicsc.operations.store_admin import initialise_store  # noqa: PLC0415 (start-up: help must not load the operations)

    report = initialise_store(store)

    def summary() -> RenderableType:
        from cicsc.report.stores_text import init_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return init_summary(report)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
