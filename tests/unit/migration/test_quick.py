"""A stream that is in memory passes quickly; it comes out as one that is read event by event, and as it should."""

import pytest

from cicsc.canonical import LeafHasher
from cicsc.history.model import EventList
from cicsc.replay.snapshot import Snapshot
from unit.migration.documents import HISTORY, KEY, event, lit, payload
from unit.migration.running import leaf, run

FANNED = {
    "event_transforms": {
        "opened": {"emit_as": "account_opened"},
        "paid": {
            "fan_out": {
                "emit_many": [
                    {"emit_as": "paid", "condition": {"gt": [payload("amount"), lit(3)]}},
                    {
                        "emit_as": "paid",
                        "payload_map": {"amount": lit(1)},
                        "condition": {"gt": [payload("amount"), lit(4)]},
                    },
                ]
            }
        },
        "pinged": {"drop": True},
    }
}
IN_PLACE = {"event_transforms": {"paid": {"payload_map": {"amount": {"add": [payload("amount"), lit(1)]}}}}}
EVERYTHING = {"digests": True, "migrated": True, "positions": True}


@pytest.mark.parametrize(
    ("migration", "amounts", "unmatched"),
    [
        (None, [1, 2, 3, 4, 5, 6, -9, 2], {}),
        (FANNED, [4, 5, 1, 6, 1], {("Account", "paid"): 5}),
        (IN_PLACE, [2, 3, 4, 5, 6, 7, -8, 3], {}),
    ],
    ids=["dropped", "fanned out", "in place"],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_a_stream_comes_out_alike_whether_or_not_it_is_in_memory(migration, amounts, unmatched, lazy):
    paying = [event(seq, "paid", {"amount": seq}) for seq in range(1, 7)]
    events = [*paying, event(7, "pinged"), event(8, "paid", {"amount": -9}), event(9, "paid", {"amount": 2})]

    verdict, sink = run(events, migration=migration, lazy=lazy, **EVERYTHING)

    made = [one for one in sink.events if one.event_type == "paid"]
    assert [one.payload["amount"] for one in made] == amounts
    assert [one.seq for one in sink.events] == list(range(1, len(sink.events) + 1))
    assert verdict.unmatched == unmatched
    assert sink.leaves == [("given", KEY, 9, leaf(events)), ("made", KEY, len(sink.events), leaf(sink.events))]
    assert [new for *_, new in sink.map if new is not None] == [one.seq for one in sink.events]


OPENED_AND_PAID = {
    "event_transforms": {
        "opened": {
            "fan_out": {
                "emit_many": [{"emit_as": "account_opened"}, {"emit_as": "paid", "payload_map": {"amount": lit(7)}}]
            }
        },
        "paid": {"fan_out": {"emit_many": [{"emit_as": "paid"}]}},
        "pinged": {"drop": True},
    }
}


@pytest.mark.parametrize(
    ("migration", "events", "expected"),
    [
        (None, HISTORY, ("closed", {"balance": 5}, {"payments": 5}, 400, 3)),
        (None, HISTORY[:2], ("active", {"owner": "Ann"}, {}, 100, 1)),
        (OPENED_AND_PAID, HISTORY[:3], ("active", {"owner": "Ann", "balance": 12}, {"payments": 5}, 300, 3)),
        (OPENED_AND_PAID, HISTORY[:2], ("active", {"owner": "Ann", "balance": 7}, {"payments": 7}, 100, 2)),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_snapshot_is_what_the_migrated_stream_folds_to(migration, events, expected, lazy):
    _, sink = run(events, migration=migration, lazy=lazy, snapshots=True)

    state, attrs, shadows, updated_ts, last_seq = expected
    assert sink.snapshots == [Snapshot(*KEY, state, attrs, shadows, updated_ts, last_seq)]


def test_stream_that_is_dropped_whole_leaves_no_snapshot():
    assert run([event(1, "pinged")], snapshots=True)[1].snapshots == []


def test_snapshots_come_only_where_they_are_asked_for():
    assert run(HISTORY)[1].snapshots == []


HOLES = {
    "renamed": {"opened": {"emit_as": "pinged"}},
    "fanned out": {"opened": {"fan_out": {"emit_many": [{"emit_as": "paid"}, {"emit_as": "pinged"}]}}},
    "carried over": {"opened": {"emit_as": "account_opened"}},
}


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(("transforms", "seq"), list(zip(HOLES.values(), (1, 2, 2), strict=True)), ids=list(HOLES))
def test_event_type_that_only_the_source_knows_is_found_missing_in_the_target(transforms, seq, lazy):
    verdict, sink = run(HISTORY[:2], migration={"event_transforms": transforms}, lazy=lazy, migrated=True)

    tally = verdict.target.violations["replay", "replay", "Account"]
    assert tally.examples[0][1].message == (
        f"cannot replay stream {KEY!r} at seq {seq}: event type 'pinged' has no reducer in the target bundle"
    )
    assert verdict.source.violations == {}
    assert [one.event_type for one in sink.events][seq - 1] == "pinged"


def divided(by):
    return {"div": [payload("amount"), lit(by)]}


@pytest.mark.parametrize(
    ("share", "kinds"),
    [
        (divided(2), [float, int]),
        (divided(3), [int, float]),
        # JSON writes 3e-6, the canonical form 0.000003.
        (divided(10**6), [float, float]),
        ({"add": [divided(10**6), lit(0)]}, [float, float]),
        ({"get": {"expr": {"arr": {"items": [lit(1), divided(10**6)]}}, "path": "1"}}, [float, float]),
        ({"get": {"expr": {"obj": {"fields": {"a": lit(1), "b": lit(3e-6)}}}, "path": "b"}}, [float, float]),
        ({"map_enum": {"expr": lit("a"), "mapping": {"z": 1, "a": 3e-6}}}, [float, float]),
        ({"mul": [{"call": {"fn": "float", "args": [payload("amount")]}}, lit(1)]}, [int, int]),
    ],
)
@pytest.mark.parametrize("is_plain", [False, True])
def test_leaf_of_payloads_that_become_fractions(share, kinds, is_plain):
    migration = {"event_transforms": {"paid": {"payload_map": {"amount": share}}}}
    history = EventList([event(1, "paid", {"amount": 3}), event(2, "paid", {"amount": 4})], is_plain=is_plain)

    _, sink = run(history, migration=migration, digests=True, migrated=True)

    expected = {"given": LeafHasher(), "made": LeafHasher()}
    for given, made in zip(history, sink.events, strict=True):
        expected["given"].update(given)
        expected["made"].update(made)
    assert sink.leaves == [(part, KEY, 2, leaf.hexdigest()) for part, leaf in expected.items()]
    assert [type(made.payload["amount"]) for made in sink.events] == kinds
