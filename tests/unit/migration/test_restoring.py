"""Trying a declared inverse on the source history."""

import pytest

from cicsc.migration.plan import compile_plan
from cicsc.migration.stream import migrate_stream
from cicsc.migration.verdict import Verdict
from unit.migration.documents import KEY, bundles, event, payload
from unit.migration.running import Sink

MAPPED = {
    "paid": {"payload_map": {"sum": payload("amount")}},
    "pinged": {"emit_as": "closed"},
    "closed": {"emit_as": "account_opened"},
}
BACK = {"paid": {"payload_map": {"amount": payload("sum")}}, "closed": {"emit_as": "pinged"}}
EVENTS = [event(1, "closed"), event(2, "paid", {"amount": 5}), event(3, "pinged"), event(4, "opened")]


def lost(events, transforms=MAPPED, back=BACK):
    declared = {} if back is None else {"inverse": {"event_transforms": back}}
    verdict = Verdict()
    migrate_stream(compile_plan(*bundles({"event_transforms": transforms} | declared)), KEY, events, verdict, Sink())
    return verdict


@pytest.mark.parametrize("given", [list, iter])
def test_events_that_come_back_as_they_were(given):
    verdict = lost(given(EVENTS))
    assert (verdict.not_restored.count, verdict.source_events) == (0, 4)


@pytest.mark.parametrize("given", [list, iter])
def test_what_the_payload_map_leaves_out_is_lost(given):
    verdict = lost(given([*EVENTS, event(5, "paid", {"amount": 5, "note": "cash"}), event(6, "paid")]))

    assert verdict.not_restored.count == 2
    assert verdict.not_restored.examples[0][1] == f"stream {KEY!r} at seq 5: event type 'paid' is not restored"


@pytest.mark.parametrize(
    "back", [{"paid": {"drop": True}}, {"paid": {"emit_as": "closed", "payload_map": {"amount": payload("sum")}}}]
)
def test_an_inverse_that_makes_something_else(back):
    assert lost(EVENTS, back=back).not_restored.count == 1


def test_nothing_is_tried_where_nothing_is_declared_or_no_way_back_could_be_taken():
    assert lost(EVENTS, back=None).not_restored.count == 0
    assert lost(EVENTS, MAPPED | {"opened": {"drop": True}}, {"paid": {"drop": True}}).not_restored.count == 0


def test_verdicts_merge():
    verdict = lost([event(1, "paid")])
    verdict.merge(lost([event(1, "paid")]))
    assert verdict.not_restored.count == 2
