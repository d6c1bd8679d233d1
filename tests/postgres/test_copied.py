"""Streams that are copied out are those that are fetched, and a copy that was left ends with its reading."""

from __future__ import annotations

import pytest

import native
from cicsc.history.runs import KeyRange
from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import append, event

ODD = ("1", "2", "a\tb\\\n", "é\U0001f600", '"')


@pytest.fixture(autouse=True)
def history(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    native.go("native", monkeypatch)
    for seq in range(1, 4):
        for entity_id in ODD:
            payload = {"n": seq, "note": 'say "\\"\n', "rare": 1e300 if seq == 3 else 0.5}
            append(store, event(entity_id, seq, "created" if seq == 1 else "paid", payload=payload))


def placed(store: PostgresStore, **options: object) -> list[object]:
    with store.reading("t") as reading:
        return [
            (key, [pair for batch in batches for pair in batch.pairs()])
            for key, batches in reading.placed_streams(**options)
        ]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"upto_position": 8},
        {"upto_position": 0},
        {"within": KeyRange(("t", "Order", "2"), None)},
        {"within": KeyRange(None, ("t", "Order", "2"))},
        {"within": KeyRange(("t", "Order", "2"), ("t", "Order", "a\tb\\\n"))},
        {"generation": 9},
    ],
    ids=str,
)
def test_copied_streams_are_the_fetched_ones(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, options: dict[str, object]
) -> None:
    fetched = placed(store, **options)

    assert placed(store, **options, alone=True) == fetched
    native.go("pure", monkeypatch)
    assert placed(store, **options, alone=True) == fetched


def test_copy_that_was_left_ends_with_its_reading(store: PostgresStore) -> None:
    with store.reading("t") as reading:
        streams = reading.placed_streams(alone=True)
        next(streams)
        streams.close()

    assert len(placed(store, alone=True)) == len(ODD)


@pytest.mark.parametrize("taken", [0, 1, len(ODD)])
def test_error_amid_a_copy_that_is_still_held_passes(store: PostgresStore, taken: int) -> None:
    held = []

    def fail() -> None:
        with store.reading("t") as reading:
            held.append(reading.placed_streams(alone=True))
            for _ in range(taken):
                next(held[0])
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()

    assert len(placed(store, alone=True)) == len(ODD)
