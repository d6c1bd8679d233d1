"""How much is tried: a little while one works, what CI has time for, or everything (`make full`).

Environment:
    CI            the sizes of CI in place of the small ones
    CICSC_FULL    the full sizes, and the tests that carry `full`, which are left out otherwise
"""

from __future__ import annotations

import os

FULL = bool(os.environ.get("CICSC_FULL"))
CI = FULL or bool(os.environ.get("CI"))


def size(small: int, *, ci: int, full: int) -> int:
    """Choose the number for this run."""
    return full if FULL else ci if CI else small
