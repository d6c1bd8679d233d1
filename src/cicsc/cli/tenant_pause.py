"""`tenant-pause` and `tenant-resume`: an operator's own pause of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import OK, Outcome
from cicsc.cli.values import Count, Seconds
from cicsc.cli.verb import Verb, invocation

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cicsc.report.invocation import Invocation
    from cicsc.report.live.models import PauseReport

_EPOCH_MAX = 2**63 - 1


@click.command("tenant-pause", cls=Verb, short_help="Refuse writes of a tenant for some time.")
@options.store
@options.tenant
@click.option(
    "--for",
    "seconds",
    metavar="S",
    type=Seconds(),
    required=True,
    help="How long, in seconds; then it opens by itself.",
)
@click.option("--owner", metavar="NAME", help="Whose pause it is. Default: the user of the system.")
@options.summary
@click.pass_context
def tenant_pause(ctx: click.Context, store: str, tenant: str, seconds: float, owner: str | None) -> Outcome:
    """Refuse writes of a tenant, once those under way have ended, until the time is over or tenant-resume.

    A cutover refuses a tenant that is paused so. The report says the owner and the epoch that open it.
    """
    from cicsc.operations.live.pausing import pause_tenant  # noqa: PLC0415 (start-up: help must not load the operations)
    from cicsc.store import open_store  # noqa: PLC0415 (start-up: help must not load the stores)

    with open_store(store) as opened:
        report = pause_tenant(opened, tenant, seconds=seconds, owner=operator_name(owner))
    return _outcome(report, invocation(ctx))


@click.command("tenant-resume", cls=Verb, short_help="Open a tenant that tenant-pause has paused.")
@options.store
@options.tenant
@click.option("--owner", metavar="NAME", required=True, help="Whose pause it is.")
@click.option(
    "--epoch", metavar="N", type=Count(1, _EPOCH_MAX), required=True, help="The epoch that tenant-pause printed."
)
@options.summary
@click.pass_context
def tenant_resume(ctx: click.Context, store: str, tenant: str, owner: str, epoch: int) -> Outcome:
    """Open a tenant that an operator has paused. What a run has paused is not opened by this."""
    from cicsc.operations.live.pausing import resume_tenant  # noqa: PLC0415 (start-up: help must not load the operations)
    from cicsc.store import open_store  # noqa: PLC0415 (start-up: help must not load the stores)

    with open_store(store) as opened:
        report = resume_tenant(opened, tenant, owner=owner, epoch=epoch)
    return _outcome(report, invocation(ctx))


def _outcome(report: PauseReport, call: Invocation) -> Outcome:
    def summary() -> RenderableType:
        from cicsc.report.live.status_text import pause_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return pause_summary(report, call)

    return Outcome(OK, report.to_json(), summary)
