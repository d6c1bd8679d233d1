"""`migration-rollback`: take a migrated history back, in a file or on a live tenant. Chapter 4 of the runbook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cicsc.cli import options
from cicsc.cli.history_source import store_is_typed, store_named
from cicsc.cli.operator import operator_name
from cicsc.cli.outcome import Outcome, verdict
from cicsc.cli.progress import metered
from cicsc.cli.verb import Verb, invocation
from cicsc.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

_OF_FILES = {
    "events": "--events",
    "target": "--to",
    "out_events": "--out-events",
    "expected_hash": "--expected-hash",
    "metrics_out": "--metrics-out",
}
_OF_STORES = {"execute": "--execute", "max_pause_s": "--max-pause", "lease_s": "--lease", "operator": "--operator"}


@click.command("migration-rollback", cls=Verb, short_help="Take a migrated history back, where that is safe.")
@options.target_of_file
@options.events_or_store
@options.store_of_history
@options.migration
@options.source_optional
@options.out_events
@click.option(
    "--tenant",
    "tenants",
    metavar="TENANT",
    multiple=True,
    help="Of a file: only this tenant; may be repeated. Default: all. Of a store: the tenant, always needed.",
)
@options.expected_hash
@options.max_pause
@options.lease
@options.operator_name
@options.execute
@options.metrics_out
@options.summary
@click.pass_context
def migration_rollback(ctx: click.Context, /, **given: Any) -> Outcome:
    """Take a migrated history back to the version before, where that is safe.

    With --events, a history in a file: without --out-events the way back is only checked. What comes
    out is migrated forward again and must give the very history that went in; then it is written.

    With --store, a live tenant, under the same protocol as its cutover; without --execute it is
    rehearsed. The old generation is made active again where nothing was written since, else the
    inverse of the whole history. Every obstacle is named.
    """
    if given["events"] is None:
        _refuse(ctx, _OF_FILES, store_named(ctx))
        return _of_tenant(ctx, given)
    _refuse(ctx, _OF_STORES | ({"store": "--store"} if store_is_typed(ctx) else {}), "--events")
    return _of_file(ctx, {name: value for name, value in given.items() if name not in {*_OF_STORES, "store"}})


def _say_what_goes_together() -> None:
    """Let the help of each flag that is refused beside --store, or beside --events, say so."""
    for names, beside in ((_OF_FILES, "--events"), (_OF_STORES, "--store")):
        for param in migration_rollback.params:
            if isinstance(param, click.Option) and param.name in names and beside not in param.opts:
                param.help = f"{param.help} Only with {beside}."


_say_what_goes_together()


def _of_file(ctx: click.Context, given: dict[str, Any]) -> Outcome:
    if given["target"] is None:
        raise UsageError(
            "MISSING_FLAG", "migration-rollback needs --to with --events", hint="name the bundle with the migration"
        )
    from cicsc.operations.rollback import rollback  # noqa: PLC0415 (start-up: help must not load the operations)

    with metered(ctx) as progress:
        report = rollback(**given, progress=progress)
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.text import rollback_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return rollback_summary(report, call)

    return verdict(ok=report.ok, document=report.to_json(), summary=summary)


def _of_tenant(ctx: click.Context, given: dict[str, Any]) -> Outcome:
    tenants = given["tenants"]
    if len(tenants) != 1:
        raise UsageError(
            "MISSING_FLAG" if not tenants else "REPEATED_FLAG",
            f"migration-rollback with {store_named(ctx)} takes one --tenant, found {len(tenants)}",
            hint="take tenants back one by one",
        )
    from cicsc.operations.live.rollback import roll_back_live  # noqa: PLC0415 (start-up: help loads nothing)

    with metered(ctx) as progress:
        report = roll_back_live(
            given["store"],
            tenants[0],
            given["migration"],
            source=given["source"],
            execute=given["execute"],
            max_pause_s=given["max_pause_s"],
            lease_s=given["lease_s"],
            operator=operator_name(given["operator"]),
            progress=progress,
        )
    call = invocation(ctx)

    def summary() -> RenderableType:
        from cicsc.report.live.ways_back_text import store_rollback_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return store_rollback_summary(report, call)

    return Outcome(report.exit_code, report.to_json(), summary)


def _refuse(ctx: click.Context, names: dict[str, str], beside: str) -> None:
    """Refuse flags that mean nothing beside the one that was given."""
    for name, flag in names.items():
        if _is_given(ctx, name):
            raise UsageError(
                "CONFLICTING_FLAGS",
                f"{flag} and {beside} exclude each other",
                hint="a file is taken back with --events, a live tenant with --store",
            )


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
