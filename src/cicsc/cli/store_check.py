"""`store-check`: is the fence as installed, are streams gapless, do snapshots equal the fold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("store-check", cls=Verb, short_help="Look a store over.")
@options.store
@options.tenants
@options.summary
@click.pass_context
def store_check(ctx: click.Context, store: str, tenants: tuple[str, ...]) -> Outcome:
    """Look over a store, and change nothing.

    Whether the fence is as installed, every stream of the active histories is gapless and replays, and
    every snapshot is what its events fold to.
    """
    from cicsc.operations.store_admin import check_store  # noqa: PLC0415 (start-up: help must not load the operations)

    report = check_store(store, tenants)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.stores_text import check_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return check_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
