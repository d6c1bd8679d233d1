"""A fold that goes on from a snapshot is the fold of the whole stream."""

from __future__ import annotations

from cicsc.history.model import Event
from cicsc.replay.fold import Fold, replay_steps
from cicsc.replay.reducers import compile_types
from conformance.runtime.bank import BANK

PROGRAM = compile_types(BANK)["Account"]
KEY = ("t", "Account", "1")
EVENTS = [
    Event(*KEY, seq, event_type, {"amount": seq, "owner": [seq]}, 10 * seq, "ann")
    for seq, event_type in enumerate(("opened", "deposited", "withdrawn", "closed"), start=1)
]


def test_fold_goes_on_from_every_snapshot() -> None:
    snapshots = [snapshot for _, _, snapshot in replay_steps(PROGRAM, KEY, EVENTS)]
    for number, snapshot in enumerate(snapshots, start=1):
        fold = Fold(PROGRAM, snapshot)
        for event in EVENTS[number:]:
            assert fold.apply(event.event_type, event.payload, event)

        assert fold.snapshot(KEY, 4) == snapshots[-1]


def test_snapshot_that_a_fold_starts_from_stays_as_it_is() -> None:
    *_, snapshot = (found for _, _, found in replay_steps(PROGRAM, KEY, EVENTS[:1]))
    fold = Fold(PROGRAM, snapshot)
    fold.apply("deposited", {"amount": 9}, EVENTS[1])

    assert (snapshot.attrs, snapshot.shadows) == ({"owner": [1]}, {})
