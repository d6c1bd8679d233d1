"""What is told of a stream that does not mean the same after as before."""

from cicsc.migration.plan import compile_plan
from cicsc.migration.stream import migrate_stream
from cicsc.migration.verdict import Verdict
from unit.migration.documents import HISTORY, KEY, attr, bundles, event, lit, payload
from unit.migration.running import Sink, run

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


def test_finding_where_a_long_stream_diverged_produces_nothing_twice():
    events = [event(seq, "opened") for seq in range(1, 1_502)]
    verdict, sink = run(events, change_target=forget_state, migrated=True, positions=True, digests=True)
    assert verdict.divergence.example.seq == 1
    assert (len(sink.events), len(sink.map), len(sink.leaves)) == (1_501, 1_501, 2)
