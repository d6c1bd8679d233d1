"""Taking one stream back."""

import time

from cicsc.canonical import LeafHasher
from cicsc.migration.undo import UndoVerdict, compile_undo, undo_stream
from unit.migration.documents import KEY, bundles, event, lit, payload

SECONDS_MAX = 20
"""Many times what it takes, and a part of what looking through all transforms for each event takes."""


class Sink:
    def __init__(self):
        self.events, self.leaves = [], {}

    def migrated(self, events):
        assert len(events) <= 1_000
        self.events += events

    def leaf(self, side, key, count, digest):
        self.leaves[side] = (key, count, digest)


INJECTIVE = {"event_transforms": {"opened": {"emit_as": "account_opened"}}}


def run(events, migration=INJECTIVE, *, with_source=True, only_inspect=False):
    source, _, parsed = bundles(migration)
    verdict, sink = UndoVerdict(), Sink()
    plan = compile_undo(parsed, source if with_source else None, only_inspect=only_inspect)
    undo_stream(plan, KEY, events, verdict, sink)
    return verdict, sink


def leaf(events):
    hasher = LeafHasher()
    for one in events:
        hasher.update(one)
    return (KEY, len(events), hasher.hexdigest())


GIVEN = [event(1, "account_opened", {"owner": "Ann"}, extra={"x": 1}), event(2, "paid", {"amount": 5})]
REGAINED = [event(1, "opened", {"owner": "Ann"}, extra={"x": 1}), event(2, "paid", {"amount": 5})]


def test_a_stream_goes_back():
    verdict, sink = run(GIVEN)
    assert sink.events == REGAINED
    assert sink.leaves == {"given": leaf(GIVEN), "made": leaf(REGAINED)}
    assert verdict == UndoVerdict(events=2)


def test_an_event_type_without_a_way_back_is_counted():
    events = [event(1, "brand_new"), event(2, "paid"), event(3, "brand_new")]
    verdict, sink = run(events)
    assert verdict.no_way_back == {("Account", "brand_new"): 2}
    assert sink.events == [event(2, "paid")]
    assert run(events, with_source=False)[0].no_way_back == {}


def test_only_inspecting_takes_nothing_back():
    verdict, sink = run([event(1, "account_opened"), event(2, "opened")], only_inspect=True)
    assert verdict.no_way_back == {("Account", "opened"): 1}
    assert (verdict.events, sink.events) == (2, [])


def test_integrity_is_checked():
    verdict, _ = run([event(1, "paid"), event(3, "paid")])
    assert verdict.integrity.counts == {"SEQ_GAP": 1}


DECLARED = {
    "event_transforms": {"paid": {"emit_as": "settled", "payload_map": {"cents": {"mul": [payload("amount"), lit(100)]}}}},
    "inverse": {"event_transforms": {"settled": {"emit_as": "paid", "payload_map": {"amount": {"div": [payload("cents"), lit(100)]}}}}},
}  # fmt: skip


def test_a_declared_inverse_undoes_payloads():
    verdict, sink = run([event(1, "settled", {"cents": 250})], DECLARED)
    assert sink.events == [event(1, "paid", {"amount": 2.5})]
    assert verdict.not_restored.count == 0


def test_an_event_that_the_round_trip_changes_is_not_restored():
    verdict, sink = run(
        [event(1, "settled", {"cents": 250, "note": "x"}), event(2, "settled", {"cents": "2"})], DECLARED
    )
    assert verdict.not_restored.count == 2
    assert (
        verdict.not_restored.examples[0][1]
        == "stream ('t', 'Account', '1') at seq 1: event type 'settled' is not restored"
    )
    assert sink.events == []


def declared(*emissions):
    return DECLARED | {"inverse": {"event_transforms": {"settled": {"fan_out": {"emit_many": list(emissions)}}}}}


def test_an_inverse_that_does_not_make_exactly_one_event_restores_nothing():
    both = [{"emit_as": "paid"}, {"emit_as": "paid"}]
    assert run([event(1, "settled", {"cents": 1})], declared(*both))[0].not_restored.count == 1
    assert (
        run([event(1, "settled", {"cents": 1})], declared({"emit_as": "paid", "condition": lit(0)}))[
            0
        ].not_restored.count
        == 1
    )


def test_an_inverse_that_leads_elsewhere_restores_nothing():
    assert run([event(1, "settled", {"cents": 1})], declared({"emit_as": "closed"}))[0].not_restored.count == 1
    migration = DECLARED | {"event_transforms": DECLARED["event_transforms"] | {"pinged": {"drop": True}}}
    migration["inverse"] = {"event_transforms": {"settled": {"emit_as": "pinged"}}}
    assert run([event(1, "settled", {"cents": 1})], migration)[0].not_restored.count == 1


def test_what_the_source_cannot_replay_is_counted():
    migration = {"event_transforms": {"odd": {"emit_as": "even"}}}
    verdict, _ = run([event(1, "even")], migration)
    assert verdict.not_replayable == {("Account", "odd"): 1}
    assert run([event(1, "even")], migration, with_source=False)[0].not_replayable == {}


def test_a_long_stream_is_handed_on_in_batches():
    verdict, sink = run([event(seq, "paid", {}) for seq in range(1, 2_002)])
    assert (verdict.events, len(sink.events)) == (2_001, 2_001)


def test_verdicts_merge():
    left, _ = run([event(1, "brand_new"), event(2, "paid")])
    right, _ = run([event(1, "brand_new"), event(3, "brand_new")])
    left.merge(right)
    assert left.no_way_back == {("Account", "brand_new"): 3}
    assert (left.events, left.integrity.total) == (4, 1)
    assert not left.not_replayable
    other, _ = run([event(1, "even")], {"event_transforms": {"odd": {"emit_as": "even"}}})
    left.merge(other)
    assert left.not_replayable == {("Account", "odd"): 1}
    changed, _ = run([event(1, "settled", {"cents": "2"})], DECLARED)
    left.merge(changed)
    assert left.not_restored.count == 1


def test_a_type_that_the_migration_does_not_touch_goes_back_as_it_is():
    source, _, parsed = bundles(INJECTIVE, change_source=add_branch)
    verdict, sink = UndoVerdict(), Sink()
    events = [event(1, "e", {"a": 1}, entity_type="Branch")]
    for _ in range(2):
        undo_stream(compile_undo(parsed, source, only_inspect=False), ("t", "Branch", "1"), events, verdict, sink)
    assert sink.events == events * 2
    assert verdict == UndoVerdict(events=2)


def add_branch(core):
    core["types"]["Branch"] = {
        "id_type": "string",
        "states": ["s"],
        "initial_state": "s",
        "attrs": {},
        "commands": {},
        "reducer": {"e": []},
    }


def test_a_stream_of_which_nothing_goes_back_has_no_leaf():
    _, sink = run([event(1, "brand_new")])
    assert list(sink.leaves) == ["given"]


def test_a_long_stream_goes_back_quickly_however_many_types_the_migration_names():
    named = {f"old {number}": {"emit_as": f"new {number}"} for number in range(5_000)}
    given = [event(seq, "account_opened") for seq in range(1, 50_001)]
    began = time.process_time()
    verdict, _ = run(given, {"event_transforms": named | INJECTIVE["event_transforms"]}, with_source=False)
    assert (verdict.events, verdict.no_way_back) == (50_000, {})
    assert time.process_time() - began < SECONDS_MAX
