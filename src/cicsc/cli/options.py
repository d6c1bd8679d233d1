"""The flags that several verbs share, each described once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cicsc.cli.values import Choice, Count, Milliseconds, Seconds
from cicsc.cli.verb import METRICS, SUMMARY, Alternative

Callback = TypeVar("Callback", bound=Callable[..., Any])
Decorator = Callable[[Callback], Callback]


STORE_VARIABLE = "CICSC_STORE"
"""Where the URL of the store may stand, so that its password is not seen in the list of processes."""


def _keep_summary(ctx: click.Context, _param: click.Parameter, value: str) -> None:
    ctx.find_root().meta[SUMMARY] = value


def _keep_metrics(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    ctx.find_root().meta[METRICS] = value


source = click.option(
    "--from",
    "source",
    metavar="BUNDLE",
    cls=Alternative,
    needless_with="--store",
    help="The bundle that wrote the history; with --store it is the active one.",
)
target_of_file = click.option(
    "--to",
    "target",
    metavar="BUNDLE",
    cls=Alternative,
    needless_with="--store",
    help="The bundle that holds the migration; of a store it is the active one.",
)
source_optional = click.option(
    "--from", "source", metavar="BUNDLE", help="The bundle before the migration, to check what comes out against."
)
target = click.option("--to", "target", metavar="BUNDLE", required=True, help="The bundle that holds the migration.")
events = click.option(
    "--events",
    metavar="FILE",
    required=True,
    help="The history: JSON array, JSON Lines or Parquet, also .gz and .zst; - for standard input.",
)
events_or_store = click.option(
    "--events",
    metavar="FILE",
    cls=Alternative,
    instead="--store",
    help="The history: JSON array, JSON Lines or Parquet, also .gz and .zst; - for standard input.",
)
store = click.option(
    "--store",
    "store",
    metavar="URL",
    envvar=STORE_VARIABLE,
    required=True,
    help=f"The store: sqlite:///FILE or postgresql://... Default: the environment variable {STORE_VARIABLE}.",
)
store_of_history = click.option(
    "--store",
    "store",
    metavar="URL",
    envvar=STORE_VARIABLE,
    help="In place of --events: the store that holds the history, sqlite:///FILE or postgresql://... Default: the "
    f"environment variable {STORE_VARIABLE}.",
)
all_tenants = click.option("--all", "all_tenants", is_flag=True, help="Every tenant of the store.")
stored_tenants = click.option(
    "--tenant", "tenants", metavar="TENANT", multiple=True, help="This tenant of the store; may be repeated."
)
tenant = click.option("--tenant", metavar="TENANT", required=True, help="The tenant.")
migration = click.option("--migration", metavar="ID", required=True, help="The id of the migration.")
tenants = click.option(
    "--tenant", "tenants", metavar="TENANT", multiple=True, help="Only this tenant; may be repeated. Default: all."
)
tenants_of_history = click.option(
    "--tenant",
    "tenants",
    metavar="TENANT",
    multiple=True,
    help="Only this tenant; may be repeated. Default: all of a file; of a store, name them or give --all.",
)
operator_name = click.option(
    "--operator", metavar="NAME", help="Who does it, for the journal. Default: the user of the system."
)
history = (events_or_store, store_of_history, tenants_of_history, all_tenants)
"""Where a history comes from: a file or a store."""

now = click.option(
    "--now",
    metavar="MS",
    type=Milliseconds(),
    help="What constraints see as now, in milliseconds since the epoch. Default: the history's largest ts.",
)
actor = click.option("--actor", metavar="ACTOR", help="Who constraints see as the actor. Default: nobody (null).")
max_pause = click.option(
    "--max-pause",
    "max_pause_s",
    metavar="S",
    type=Seconds(),
    default=60.0,
    help="The longest pause of a tenant, in seconds. Default: 60.",
)


def _lease(what: str) -> Decorator[Any]:
    text = f"After how many seconds {what} if this process dies. Default: 15."
    return click.option("--lease", "lease_s", metavar="S", type=Seconds(), default=15.0, help=text)


lease = _lease("a tenant opens by itself")
lease_without_pause = _lease("another may go on")
execute = click.option("--execute", is_flag=True, help="Do it; without this flag it is rehearsed, and nothing changes.")
expected_hash = click.option("--expected-hash", metavar="HASH", help="The digest that the history must have.")
equivalence = click.option(
    "--equivalence",
    type=Choice("final", "every-event"),
    default="final",
    show_default=True,
    help="Compare each entity at the end of its history, or after every event.",
)
accept_source_violations = click.option(
    "--accept-source-violations",
    metavar="CONSTRAINT",
    multiple=True,
    help="Go on although the source history violates this constraint of its own version; may be repeated.",
)
out_events = click.option(
    "--out-events", metavar="FILE", help="Write the resulting history here; the format follows the ending."
)


def _workers(text: str) -> Decorator[Any]:
    return click.option("--workers", metavar="N", type=Count(1, 64), help=f"How many processes share {text}")


workers = _workers(
    "a large file, or a large history of a store on PostgreSQL. Default: one for each core. The result is the same for "
    "any number."
)
store_workers = _workers(
    "a large history of a store on PostgreSQL. Default: one for each core. The result is the same for any number."
)
tenant_workers = _workers("a large tenant, on PostgreSQL. Default: one for each core; with --parallel, one.")
engine = click.option(
    "--engine",
    type=Choice("local", "spark"),
    default="local",
    show_default=True,
    help="What does the work: processes of this machine, or Apache Spark; then --events may be a folder or a glob. The "
    "result is the same.",
)
spark_master = click.option(
    "--spark-master",
    metavar="URL",
    help="Where Spark runs: local[N], spark://HOST:PORT, yarn, ... Default: what spark-submit says, else this machine.",
)
metrics_out = click.option(
    "--metrics-out",
    metavar="FILE",
    expose_value=False,
    callback=_keep_metrics,
    help="Write here what it took, as JSON: events, streams, bytes, seconds by phase, memory.",
)
summary = click.option(
    "--summary",
    type=Choice("auto", "always", "never"),
    default="auto",
    show_default=True,
    expose_value=False,
    callback=_keep_summary,
    help="The readable summary on standard error; auto: when it is a terminal.",
)


def together(*options: Decorator[Any]) -> Decorator[Any]:
    """Apply options so that the help lists them in the order given."""

    def decorate(function: Callback) -> Callback:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


assessment = together(
    source,
    target,
    events_or_store,
    store_of_history,
    migration,
    tenants_of_history,
    all_tenants,
    expected_hash,
    now,
    actor,
    equivalence,
    accept_source_violations,
    workers,
    engine,
    spark_master,
)
"""What preflight and dry run are told, with the same meaning."""
