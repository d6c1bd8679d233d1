"""Moments and durations, written for people: UTC, and the largest unit that says enough."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_MS: Final = 1000
_MINUTE_MS: Final = 60 * _SECOND_MS
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS

_MOMENT: Final = re.compile(r"\b(until|since|at|is) (\d{12,13})\b")
"""A moment in a message of a store, after 1973 and before 2286."""


def dated(message: str) -> str:
    """Return a message of a store with its moments as people read them; what is for machines keeps milliseconds."""
    return _MOMENT.sub(lambda found: f"{found[1]} {utc(int(found[2]))}", message)


def utc(at_ms: int) -> str:
    """Write a moment in milliseconds since the epoch: `2026-11-25 12:23:58.120 UTC`."""
    try:
        return f"{(_EPOCH + timedelta(milliseconds=at_ms)).strftime('%Y-%m-%d %H:%M:%S')}.{at_ms % 1000:03} UTC"
    except OverflowError:
        return f"{at_ms} ms"


def lasting(milliseconds: int) -> str:
    """Write a duration: `240 ms`, `2.4 s`, `3 min 20 s`, `5 h 2 min`, `3 d 4 h`."""
    if milliseconds < _SECOND_MS:
        return f"{milliseconds} ms"
    if milliseconds < _MINUTE_MS:
        return f"{milliseconds / _SECOND_MS:.1f} s"
    for unit, name, smaller, smaller_name in (
        (_DAY_MS, "d", _HOUR_MS, "h"),
        (_HOUR_MS, "h", _MINUTE_MS, "min"),
        (_MINUTE_MS, "min", _SECOND_MS, "s"),
    ):
        if milliseconds >= unit:
            return f"{milliseconds // unit} {name} {milliseconds % unit // smaller} {smaller_name}"
    raise AssertionError
