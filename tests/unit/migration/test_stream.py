"""Migrating and verifying one stream."""

import pytest
from msgspec.structs import replace

from cicsc.canonical import LeafHasher
from cicsc.migration.plan import NOTHING, compile_judgement, compile_plan
from cicsc.migration.stream import migrate_stream
from cicsc.migration.verdict import Verdict
from unit.migration.documents import HISTORY, KEY, attr, bundles, event, lit, payload


class Sink:
    takes_lines = True

    def __init__(self):
        self.events, self.map, self.leaves, self.rows, self.snapshots = [], [], [], [], []

    def migrated(self, events):
        assert len(events) <= 2_000
        self.events += events

    def positions(self, rows):
        self.map += rows

    def leaf(self, side, key, count, digest):
        self.leaves.append((side, key, count, digest))

    def row(self, side, check, source, row):
        self.rows.append((side, check, source, row))

    def snapshot(self, snapshot):
        self.snapshots.append(snapshot)


def run(events, *, key=KEY, plan=None, migration=None, change_target=None, change_source=None, lazy=False, **options):
    source, target, parsed = bundles(migration, change_target, change_source)
    verdict, sink = Verdict(), Sink()
    plan = plan or replace(compile_plan(source, target, parsed, now=9, actor="me"), **options)
    migrate_stream(plan, key, iter(events) if lazy else events, verdict, sink)
    return verdict, sink


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


def leaf(events):
    hasher = LeafHasher()
    for one in events:
        hasher.update(one)
    return hasher.hexdigest()


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


FORGOTTEN = {
    "event_transforms": {
        "opened": {"emit_as": "account_opened"},
        "paid": {"payload_map": {"sum": payload("amount")}},
        "pinged": {"drop": True},
    }
}
PAYING = [event(1, "opened", {"owner": "Ann"}), event(2, "paid", {"amount": 5}), event(3, "paid", {"amount": 2})]


def lenient(core):
    """Let a missing amount count as 0 in the target, so that balances differ by what is paid."""
    core["types"]["Account"]["reducer"]["paid"] = [
        {
            "set_attr": {
                "name": "balance",
                "expr": {"add": [{"coalesce": [attr("balance"), lit(0)]}, {"coalesce": [payload("amount"), lit(0)]}]},
            }
        }
    ]


def test_a_divergence_names_field_values_and_the_event_since_which_it_is_there():
    verdict, _ = run(PAYING, migration=FORGOTTEN, change_target=lenient)
    found = verdict.divergence
    assert (found.streams, found.by_field) == (1, {"Account.attrs.balance": 1, "Account.shadows.payments": 1})
    assert found.size == (3, KEY)
    example = found.example
    assert (example.tenant_id, example.entity_type, example.entity_id, example.seq, example.event_type) == (
        *KEY,
        2,
        "paid",
    )
    assert (example.field, example.expected, example.found) == ("attrs.balance", 5, 0)
    assert example.source_snapshot == {
        "state": "open",
        "attrs": {"owner": "Ann", "balance": 5},
        "shadows": {"payments": 5},
    }
    assert example.target_snapshot == {"state": "active", "attrs": {"owner": "Ann", "balance": 0}, "shadows": {}}


def test_a_stream_that_cannot_be_read_again_names_its_last_event():
    verdict, _ = run(PAYING, migration=FORGOTTEN, change_target=lenient, lazy=True)
    assert verdict.divergence.example.seq == 3


def test_a_stream_too_long_to_be_folded_again_names_its_last_event(monkeypatch):
    monkeypatch.setattr("cicsc.migration.stream._LOCATE_EVENTS_MAX", 3)
    assert run(PAYING, migration=FORGOTTEN, change_target=lenient)[0].divergence.example.seq == 2
    monkeypatch.setattr("cicsc.migration.stream._LOCATE_EVENTS_MAX", 2)
    assert run(PAYING, migration=FORGOTTEN, change_target=lenient)[0].divergence.example.seq == 3


def forget_state(core):
    core["types"]["Account"]["reducer"]["account_opened"] = [{"set_attr": {"name": "owner", "expr": payload("owner")}}]


def test_what_heals_is_seen_only_by_every_event():
    verdict, _ = run(HISTORY, change_target=forget_state)
    assert verdict.divergence.streams == 0
    verdict, _ = run(HISTORY, change_target=forget_state, every_event=True)
    found = verdict.divergence
    assert (found.streams, found.by_field, found.size) == (1, {"Account.state": 1}, (1, KEY))
    example = found.example
    assert (example.seq, example.event_type, example.field, example.expected, example.found) == (
        1,
        "opened",
        "state",
        "active",
        "new",
    )
    assert example.source_snapshot["state"] == "open"


def test_a_field_that_differs_heals_and_differs_again_is_dated_from_the_second_time():
    events = [event(1, "opened"), event(2, "closed"), event(3, "opened"), event(4, "pinged")]
    verdict, _ = run(events, change_target=forget_state)
    assert (verdict.divergence.example.seq, verdict.divergence.example.event_type) == (3, "opened")
    verdict, _ = run(events, change_target=forget_state, every_event=True)
    assert verdict.divergence.example.seq == 1


def test_an_example_does_not_change_with_later_events():
    def wrap(core):
        core["types"]["Account"]["attrs"]["all"] = {}

    migration = {"attrs_map": {"all": {"var": {"row": {"field": "attrs_json"}}}}}
    events = [event(1, "paid", {"amount": 1}), event(2, "paid", {"amount": 1})]
    verdict, _ = run(events, migration=migration, change_target=wrap, every_event=True)
    assert verdict.divergence.example.expected == {"balance": 1}


def test_the_smallest_example_is_kept_over_streams():
    source, target, parsed = bundles(None, forget_state)
    plan = compile_plan(source, target, parsed)
    verdict = Verdict()
    for entity_id, length in (("a", 3), ("b", 2), ("c", 2), ("d", 4)):
        events = [
            event(1, "opened", entity_id=entity_id),
            *(event(seq, "pinged", entity_id=entity_id) for seq in range(2, length + 1)),
        ]
        migrate_stream(plan, ("t", "Account", entity_id), events, verdict, Sink())
    assert verdict.divergence.size == (2, ("t", "Account", "b"))
    assert verdict.divergence.example.entity_id == "b"
    assert verdict.divergence.by_field == {"Account.state": 4}


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


def stream_of(entity_id, *events):
    return ("t", "Account", entity_id), [event(seq, *one, entity_id=entity_id) for seq, one in enumerate(events, 1)]


def test_a_verdict_adds_up_over_streams():
    source, target, parsed = bundles(None, forget_state)
    plan = compile_plan(source, target, parsed)
    verdict = Verdict()
    for entity_id in ("a", "b"):
        migrate_stream(plan, *stream_of(entity_id, ("opened",), ("pinged",), ("paid", {"amount": -1})), verdict, Sink())
    for entity_id in ("c", "d"):
        migrate_stream(plan, ("t", "Account", entity_id), [event(2, "opened", entity_id=entity_id)], verdict, Sink())
    assert (verdict.source_events, verdict.broken_streams, verdict.compared_streams) == (8, 2, 2)
    assert (verdict.source.events, verdict.source.entities, verdict.target.events, verdict.target.entities) == (
        6,
        2,
        4,
        2,
    )
    assert verdict.divergence.streams == 2
    tally = verdict.target.violations["snapshot", "not_negative", "Account"]
    assert tally.count == 2
    assert [key for key, _ in tally.examples] == [("t", "Account", "a"), ("t", "Account", "b")]
    violation = tally.examples[0][1]
    assert (violation.constraint_id, violation.kind, violation.on_type) == ("not_negative", "snapshot", "Account")


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


@pytest.mark.parametrize("make", [list, iter])
@pytest.mark.parametrize("options", [{"migrated": True}, {"positions": True}])
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


def test_finding_where_a_long_stream_diverged_produces_nothing_twice():
    events = [event(seq, "opened") for seq in range(1, 1_502)]
    verdict, sink = run(events, change_target=forget_state, migrated=True, positions=True, digests=True)
    assert verdict.divergence.example.seq == 1
    assert (len(sink.events), len(sink.map), len(sink.leaves)) == (1_501, 1_501, 2)


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
