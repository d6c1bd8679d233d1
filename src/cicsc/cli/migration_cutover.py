"""`migration-cutover`: pause, verify, migrate, switch and resume live tenants. Chapter 3 of the runbook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cicsc.cli import options
from cicsc.cli.history_source import require_tenants_or_all
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import Outcome
from cicsc.cli.people import say
from cicsc.cli.progress import tenants_metered
from cicsc.cli.values import Count
from cicsc.cli.verb import SUMMARY, Verb, invocation

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from cicsc.report.invocation import Invocation
    from cicsc.report.live.models import Cutover, Cutovers


@click.command("migration-cutover", cls=Verb, short_help="Move live tenants of a store to a new version.")
@options.store
@options.stored_tenants
@options.all_tenants
@options.target
@options.migration
@click.option("--artifact", metavar="PLAN", help="The approved dry run: refuse whatever it does not approve.")
@options.max_pause
@options.lease
@click.option(
    "--terminate-idle-writers",
    is_flag=True,
    help="End the sessions that idle in a transaction and keep a tenant from being paused; PostgreSQL only.",
)
@click.option(
    "--parallel", metavar="N", type=Count(1, 64), default=1, show_default=True, help="Tenants at once, as processes."
)
@options.tenant_workers
@options.now
@options.actor
@options.equivalence
@options.accept_source_violations
@options.operator_name
@options.execute
@options.summary
@click.pass_context
def migration_cutover(
    ctx: click.Context,
    /,
    store: str,
    tenants: tuple[str, ...],
    all_tenants: bool,
    operator: str | None,
    **given: Any,
) -> Outcome:
    """Move live tenants to a new version: pause, verify, migrate, switch, resume.

    Each tenant is checked while it is open, and paused only when all is well. It is open again at the
    end, on exactly one version, whatever happens. Without --execute it is rehearsed: the checks, the
    predicted pause and the verdict. One tenant that fails never touches another.
    """
    require_tenants_or_all(ctx, tenants, every=all_tenants)
    from cicsc.operations.live.cutovers import cutover_pause_migrate_resume  # noqa: PLC0415 (start-up: help loads nothing)

    call, is_one = invocation(ctx), len(set(tenants)) == 1
    tell = _no_line if is_one else _teller(str(ctx.find_root().meta.get(SUMMARY, "auto")))
    with tenants_metered(ctx, at_once=given["parallel"] > 1) as meter:
        report = cutover_pause_migrate_resume(
            store,
            tenants or None,
            operator=operator_name(operator),
            on_begin=meter.begun,
            on_tenant=lambda done: meter.done(lambda: tell(done)),
            progress=meter,
            **given,
        )
    if is_one and report.tenants:
        return _outcome_of_one(report.tenants[0], call)
    return _outcome_of_all(report, call)


def _outcome_of_one(report: Cutover, call: Invocation) -> Outcome:
    def summary() -> RenderableType:
        from cicsc.report.live.cutover_text import cutover_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return cutover_summary(report, call)

    return Outcome(report.exit_code, report.to_json(), summary)


def _outcome_of_all(report: Cutovers, call: Invocation) -> Outcome:
    def summary() -> RenderableType:
        from cicsc.report.live.cutovers_text import cutovers_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return cutovers_summary(report, call)

    return Outcome(report.exit_code, report.to_json(), summary)


def _no_line(_: Cutover) -> None:
    """Print nothing of a tenant by itself."""


def _teller(mode: str) -> Callable[[Cutover], None]:
    """Return what prints a line for each tenant as it is ready, also where standard error is no terminal."""
    if mode == "never":
        return _no_line
    from cicsc.report.live.cutover_words import told  # noqa: PLC0415 (start-up: help loads nothing)

    return lambda report: say(told(report))
