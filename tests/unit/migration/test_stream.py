"""Migrating and verifying one stream."""

import pytest
from msgspec.structs import replace

from cicsc.migration.plan import NOTHING, compile_judgement, compile_plan
from cicsc.migration.stream import migrate_stream
from cicsc.migration.verdict import Verdict
from unit.migration.documents import HISTORY, KEY, bundles, event, lit, payload
from unit.migration.running import Sink, leaf, run


def test_events_are_transformed_and_renumbered():
    verdict, sink = run(HISTORY, migrated=True)
    assert sink.events == [
        event(1, "account_opened", {"owner": "Ann"}), event(2, "paid", {"amount": 5}, ts=300), event(3, "closed", ts=400)
    ]  # fmt: skip
    assert (verdict.source_events, verdict.source.events, verdict.target.events) == (4, 4, 3)
    assert (verdict.source.entities, verdict.target.entities, verdict.compared_streams) == (1, 1, 1)
    assert verdict.divergence.streams == 0
    assert sink.leaves == []
    assert sink.map == []


def test_extra_fields_travel_along():
    _, sink = run([event(1, "opened", {}, extra={"trace": 1})], migrated=True)
    assert sink.events == [event(1, "account_opened", {}, extra={"trace": 1})]


def test_position_map():
    fan_out = {
        "event_transforms": {
            "opened": {"fan_out": {"emit_many": [{"emit_as": "account_opened"}, {"emit_as": "paid"}]}},
            "pinged": {"drop": True},
        }
    }
    _, sink = run(HISTORY, migration=fan_out, positions=True)
    assert sink.map == [(*KEY, 1, 1), (*KEY, 1, 2), (*KEY, 2, None), (*KEY, 3, 3), (*KEY, 4, 4)]
    assert sink.events == []


def test_leaves_of_both_sides():
    _, sink = run(HISTORY, digests=True, migrated=True)
    assert sink.leaves == [("given", KEY, 4, leaf(HISTORY)), ("made", KEY, 3, leaf(sink.events))]


def test_a_stream_that_is_dropped_whole_has_no_target():
    verdict, sink = run([event(1, "pinged")], digests=True)
    assert [name for name, *_ in sink.leaves] == ["given"]
    assert (verdict.target.events, verdict.target.entities, verdict.compared_streams) == (0, 0, 1)


def test_a_fan_out_without_a_true_condition_is_counted():
    fan_out = {
        "event_transforms": {
            "opened": {"emit_as": "account_opened"},
            "pinged": {"fan_out": {"emit_many": [{"emit_as": "paid", "condition": lit(0)}]}},
        }
    }
    verdict, _ = run([event(1, "opened"), event(2, "pinged"), event(3, "pinged")], migration=fan_out)
    assert verdict.unmatched == {("Account", "pinged"): 2}
    assert run(HISTORY)[0].unmatched == {}


@pytest.mark.parametrize("seqs", [(1, 3), (1, 1), (2, 3), (0, 1)])
def test_a_broken_stream_is_reported_and_not_judged(seqs):
    verdict, sink = run([event(seq, "unknown") for seq in seqs], digests=True)
    assert verdict.broken_streams == 1
    assert verdict.integrity.total >= 1
    assert verdict.source_events == 2
    assert (verdict.source.events, verdict.source.entities, verdict.target.entities, verdict.compared_streams) == (
        0,
        0,
        0,
        0,
    )
    assert verdict.source.violations == {}
    assert [name for name, *_ in sink.leaves] == ["given"]


@pytest.mark.parametrize("judges", [True, False])
def test_a_broken_stream_does_not_break_those_after_it(judges):
    source, target, migration = bundles()
    plan = compile_plan(source, target, migration) if judges else NOTHING
    verdict, sink = Verdict(), Sink()
    for key, events in (("t", "Account", "1"), [event(2, "opened")]), (("t", "Account", "2"), HISTORY):
        migrate_stream(plan, key, iter(events), verdict, sink)

    assert (verdict.broken_streams, verdict.integrity.total) == (1, 1)
    assert (verdict.source_events, verdict.source.events, verdict.source.entities) == (5, 4, 1)
    assert verdict.compared_streams == (1 if judges else 0)


def test_an_event_without_a_reducer_is_found_on_both_sides_and_the_fold_goes_on():
    verdict, _ = run([event(1, "opened"), event(2, "odd"), event(3, "closed")])
    for side, name in ((verdict.source, "source"), (verdict.target, "target")):
        (tally,) = side.violations.values()
        ((_, found),) = tally.examples
        assert (
            found.message
            == f"cannot replay stream ('t', 'Account', '1') at seq 2: event type 'odd' has no reducer in the {name} bundle"
        )
        assert (found.constraint_id, found.kind, found.on_type) == ("replay", "replay", "Account")
        assert found.sample == {"tenant_id": "t", "entity_id": "1", "seq": 2, "event_type": "odd"}
    assert verdict.divergence.streams == 0


def test_an_unknown_entity_type_is_found():
    key = ("t", "Branch", "1")
    verdict, _ = run([event(1, "e", entity_type="Branch")], key=key)
    (tally,) = verdict.source.violations.values()
    assert tally.examples[0][1].message.endswith("entity type 'Branch' is not in the source bundle")
    assert verdict.compared_streams == 0
    assert verdict.target.events == 1
    verdict, _ = run([event(1, "e", entity_type="Branch")], key=key, every_event=True)
    assert verdict.divergence.streams == 0


def test_snapshot_constraints_are_checked_on_both_sides():
    verdict, _ = run([event(1, "paid", {"amount": -1})])
    for side in (verdict.source, verdict.target):
        tally = side.violations["snapshot", "not_negative", "Account"]
        ((_, found),) = tally.examples
        assert tally.count == 1
        assert found.message == "constraint 'not_negative' does not hold for stream ('t', 'Account', '1')"
        assert found.sample == {"tenant_id": "t", "entity_id": "1", "state": "new"}


def with_more_constraints(core):
    for name, holds in (("always", True), ("never", False)):
        core["constraints"][name] = {"kind": "snapshot", "on_type": "Account", "expr": lit(holds)}


def test_only_the_constraints_that_do_not_hold_are_told():
    verdict, _ = run([event(1, "paid", {"amount": 1})], change_source=with_more_constraints)
    assert list(verdict.source.violations) == [("snapshot", "never", "Account")]
    assert verdict.target.violations == {}


def query(core, admits=True):
    steps = [
        {"filter": lit(admits)},
        {"project": {"fields": [{"name": "s", "expr": {"var": {"row": {"field": "state"}}}}]}},
    ]
    core["constraints"] = {
        "q": {
            "kind": "bool_query",
            "on_type": "Account",
            "args": {},
            "query": {"source": {"snap": {"type": "Account"}}, "pipeline": steps},
            "assert": lit(True),
        }
    }


def test_rows_are_kept_for_queries():
    _, sink = run([event(1, "opened")], change_source=query, change_target=query)
    assert sink.rows == [("source", 0, 0, ["open"]), ("target", 0, 0, ["active"])]
    _, sink = run([event(1, "opened")], change_source=lambda core: query(core, admits=False))
    assert sink.rows == []


def test_a_long_stream_is_handed_on_in_batches():
    events = [event(seq, "paid", {"amount": 1}) for seq in range(1, 2_502)]
    verdict, sink = run(events, migrated=True, positions=True, lazy=True)
    assert len(sink.events) == len(sink.map) == 2_501
    assert sink.events == events
    assert verdict.divergence.streams == 0


def test_a_judgement_migrates_nothing():
    source, _, _ = bundles()
    verdict, sink = run(
        [event(1, "paid", {"amount": -1}), event(2, "odd")],
        plan=replace(compile_judgement(source, now=1, actor="a"), digests=True, migrated=True),
    )
    assert sorted(verdict.source.violations) == [
        ("replay", "replay", "Account"),
        ("snapshot", "not_negative", "Account"),
    ]
    assert (verdict.target.events, verdict.compared_streams, sink.events) == (0, 0, [])
    assert verdict.target.violations == {}
    assert [name for name, *_ in sink.leaves] == ["given"]


def test_nothing_looks_at_the_events_only():
    verdict, sink = run([event(1, "odd"), event(3, "odd")], plan=replace(NOTHING, migrated=True))
    assert verdict.integrity.counts == {"SEQ_GAP": 1}
    assert sink.events == []


def test_untouched_events_are_the_same_objects():
    _, sink = run([event(1, "paid", {"amount": 1})], migrated=True)
    assert sink.events == [event(1, "paid", {"amount": 1})]


def observing(core):
    core["types"]["Account"]["attrs"]["seen"] = {}
    fields = [
        {"var": {"now": True}},
        {"var": {"actor": True}},
        *({"var": {"row": {"field": name}}} for name in ("entity_type", "entity_id")),
    ]
    core["constraints"] = {
        "same": {
            "kind": "snapshot",
            "on_type": "Account",
            "expr": {
                "eq": [{"arr": {"items": fields}}, {"arr": {"items": [lit(9), lit("me"), lit("Account"), lit("1")]}}]
            },
        }
    }
    observing.seen = {"arr": {"items": fields}}


def test_constraints_and_relations_see_clock_actor_and_entity():
    source, target, parsed = bundles(change_source=observing, change_target=observing)
    plan = compile_plan(source, target, parsed, now=9, actor="me")
    assert (plan.now, plan.actor, plan.migrates) == (9, "me", True)
    verdict = Verdict()
    migrate_stream(plan, KEY, HISTORY, verdict, Sink())
    assert (verdict.source.violations, verdict.target.violations) == ({}, {})
    judgement = compile_judgement(source, now=9, actor="me")
    assert (judgement.now, judgement.actor, judgement.migrates) == (9, "me", False)
    migrate_stream(judgement, KEY, HISTORY, verdict, Sink())
    assert verdict.source.violations == {}
    migration = {"attrs_map": {"seen": observing.seen}}
    verdict, _ = run([event(1, "opened")], migration=migration, change_source=observing, change_target=observing)
    assert verdict.divergence.example.expected == [9, "me", "Account", "1"]


def test_a_judgement_of_an_unknown_type_migrates_nothing():
    source, _, _ = bundles()
    verdict, _ = run([event(1, "e", entity_type="Branch")], key=("t", "Branch", "1"), plan=compile_judgement(source))
    assert verdict.target.events == 0
    assert verdict.source.violations["replay", "replay", "Branch"].count == 1


def add_branch(core):
    core["types"]["Branch"] = {
        "id_type": "string",
        "states": ["s"],
        "initial_state": "s",
        "attrs": {},
        "commands": {},
        "reducer": {"e": []},
    }


def test_each_side_says_what_it_does_not_know():
    key = ("t", "Branch", "1")
    verdict, _ = run(
        [event(1, "e", entity_type="Branch"), event(2, "f", entity_type="Branch")], key=key, change_source=add_branch
    )
    assert [found.message.split(": ")[1] for _, found in verdict.source.violations["replay", "replay", "Branch"].examples] == [
        "event type 'f' has no reducer in the source bundle"
    ]  # fmt: skip
    assert {found.message.split(": ")[1] for _, found in verdict.target.violations["replay", "replay", "Branch"].examples} == {
        "entity type 'Branch' is not in the target bundle"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "make"), [({"migrated": True}, list), ({"migrated": True}, iter), ({"positions": True}, iter)]
)
def test_batches_are_bounded_whatever_is_asked_for(options, make):
    sizes = []

    class Measuring(Sink):
        def migrated(self, events):
            sizes.append(len(events))

        def positions(self, rows):
            sizes.append(len(rows))

    source, target, parsed = bundles()
    events = [event(seq, "paid", {"amount": 1}) for seq in range(1, 2_501)]
    plan = replace(compile_plan(source, target, parsed), **options)
    migrate_stream(plan, KEY, make(events), Verdict(), Measuring())
    assert sizes == [1_000, 1_000, 500]


def test_positions_of_a_stream_in_memory_are_told_by_numbers():
    source, target, parsed = bundles()
    plan = replace(compile_plan(source, target, parsed), positions=True)
    told = []

    class Taking(Sink):
        def positions(self, rows):
            told.append(rows)

    migrate_stream(plan, KEY, [event(seq, "paid", {"amount": 1}) for seq in range(1, 2_501)], Verdict(), Taking())
    (moves,) = told
    assert moves.counts == list(range(1, 2_501))
    assert list(moves) == [(*KEY, seq, seq) for seq in range(1, 2_501)]


def test_payload_maps_and_conditions_see_the_event():
    at = {"var": {"e_time": True}}
    fan_out = {
        "emit_many": [
            {"emit_as": "closed", "condition": {"eq": [at, lit(200)]}},
            {"emit_as": "paid", "payload_map": {"at": at, "deep": payload("a.b")}},
        ]
    }
    migration = {
        "event_transforms": {
            "opened": {"emit_as": "account_opened", "payload_map": {"at": at}},
            "pinged": {"fan_out": fan_out},
        }
    }
    _, sink = run([event(1, "opened"), event(2, "pinged", {"a": {"b": 7}})], migration=migration, migrated=True)
    assert [(one.event_type, one.payload) for one in sink.events] == [
        ("account_opened", {"at": 100}),
        ("closed", {"a": {"b": 7}}),
        ("paid", {"at": 200, "deep": 7}),
    ]


def without_constraints(core):
    core["constraints"] = {}


def test_each_side_is_judged_by_its_own_constraints():
    events = [event(1, "paid", {"amount": -1})]
    verdict, _ = run(events, change_source=without_constraints)
    assert (len(verdict.source.violations), len(verdict.target.violations)) == (0, 1)
    verdict, _ = run(events, change_target=without_constraints)
    assert (len(verdict.source.violations), len(verdict.target.violations)) == (1, 0)


def test_a_type_that_only_the_target_knows_is_not_replayed_by_the_source():
    key = ("t", "Branch", "1")
    verdict, _ = run([event(1, "e", entity_type="Branch")], key=key, change_target=add_branch)
    assert [found.message.split(": ")[1] for _, found in verdict.source.violations["replay", "replay", "Branch"].examples] == [
        "entity type 'Branch' is not in the source bundle"
    ]  # fmt: skip
    assert verdict.target.violations == {}
