"""From the flags that say where a history comes from to the one thing that operations take: a file, or a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from click.core import ParameterSource

from cicsc.cli.options import STORE_VARIABLE
from cicsc.errors import UsageError

if TYPE_CHECKING:
    import click

    from cicsc.operations.sources import StoreSource


def with_history(ctx: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given with `events` and `tenants` in place of --events, --store, --all and --tenant.

    A store of the environment counts only where no file is given. Raises UsageError.
    """
    events, store, every = given.pop("events"), given.pop("store"), given.pop("all_tenants")
    if events is None:
        return given | {"events": stored_history(ctx, store, given.pop("tenants"), every=every), "tenants": ()}
    if store_is_typed(ctx):
        raise _conflict("--events", "--store", "a history comes from a file or from a store")
    if every:
        raise _conflict("--events", "--all", "without --tenant all of a file are taken")
    return given | {"events": events}


def stored_history(ctx: click.Context, store: str, tenants: tuple[str, ...], *, every: bool) -> StoreSource:
    """Return the histories of the tenants that are named, or of all; raises UsageError unless it is one of both."""
    require_tenants_or_all(ctx, tenants, every=every)
    from cicsc.operations.sources import StoreSource  # noqa: PLC0415 (start-up: help must not load the operations)

    return StoreSource(store, None if every else tenants)


def require_tenants_or_all(ctx: click.Context, tenants: tuple[str, ...], *, every: bool) -> None:
    """Raise UsageError unless tenants are named or all are taken, and not both."""
    if every and tenants:
        raise _conflict("--all", "--tenant", "name the tenants, or take all")
    if not every and not tenants:
        raise UsageError(
            "MISSING_FLAG",
            f"{store_named(ctx)} needs --tenant or --all",
            hint="name the tenants; tenant-list shows them",
        )


def store_is_typed(ctx: click.Context) -> bool:
    """Tell whether the store was named in the call, and not by the environment."""
    return ctx.get_parameter_source("store") is ParameterSource.COMMANDLINE


def store_named(ctx: click.Context) -> str:
    """Name what names the store, for a message about the call."""
    return "--store" if store_is_typed(ctx) else f"the store of {STORE_VARIABLE}"


def _conflict(one: str, other: str, hint: str) -> UsageError:
    return UsageError("CONFLICTING_FLAGS", f"{one} and {other} exclude each other", hint=hint)
