"""Did you mean: the name closest to a misspelt verb, flag or choice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LIKENESS_MIN: Final = 0.5
"""From this likeness on a name is suggested; `dry-run` is like `migration-dry-run` to 0.58."""


def did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str | None:
    """Suggest a known name, which is compared without the prefix that all of them have, since that likens any two."""
    from difflib import get_close_matches  # noqa: PLC0415 (start-up: a call without a slip suggests nothing)

    found = get_close_matches(name, sorted(known), n=1, cutoff=_LIKENESS_MIN)
    return f"did you mean {prefix}{found[0]}?" if found else None
