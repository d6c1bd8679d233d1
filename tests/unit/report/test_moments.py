"""Moments and durations, as people read them."""

from __future__ import annotations

import pytest

from cicsc.report.moments import dated, lasting, utc


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01 00:00:00.000 UTC"),
        (1795609438120, "2026-11-25 12:23:58.120 UTC"),
        (-1, "1969-12-31 23:59:59.999 UTC"),
        (2**63 - 1, "9223372036854775807 ms"),
    ],
)
def test_utc(at_ms: int, text: str) -> None:
    assert utc(at_ms) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (59_900, "59.9 s"),
        (60_000, "1 min 0 s"),
        (200_000, "3 min 20 s"),
        (3_600_000, "1 h 0 min"),
        (100 * 3_600_000, "4 d 4 h"),
    ],
)
def test_lasting(milliseconds: int, text: str) -> None:
    assert lasting(milliseconds) == text


def test_moments_of_a_message_are_dated_and_nothing_else_is() -> None:
    message = "paused by 'ann' until 1795609438120, now is 1795609438119; run 1795609438120, since 12 s"

    assert dated(message) == (
        "paused by 'ann' until 2026-11-25 12:23:58.120 UTC, now is 2026-11-25 12:23:58.119 UTC; "
        "run 1795609438120, since 12 s"
    )
