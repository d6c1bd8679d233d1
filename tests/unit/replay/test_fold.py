"""A fold that goes on from a snapshot is the fold of the whole stream."""

from __future__ import annotations

from cicsc.history.model import Event
from cicsc.replay.fold import Fold, replay_steps
from cicsc.replay.reducers import compile_types
from conformance.runtime.bank import BANK
from unit.migration.documents import bundles
from unit.migration.documents import event as account_event

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


def test_what_is_told_of_a_fold_stays_as_it_was_when_it_goes_on() -> None:
    program = compile_types(bundles()[0])["Account"]
    fold, paid = Fold(program), account_event(1, "paid", {"amount": 1})
    fold.apply("paid", paid.payload, paid)
    content, snapshot = fold.content(), fold.snapshot(KEY, 1)

    for one in (fold, Fold(program, snapshot)):
        one.apply("paid", {"amount": 2}, paid)
        assert (one.attrs, one.shadows) == ({"balance": 3}, {"payments": 2})

    assert content == {"state": "new", "attrs": {"balance": 1}, "shadows": {"payments": 1}}
    assert (snapshot.attrs, snapshot.shadows) == (content["attrs"], content["shadows"])
