"""`store-upgrade`: bring the schema of a store to the version of this program, and its fence back to what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("store-upgrade", cls=Verb, short_help="Bring a store to the version of this program.")
@options.store
@click.option(
    "--reinstall-fence", is_flag=True, help="Install the fence anew where it is not as installed; the audit says so."
)
@options.operator_name
@options.summary
@click.pass_context
def store_upgrade(ctx: click.Context, store: str, *, reinstall_fence: bool, operator: str | None) -> Outcome:
    """Bring the schema of a store to the version of this program, in one transaction.

    On a store that is of this version nothing is done, unless its fence is to be installed anew.
    Histories are not touched.
    """
    from cicsc.operations.store_admin import upgrade_store  # noqa: PLC0415 (start-up: help must not load the operations)

    report = upgrade_store(store, reinstall_fence_as=operator_name(operator) if reinstall_fence else None)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.stores_text import upgrade_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return upgrade_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
