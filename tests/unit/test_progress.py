"""Streams that pass are counted: by list, by batch, and exactly."""

import pytest

from cicsc.progress import NOTED_EVENTS, Amount, Relayed, noted


def passed(streams):
    told: list[Amount] = []
    taken = [(key, list(stream)) for key, stream in noted(streams, Relayed(told.append))]
    return taken, told


def test_nothing_has_passed():
    assert passed([]) == ([], [Amount()])


def test_small_streams_are_noted_together():
    streams = [("a", [1, 2]), ("b", [3])]
    assert passed(streams) == (streams, [Amount(events=3, streams=2)])


@pytest.mark.parametrize("more", [-1, 0, 1, NOTED_EVENTS + 7])
def test_a_large_stream_is_noted_as_it_passes(more):
    count = NOTED_EVENTS + more
    taken, told = passed([("a", iter(range(count)))])

    assert taken == [("a", list(range(count)))]
    assert sum(amount.events for amount in told) == count
    assert sum(amount.streams for amount in told) == 1
    assert max(amount.events for amount in told) <= NOTED_EVENTS


def test_a_stream_is_noted_when_it_has_passed():
    told: list[Amount] = []
    streams = noted([("a", [0] * NOTED_EVENTS), ("b", [1])], Relayed(told.append))
    next(streams)
    assert told == []
    next(streams)
    assert told == [Amount(events=NOTED_EVENTS, streams=1)]
