"""Merging runs into streams: which are held as a whole."""

from __future__ import annotations

import pytest

from cicsc.history import merging, runs
from cicsc.history.model import Event
from cicsc.history.sorted import open_history


@pytest.mark.parametrize("block_events", [1, 3, 10])
@pytest.mark.parametrize("budget", [1, 10**9])
def test_stream_has_one_size_in_however_many_blocks(
    monkeypatch: pytest.MonkeyPatch, budget: int, block_events: int
) -> None:
    some = [Event("t", "Order", "1", seq, "paid", {"n": seq}, seq, "me") for seq in range(9, 0, -1)]
    size = sum(len(runs.encode_record(event)) + 1 for event in some)
    monkeypatch.setattr(runs, "BLOCK_EVENTS_MAX", block_events)
    for bound, is_list in ((size, True), (size - 1, False)):
        monkeypatch.setattr(merging, "HELD_BYTES_MAX", bound)
        with open_history(some, memory_bytes_max=budget) as history:
            assert [isinstance(found, list) for _, found in history.streams()] == [is_list]
