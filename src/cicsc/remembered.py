"""What was compiled last, found again by the very objects that it was compiled from, since tenants share bundles.

Results must not depend on anything else, and nobody may change them. Nothing is known here of what they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from operator import is_
from typing import Final, TypeVar, TypeVarTuple

KEPT_MAX: Final = 2
"""Results that are kept of one function, so that tenants on two bundles may take turns; one may take much memory."""

Given = TypeVarTuple("Given")
Result = TypeVar("Result")


def remembering(make: Callable[[*Given], Result]) -> Callable[[*Given], Result]:
    """Return a function that calls `make` unless it was given the very same objects, by identity, a short while ago."""
    kept: tuple[tuple[tuple[object, ...], Result], ...] = ()

    @wraps(make)
    def remembered(*given: *Given) -> Result:
        nonlocal kept
        for before, made in kept:
            if len(before) == len(given) and all(map(is_, before, given)):
                return made
        made = make(*given)
        kept = ((given, made), *kept[: KEPT_MAX - 1])  # a whole tuple at once: other threads may look
        return made

    return remembered
