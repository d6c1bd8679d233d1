"""`store-upgrade`: bring the schema of a store to the version of this program."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.verb import Verb

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("store-upgrade", cls=Verb, short_help="Bring a store to the version of this program.")
@options.store
@options.summary
def store_upgrade(store: str) -> Outcome:
    """Bring the schema of a store to the version of this program, in one transaction.

    On a store that is of this version nothing is done. Histories are not touched.
    """
    from cicsc.operations.store_admin import upgrade_store  # noqa: PLC0415 (start-up: help must not load the operations)

    report = upgrade_store(store)

    def summary() -> RenderableType:
        from cicsc.report.stores import upgrade_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return upgrade_summary(report)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
