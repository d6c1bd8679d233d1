"""Compiled reducers and constraints give what the oracle's plain fold gives."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.history.model import Event, event_from_value
from cicsc.migration.plan import compile_sides
from cicsc.replay.constraints import compile_constraints
from cicsc.replay.fold import replay_steps
from cicsc.replay.reducers import compile_types
from oracle import replay as oracle
from oracle.digest import streams
from properties.applications import draw_bundle
from properties.comparison import identical
from properties.histories import draw_history
from properties.strategies import Seeded, seeds
from sizes import size

if TYPE_CHECKING:
    from cicsc.replay.pipeline import Row

EXAMPLES = size(100, ci=300, full=1_000)


def draw_application(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    draw = Seeded(seed)
    bundle = draw_bundle(draw)
    return bundle, draw_history(draw, bundle)


def decoded(event: dict[str, Any]) -> Event:
    made = event_from_value(event)
    assert isinstance(made, Event)
    return made


@settings(max_examples=EXAMPLES)
@given(seed=seeds())
def test_every_snapshot_is_the_oracle_s(seed: int) -> None:
    document, events = draw_application(seed)
    bundle, problems = parse_bundle(document)
    assert bundle is not None, problems
    programs = compile_types(bundle)
    for key, members in streams(events).items():
        expected, unhandled = oracle.steps(document, key, members)
        found = list(replay_steps(programs.get(key[1]), key, map(decoded, members)))
        assert [event.seq for event, known, _ in found if not known] == [finding.seq for finding in unhandled]
        for wanted, (_, _, snapshot) in zip(expected[1:], found, strict=bool(expected)):
            assert (snapshot.state, snapshot.updated_ts) == (wanted.state, wanted.updated_ts)
            assert identical(snapshot.attrs, wanted.attrs)
            assert identical(snapshot.shadows, wanted.shadows)


@settings(max_examples=EXAMPLES)
@given(seed=seeds())
def test_every_constraint_is_decided_as_by_the_oracle(seed: int) -> None:
    document, events = draw_application(seed)
    bundle, problems = parse_bundle(document)
    assert bundle is not None, problems
    tenants = sorted({event["tenant_id"] for event in events})
    expected, snapshots = oracle.violations(document, events, 77, "the actor", tenants)
    program = compile_constraints(bundle)
    sides = compile_sides(bundle, program)
    found = []
    for tenant in tenants:
        own = {
            key: (key[1], key[2], held.state, held.updated_ts, held.attrs, held.shadows, 77, "the actor")
            for key, held in sorted(snapshots.items(), key=lambda item: item[0])
            if key[0] == tenant
        }
        kept: dict[tuple[int, int], list[Row]] = defaultdict(list)
        for key, parameters in own.items():
            side = sides[key[1]]
            holds, *rows = side.judge(*parameters)
            broken = [check for check in side.checks if not check.holds(*parameters)]
            assert bool(holds) is not bool(broken)
            found += [oracle.Violation(check.id, "snapshot", tenant, entity_id=key[2]) for check in broken]
            for keeper, row in zip(side.keepers, rows, strict=True):
                if row is not None:
                    kept[keeper.check, keeper.source].append(row)
        for position, query_check in enumerate(program.query_checks):
            sources = [kept[position, number] for number in range(len(query_check.query.sources))]
            rows_count = query_check.rows_count(sources, 77, "the actor")
            if not query_check.holds(rows_count, 77, "the actor"):
                found.append(oracle.Violation(query_check.id, "bool_query", tenant, rows_count=rows_count))
    order = lambda violation: (violation.tenant_id, violation.constraint_id, violation.entity_id or "")  # noqa: E731
    assert sorted(found, key=order) == sorted(expected, key=order)
