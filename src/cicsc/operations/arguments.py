"""What a call asks beside its inputs, held to what it may be: a slip here would weaken a check, and nobody would know.

The command line has checked its flags already; a program that calls the library has not.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from cicsc.errors import UsageError
from cicsc.expression import describe, suggestion
from cicsc.history.model import INTEGER_MAX, INTEGER_MIN
from cicsc.history.plain import plain_value

Equivalence = Literal["final", "every-event"]

_EQUIVALENCES: Final[tuple[str, ...]] = get_args(Equivalence)


def require_view(now: object, actor: object) -> None:
    """Raise UsageError unless constraints can see `now` and `actor`; None is what a call leaves out."""
    if now is not None and not (type(now) is int and INTEGER_MIN <= now <= INTEGER_MAX):
        raise UsageError(
            "INVALID_VALUE",
            f"now is no moment: expected milliseconds since the epoch, an integer of at most 64 bits, "
            f"found {describe(now)}",
        )
    if actor is not None and not isinstance(actor, str):
        raise UsageError("INVALID_VALUE", f"actor is no name: expected a string, found {describe(actor)}")
    plain_value(actor, "the actor")


def require_migration(migration: object) -> None:
    """Raise UsageError unless `migration` is the name of one."""
    if not isinstance(migration, str):
        raise UsageError("INVALID_VALUE", f"migration is no name: expected a string, found {describe(migration)}")


def require_tenant(tenant_id: object) -> None:
    """Raise UsageError unless `tenant_id` is the name of one tenant."""
    if not isinstance(tenant_id, str):
        raise UsageError("INVALID_VALUE", f"tenant is no name: expected a string, found {describe(tenant_id)}")


def require_equivalence(equivalence: object) -> None:
    """Raise UsageError unless there is such an equivalence."""
    if equivalence not in _EQUIVALENCES:
        raise UsageError(
            "INVALID_VALUE",
            f"equivalence is no gate: expected {' or '.join(_EQUIVALENCES)}, found {describe(equivalence)}"
            f"{suggestion(equivalence, _EQUIVALENCES)}",
        )


def require_entity(entity: object) -> None:
    """Raise UsageError unless `entity` is a pair of an entity type and an id."""
    if not (isinstance(entity, tuple) and len(entity) == 2 and all(isinstance(part, str) for part in entity)):  # noqa: PLR2004
        raise UsageError(
            "INVALID_VALUE", f"entity is none: expected a tuple of its type and its id, found {describe(entity)}"
        )
