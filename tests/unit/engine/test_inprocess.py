"""The in-process engine: tenants, queries, digests."""

from msgspec.structs import replace

from cicsc.canonical import LeafHasher
from cicsc.engine.inprocess import Digests, Head, migrate_history, undo_history
from cicsc.engine.rows import RowStore
from cicsc.history.sorted import open_history
from cicsc.migration.plan import compile_plan
from cicsc.migration.undo import compile_undo
from digests import history_root
from unit.migration.documents import HISTORY, bundles, event, lit


def leaf(events):
    hasher = LeafHasher()
    for one in events:
        hasher.update(one)
    return hasher.hexdigest()


def at_most(count):
    def change(core):
        steps = [{"filter": {"eq": [{"var": {"row": {"field": "state"}}}, lit("closed")]}}]
        query = {"source": {"snap": {"type": "Account"}}, "pipeline": steps}
        holds = {"le": [{"var": {"rows_count": True}}, lit(count)]}
        core["constraints"] = {
            "few": {"kind": "bool_query", "on_type": "Account", "args": {}, "query": query, "assert": holds}
        }

    return change


def closing(tenant_id, *entity_ids):
    return [event(1, "closed", entity_id=entity_id, tenant_id=tenant_id) for entity_id in entity_ids]


def run(events, change=None, **options):
    source, target, migration = bundles(change_source=change, change_target=change)
    plan = replace(compile_plan(source, target, migration, now=1), **options)
    with open_history(events) as history:
        return migrate_history(plan, history)


def test_queries_are_decided_for_each_tenant_alone():
    verdict, _ = run([*closing("a", "1"), *closing("b", "1", "2"), *closing("c", "1", "2", "3")], at_most(1))
    for side in (verdict.source, verdict.target):
        tally = side.violations["bool_query", "few", "Account"]
        assert tally.count == 2
        assert [dict(found.sample) for _, found in tally.examples] == [
            {"tenant_id": "b", "rows_count": 2},
            {"tenant_id": "c", "rows_count": 3},
        ]
        assert tally.examples[0][1].message == "constraint 'few' does not hold for tenant 'b': its query gives 2 rows"


def test_query_that_gives_one_row_says_one():
    verdict, _ = run(closing("a", "1"), at_most(0))

    [(_, found)] = verdict.source.violations["bool_query", "few", "Account"].examples
    assert found.message == "constraint 'few' does not hold for tenant 'a': its query gives 1 row"


def test_a_tenant_without_rows_is_decided_too():
    verdict, _ = run([event(1, "opened")], at_most(-1))
    assert verdict.source.violations["bool_query", "few", "Account"].count == 1


def test_a_tenant_with_a_broken_stream_is_not_decided():
    verdict, _ = run(
        [*closing("a", "1", "2"), event(2, "closed", tenant_id="a", entity_id="3"), *closing("b", "1", "2")], at_most(1)
    )
    assert [
        found.sample["tenant_id"] for _, found in verdict.source.violations["bool_query", "few", "Account"].examples
    ] == ["b"]


def test_rows_that_spill_give_the_same_verdict(monkeypatch):
    events = [*closing("a", *map(str, range(9))), *closing("b", "1")]
    kept, _ = run(events, at_most(3))
    monkeypatch.setattr("cicsc.engine.parts.RowStore", lambda folder: RowStore(2, folder))
    assert run(events, at_most(3))[0] == kept


def test_digests_and_heads():
    other = [event(1, "opened", tenant_id="s"), event(1, "pinged", tenant_id="s", entity_id="2")]
    _, digests = run([*HISTORY, *other], digests=True)
    leaves = [
        (("s", "Account", "1"), 1, leaf(other[:1])),
        (("s", "Account", "2"), 1, leaf(other[1:])),
        (("t", "Account", "1"), 4, leaf(HISTORY)),
    ]
    assert digests.given == history_root(leaves)
    assert digests.heads == {"s": Head(2, history_root(leaves[:2])), "t": Head(4, history_root(leaves[2:]))}
    migrated = [
        event(1, "account_opened", {"owner": "Ann"}),
        event(2, "paid", {"amount": 5}, ts=300),
        event(3, "closed", ts=400),
    ]
    assert digests.made == history_root(
        [
            (("s", "Account", "1"), 1, leaf([event(1, "account_opened", tenant_id="s")])),
            (("t", "Account", "1"), 3, leaf(migrated)),
        ]
    )


def test_a_history_with_a_gap_has_a_digest_but_becomes_nothing():
    events = [event(1, "opened"), event(3, "closed")]
    _, digests = run(events, digests=True)
    digest = history_root([(("t", "Account", "1"), 2, leaf(events))])
    assert digests == Digests(digest, None, {"t": Head(2, digest)}, tenants=["t"])


def test_a_history_with_malformed_events_has_no_digest():
    _, digests = run([{"tenant_id": 1}, event(1, "opened")], digests=True)
    assert digests == Digests(tenants=["t"])


def test_the_empty_history():
    verdict, digests = run([], at_most(-1), digests=True)
    assert digests == Digests(history_root([]), history_root([]), {}, [])
    assert verdict.source.violations == {}
    assert verdict.source_events == 0


def test_undoing_gives_both_digests():
    source, _, migration = bundles({"event_transforms": {"opened": {"emit_as": "account_opened"}}})
    given = [event(1, "account_opened"), event(2, "closed")]
    with open_history(given) as history:
        verdict, digests = undo_history(compile_undo(migration, source, only_inspect=False), history)
    assert verdict.events == 2
    key = ("t", "Account", "1")
    assert digests.given == history_root([(key, 2, leaf(given))])
    assert digests.made == history_root([(key, 2, leaf([event(1, "opened"), event(2, "closed")]))])
    with open_history([event(2, "closed")]) as history:
        assert undo_history(compile_undo(migration, source, only_inspect=True), history)[1].made is None
