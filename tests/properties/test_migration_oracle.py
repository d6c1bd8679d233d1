"""Migrating and verifying a history gives what the oracle gives: events, positions, digests and verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import Bundle
from cicsc.engine.inprocess import migrate_history, undo_history
from cicsc.history.model import Event, event_fields
from cicsc.history.sorted import open_history
from cicsc.migration.inverse import reversibility
from cicsc.migration.plan import compile_plan
from cicsc.migration.relation import unconstrained_fields
from cicsc.migration.totality import holes
from cicsc.migration.undo import compile_undo
from cicsc.migration.verdict import REPLAY, SideVerdict
from oracle import migration as oracle
from oracle.digest import history_digest
from oracle.replay import Document, replay, violations
from properties.applications import MIGRATION_ID, draw_bundle, draw_next_version
from properties.comparison import identical
from properties.histories import draw_history
from properties.strategies import Draw, Seeded, seeds
from sizes import size

EXAMPLES = size(150, ci=400, full=1_500)
NOW, ACTOR = 1234, "the operator"


@dataclass(frozen=True)
class Case:
    """Two bundles, the migration's document in the second, a history, and what was broken on purpose."""

    source: dict[str, Any]
    target: dict[str, Any]
    events: list[dict[str, Any]]
    broken: list[str]

    @property
    def migration(self) -> dict[str, Any]:
        return self.target["core_ir"]["migrations"][MIGRATION_ID]

    def parsed(self) -> tuple[Bundle, Bundle]:
        (source, source_problems), (target, target_problems) = parse_bundle(self.source), parse_bundle(self.target)
        assert source is not None, source_problems
        assert target is not None, target_problems
        return source, target


def draw_case(draw: Draw) -> Case:
    source = draw_bundle(draw)
    target, broken = draw_next_version(draw, source)
    return Case(source, target, draw_history(draw, source), broken)


class Kept:
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def write(self, rows: Iterable[Any]) -> None:
        self.rows.extend(rows)


def oracle_violations(bundle: Document, events: list[Any], tenants: set[str]) -> Counter[tuple[str, str, str]]:
    """How often each constraint is violated, and how many events of each type cannot be replayed."""
    found, _ = violations(bundle, events, NOW, ACTOR, tenants)
    _, unhandled = replay(bundle, events)
    constraints = bundle["core_ir"].get("constraints", {})
    counts = Counter((v.kind, v.constraint_id, constraints[v.constraint_id]["on_type"]) for v in found)
    return counts + Counter((REPLAY, REPLAY, u.key[1]) for u in unhandled)


def product_violations(verdict: SideVerdict) -> Counter[tuple[str, str, str]]:
    return Counter({name: tally.count for name, tally in verdict.violations.items()})


def unmatched(case: Case) -> Counter[tuple[str, str]]:
    """The events of a fan-out of which nothing came."""
    bodies = oracle.type_bodies(case.migration)
    found: Counter[tuple[str, str]] = Counter()
    for event in case.events:
        body = bodies.get(event["entity_type"])
        transform = (body or {}).get("event_transforms", {}).get(event["event_type"], {})
        if "fan_out" in transform and not transform.get("drop") and not oracle.emissions(body, event):
            found[event["entity_type"], event["event_type"]] += 1
    return found


def compare_migration(case: Case, every_event: bool) -> str:
    """Compare one run in every respect; return how it ended."""
    source, target = case.parsed()
    plan = compile_plan(source, target, target.migrations[MIGRATION_ID], now=NOW, actor=ACTOR)
    plan = replace(plan, every_event=every_event, digests=True, migrated=True, positions=True)
    written, positions = Kept(), Kept()
    with open_history(case.events) as history:
        verdict, digests = migrate_history(plan, history, written, positions)
    migrated, rows = oracle.transform(case.migration, case.events)
    assert identical([dict(event) for event in migrated], [event_fields(event) for event in written.rows])
    assert rows == positions.rows
    assert (digests.given, digests.made) == (history_digest(case.events), history_digest(migrated))
    tenants = {event["tenant_id"] for event in case.events}
    assert {tenant: (head.events, head.digest) for tenant, head in digests.heads.items()} == {
        tenant: (len(own), history_digest(own))
        for tenant in tenants
        if (own := [event for event in case.events if event["tenant_id"] == tenant])
    }
    assert (verdict.source_events, verdict.target.events) == (len(case.events), len(migrated))
    assert product_violations(verdict.source) == oracle_violations(case.source, case.events, tenants)
    assert product_violations(verdict.target) == oracle_violations(case.target, list(migrated), tenants)
    assert verdict.unmatched == unmatched(case)
    return compare_divergence(case, verdict.divergence, every_event)


def compare_divergence(case: Case, found: Any, every_event: bool) -> str:
    """Compare which streams diverge in which fields, and that the example is one of the divergences."""
    wanted = oracle.divergences(
        case.source, case.target, case.migration, case.events, every_event, {"now": NOW, "actor": ACTOR}
    )
    fields = {(divergence.key, divergence.field) for divergence in wanted}
    assert found.by_field == Counter(f"{key[1]}.{field}" for key, field in fields)
    assert found.streams == len({key for key, _ in fields})
    if not wanted:
        assert found.example is None
        return "equivalent"
    example = found.example
    key = (example.tenant_id, example.entity_type, example.entity_id)
    anywhere = oracle.divergences(
        case.source, case.target, case.migration, case.events, True, {"now": NOW, "actor": ACTOR}
    )
    assert (key, example.field) in fields
    if every_event:
        smallest = min((divergence.seq, divergence.key) for divergence in wanted)
        assert (example.seq, key) == smallest
        assert any(
            (d.key, d.seq, d.field) == (key, example.seq, example.field)
            and identical([d.expected, d.found], [example.expected, example.found])
            for d in anywhere
        )
    else:
        # The example names the event since which the field differs without a break, up to the end.
        seqs = {divergence.seq for divergence in anywhere if (divergence.key, divergence.field) == (key, example.field)}
        last = max(
            event["seq"]
            for event in case.events
            if (event["tenant_id"], event["entity_type"], event["entity_id"]) == key
        )
        assert set(range(example.seq, last + 1)) <= seqs
        assert example.seq - 1 not in seqs
    return "diverged"


def test_migrating_a_history_is_as_the_oracle_says() -> None:
    ends: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(seed=seeds(), every_event=st.booleans())
    def compare(seed: int, every_event: bool) -> None:
        case = draw_case(Seeded(seed))
        ends[compare_migration(case, every_event)] += 1
        ends.update(case.broken)

    compare()
    assert ends["equivalent"] > EXAMPLES // 10, ends
    assert ends["diverged"] > EXAMPLES // 10, ends


def test_totality_is_as_the_oracle_says() -> None:
    ends: Counter[bool] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(seed=seeds())
    def compare(seed: int) -> None:
        case = draw_case(Seeded(seed))
        source, target = case.parsed()
        migration = target.migrations[MIGRATION_ID]
        wanted = oracle.holes(case.source, case.target, case.migration)
        found = [problem.message for problem in holes(source, target, migration)]
        assert bool(found) == bool(wanted), (found, wanted)
        for _, type_name, name in wanted:
            assert any(repr(name) in message and repr(type_name) in message for message in found), (found, name)
        listed = {entry.split(" (")[0] for entry in unconstrained_fields(source, target, migration)}
        bodies = oracle.type_bodies(case.migration)
        assert listed == {
            f"{name}.{field}"
            for name, before in case.source["core_ir"]["types"].items()
            for field in oracle.unconstrained(before, case.target["core_ir"]["types"][name], bodies.get(name))
        }
        ends[not wanted] += 1

    compare()
    assert ends[True] > EXAMPLES // 2, ends
    assert ends[False] > EXAMPLES // 20, ends


def test_obstacles_and_rollback_are_as_the_oracle_says() -> None:
    ends: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(seed=seeds())
    def compare(seed: int) -> None:
        case = draw_case(Seeded(seed))
        source, target = case.parsed()
        migration = target.migrations[MIGRATION_ID]
        for document, bundle in ((case.source, source), (None, None)):
            verdict = reversibility(migration, bundle)
            assert set(verdict.reasons) == oracle.obstacles(document, case.migration)
        if not reversibility(migration, source).reversible:
            ends["obstacles"] += 1
            return
        migrated, _ = oracle.transform(case.migration, case.events)
        written = Kept()
        with open_history(migrated) as history:
            undone, digests = undo_history(compile_undo(migration, source, only_inspect=False), history, written)
        back = [event_fields(event) for event in written.rows]
        unheard_of = sum(event["event_type"] == "unheard of" or event["entity_type"] == "Unknown" for event in migrated)
        assert sum(undone.no_way_back.values()) == unheard_of
        assert undone.not_restored.count == 0
        if unheard_of == 0:
            assert digests.made == history_digest(case.events)
            assert history_digest(back) == history_digest(case.events)
            wanted = sorted(map(repr, map(event_fields, map(decoded, oracle.rolled_back(case.migration, migrated)))))
            assert sorted(map(repr, back)) == wanted
            ends["restored"] += 1

    compare()
    assert ends["restored"] > EXAMPLES // 50, ends
    assert ends["obstacles"] > EXAMPLES // 10, ends


def decoded(event: Any) -> Event:
    with open_history([event]) as history:
        [(_, events)] = history.streams()
        [made] = events
        return made
