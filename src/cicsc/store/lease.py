"""How long a pause may be, in the unit that stores keep."""

from __future__ import annotations

from typing import Final

from cicsc.errors import UsageError

PAUSE_SECONDS_MIN: Final = 0.001
PAUSE_SECONDS_MAX: Final = 30 * 24 * 3600
"""Nobody pauses a tenant for longer than a month; a longer number is a slip of the hand."""


def lease_ms(seconds: float) -> int:
    """Return the length of a lease in milliseconds; raises UsageError DURATION_INVALID out of bounds."""
    if not PAUSE_SECONDS_MIN <= seconds <= PAUSE_SECONDS_MAX:
        raise UsageError(
            "DURATION_INVALID",
            f"cannot pause for {seconds} s: expected {PAUSE_SECONDS_MIN} to {PAUSE_SECONDS_MAX}",
        )
    return round(seconds * 1000)


def pause_ms(seconds: float, max_seconds: float | None) -> tuple[int, int]:
    """Return the length of the first lease and of the longest pause in milliseconds."""
    lease = lease_ms(seconds)
    longest = lease if max_seconds is None else lease_ms(max_seconds)
    if longest < lease:
        raise UsageError(
            "DURATION_INVALID", f"cannot pause for {seconds} s: the pause may last at most {max_seconds} s"
        )
    return lease, longest
