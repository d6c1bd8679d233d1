"""`tenant-create`: a tenant with an empty history, on a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.values import Integer
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType


@click.command("tenant-create", cls=Verb, short_help="Create a tenant.")
@options.store
@options.tenant
@click.option("--bundle", metavar="BUNDLE", required=True, help="The bundle that the tenant is on; the store keeps it.")
@click.option(
    "--version",
    metavar="N",
    type=Integer(),
    help="The version of the application. Default: the bundle_version that the bundle names.",
)
@options.operator_name
@options.summary
@click.pass_context
def tenant_create(
    ctx: click.Context, store: str, tenant: str, bundle: str, version: int | None, operator: str | None
) -> Outcome:
    """Create a tenant, open for writing and with an empty history.

    Its bundle says which events the store takes. --version is needed where the bundle names none.
    """
    from cicsc.operations.store_admin import create_tenant  # noqa: PLC0415 (start-up: help must not load the operations)

    report = create_tenant(store, tenant, bundle, version=version, actor_id=operator_name(operator))
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.stores_text import create_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return create_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)
