"""The names that a call gives, such as those of tenants: held to be names, before anything is chosen by them."""

from __future__ import annotations

from collections.abc import Collection

from cicsc.errors import UsageError
from cicsc.history.model import describe


def require_names(names: object, what: str = "tenants") -> None:
    """Raise UsageError unless `names` is a collection of text; a text by itself would pass for its letters."""
    if isinstance(names, str | bytes) or not isinstance(names, Collection):
        found = describe(names)
    elif any(not isinstance(name, str) for name in names):
        found = "among them " + describe(next(name for name in names if not isinstance(name, str)))
    else:
        return
    raise UsageError(
        "INVALID_VALUE", f"{what} is no list of names: found {found}", hint="put a single name into a list"
    )


def wanted_names(tenants: Collection[str]) -> frozenset[str] | None:
    """Return the tenants that a call restricts a history to, None where it names none and so wants all."""
    require_names(tenants)
    return frozenset(tenants) or None


def require_some_or_all(tenants: Collection[str] | None) -> None:
    """Raise UsageError unless `tenants` names at least one, or is None, which means all."""
    if tenants is None:
        return
    require_names(tenants)
    if not tenants:
        raise UsageError("NO_TENANTS", "expected the names of tenants, or None for all, found an empty list")
