from __future__ import annotations

import pytest

from cicsc.errors import UsageError
from cicsc.store.lease import lease_ms, pause_ms
from cicsc.store.records import Gate, GateState


@pytest.mark.parametrize(
    ("state", "lease_until_ms", "paused"),
    [("open", None, False), ("paused", 101, True), ("paused", 100, False), ("paused", 99, False)],
)
def test_gate_is_paused_while_its_lease_holds(state: GateState, lease_until_ms: int | None, paused: bool) -> None:
    gate = Gate("t", state, 1, "ann", lease_until_ms, lease_until_ms, 0, "digest", 1, None, clock_ms=100)

    assert gate.is_paused is paused


@pytest.mark.parametrize(("seconds", "expected"), [(0.001, 1), (1, 1000), (1.2345, 1234), (30 * 86400, 2_592_000_000)])
def test_lease_in_milliseconds(seconds: float, expected: int) -> None:
    assert lease_ms(seconds) == expected


@pytest.mark.parametrize("seconds", [0, -1, 0.0009, 30 * 86400 + 1, float("nan"), float("inf")])
def test_lease_out_of_bounds(seconds: float) -> None:
    with pytest.raises(UsageError) as caught:
        lease_ms(seconds)

    assert caught.value.code == "DURATION_INVALID"


def test_longest_pause_is_the_lease_by_default() -> None:
    assert pause_ms(2, None) == (2000, 2000)
    assert pause_ms(2, 3) == (2000, 3000)
    with pytest.raises(UsageError, match="at most 1 s"):
        pause_ms(2, 1)
