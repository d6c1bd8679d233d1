"""Did you mean: the name closest to a misspelt verb, flag or choice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LIKENESS_MIN: Final = 0.5
"""From this likeness on a name is suggested; `dry-run` is like `migration-dry-run` to 0.58."""


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` most likely stands for."""
    from difflib import get_close_matches  # noqa: PLC0415 (start-up: a call without a slip suggests nothing)

    found = get_close_matches(name, sorted(known), n=1, cutoff=_LIKENESS_MIN)
    return found[0] if found else None
