"""Streams that a store gives in several batches: joined where they are few, else one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cicsc.operations import stored_streams
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.operations.stored import StoredHistory
from cicsc.store import views
from cicsc.store.protocol import Store
from conformance.operations.application import V2, add
from conformance.store.desk import Desk
from conformance.store.history import append, event, stored

EVENTS = [
    *(event("1", seq, "paid" if seq % 2 else "created", payload={"total": seq}) for seq in range(1, 9)),
    event("2", 1),
    *(event("3", seq, payload={"total": seq * 0.5}, extra={"n": seq} if seq == 4 else None) for seq in range(1, 6)),
]


@pytest.fixture(params=[2, 5, 100])
def store(request: pytest.FixtureRequest, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A tenant with streams that are longer than a batch, and lists of at most so many events."""
    monkeypatch.setattr(stored_streams, "LISTED_EVENTS_MAX", request.param)
    monkeypatch.setattr(views, "DECODED_ROWS", 2)
    monkeypatch.setattr("cicsc.store.postgres.views.DECODED_ROWS", 2)
    with desk.initialised() as opened:
        add(opened, "t", events=EVENTS)
        yield opened


def test_history_holds_every_event(store: Store) -> None:
    with StoredHistory(store, ["t"], settled=True) as history:
        assert [found for _, events in history.streams() for found in events] == EVENTS


def test_cutover_and_the_way_back_keep_every_event(store: Store) -> None:
    report = cut_over(store, "t", Order(target=V2, migration="to_2", operator="ann", execute=True))

    assert (report.ok, report.migrated_events) == (True, len(EVENTS))
    migrated = stored(store)
    assert [(found.entity_id, found.seq, found.payload) for found in migrated] == [
        (given.entity_id, given.seq, given.payload) for given in EVENTS
    ]

    append(store, event("4", 1), generation=2)
    back = roll_back_tenant(store, "t", RollbackOrder(operator="ann", migration="to_2", execute=True))

    assert (back.ok, back.method) == (True, "inverse")
    assert stored(store) == [*EVENTS, event("4", 1)]
