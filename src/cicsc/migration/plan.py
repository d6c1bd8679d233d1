"""A migration compiled for the streams of each entity type: everything that does not depend on data."""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from cicsc.migration.relation import Relation, compile_relation
from cicsc.migration.restoring import Restoring, compile_restoring
from cicsc.migration.transform import Rule, compile_rules
from cicsc.remembered import remembering
from cicsc.replay.constraints import ConstraintProgram, compile_constraints
from cicsc.replay.judgement import compile_judge
from cicsc.replay.reducers import compile_types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cicsc.bundle.model import Bundle, Migration
    from cicsc.migration.transform import Condition, PayloadFunction
    from cicsc.replay.constraints import SnapshotCheck
    from cicsc.replay.judgement import Judge
    from cicsc.replay.query import SourceProgram
    from cicsc.replay.reducers import Reducer, TypeProgram


def _nothing_asked(*_: object) -> tuple[Any, ...]:
    return (True,)


class RowKeeper(Struct, frozen=True):
    """One source of a query constraint: the positions of the constraint, and of the source in its query."""

    check: int
    source: int


class SidePlan(Struct, frozen=True):
    """One bundle's view of one entity type: how it replays, what is checked, which rows are kept.

    `program` is None where the bundle does not know the type. `judge` tells whether all checks hold, and the row for
    each keeper.
    """

    program: TypeProgram | None
    checks: tuple[SnapshotCheck, ...] = ()
    keepers: tuple[RowKeeper, ...] = ()
    judge: Judge = _nothing_asked


class Emitted(NamedTuple):
    """One of the events that an event type fans out to: condition, payload map, target type and reducer."""

    condition: Condition | None
    payload: PayloadFunction | None
    event_type: str
    after: Reducer


class Step(NamedTuple):
    """What an event type comes to where nothing can go wrong: source reducer, payload map, target type and reducer.

    Without `after` the event becomes `several`, or nothing where there are none. `is_kept` tells that it becomes one of
    the same type and payload.
    """

    before: Reducer
    payload: PayloadFunction | None
    event_type: str
    after: Reducer | None
    is_kept: bool = False
    several: tuple[Emitted, ...] = ()


class TypePlan(Struct, frozen=True, dict=True):
    """The migration of one entity type.

    `rules` is None where nothing is migrated and only the source is judged; `relation` is None where
    there is nothing to compare, because a side does not know the type. `restoring` is None where there is no
    declared inverse to try on the source.
    """

    source: SidePlan
    target: SidePlan
    rules: Mapping[str, Rule] | None
    relation: Relation | None
    restoring: Restoring | None = None

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """The event types that both sides can replay, whatever becomes of them."""
        return _steps(self)

    @cached_property
    def makes_floats(self) -> bool:
        """Whether a payload that is made may hold a float where there was none before."""
        emissions = chain.from_iterable(rule.emissions for rule in (self.rules or {}).values())
        return any(emission.makes_floats for emission in emissions)


def _steps(plan: TypePlan) -> dict[str, Step]:
    before = {} if plan.source.program is None else plan.source.program.reducers
    after = {} if plan.target.program is None else plan.target.program.reducers
    steps = {}
    for event_type, reducer in before.items():
        rule = None if plan.rules is None else plan.rules.get(event_type)
        if plan.rules is None or (rule is not None and not rule.emissions):
            steps[event_type] = Step(reducer, None, event_type, None)
        elif rule is None:
            if event_type in after:
                steps[event_type] = Step(reducer, None, event_type, after[event_type], is_kept=True)
        elif rule.always is not None and rule.always.event_type in after:
            always = rule.always
            steps[event_type] = Step(
                reducer,
                always.payload,
                always.event_type,
                after[always.event_type],
                is_kept=always.payload is None and always.event_type == event_type,
            )
        elif rule.fans_out and all(emission.event_type in after for emission in rule.emissions):
            several = tuple(
                Emitted(one.condition, one.payload, one.event_type, after[one.event_type]) for one in rule.emissions
            )
            steps[event_type] = Step(reducer, None, event_type, None, several=several)
    return steps


class Plan(Struct, frozen=True):
    """A compiled migration, with what a run is asked for.

    A plan that does not migrate only judges the source; one that does not even judge has no bundle, and
    looks at the events themselves.

    `now` (ms) and `actor` are what constraints see; `every_event` compares after each source event,
    not only at the end; `digests` asks for the leaves of both histories, `migrated` for the migrated
    events, `positions` for the map of old to new positions, and `snapshots` for what the migrated
    streams fold to. `origin` is what it was compiled from; pickled, a plan is compiled again.
    """

    types: Mapping[str, TypePlan]
    source_constraints: ConstraintProgram
    target_constraints: ConstraintProgram
    now: int | None
    actor: str | None
    migrates: bool = True
    judges: bool = True
    every_event: bool = False
    digests: bool = False
    migrated: bool = False
    positions: bool = False
    snapshots: bool = False
    origin: tuple[Bundle, Bundle, Migration] | tuple[Bundle] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what the functions were compiled from, and what the run is asked for."""
        asked = {name: getattr(self, name) for name in _ASKED}
        return _compiled_again, (self.origin, asked)

    def of_type(self, entity_type: str) -> TypePlan:
        """Return the plan of an entity type; one that neither bundle knows has an empty plan."""
        return self.types.get(entity_type) or (_UNKNOWN_MIGRATED if self.migrates else _UNKNOWN_JUDGED)


_UNKNOWN_MIGRATED: Final = TypePlan(SidePlan(None), SidePlan(None), {}, None)
_UNKNOWN_JUDGED: Final = TypePlan(SidePlan(None), SidePlan(None), None, None)
_ASKED: Final = ("now", "actor", "every_event", "digests", "migrated", "positions", "snapshots")


NOTHING = Plan(
    {}, ConstraintProgram({}, ()), ConstraintProgram({}, ()), now=None, actor=None, migrates=False, judges=False
)
"""The plan that only looks at the events themselves."""


def compile_plan(
    source: Bundle, target: Bundle, migration: Migration, *, now: int | None = None, actor: str | None = None
) -> Plan:
    """Compile a migration between two bundles; tenants who ask for the same one after the other share its functions."""
    return replace(_compile_migration(source, target, migration), now=now, actor=actor)


@remembering
def _compile_migration(source: Bundle, target: Bundle, migration: Migration) -> Plan:
    constraints = compile_constraints(source), compile_constraints(target)
    before, after = compile_sides(source, constraints[0]), compile_sides(target, constraints[1])
    restoring = compile_restoring(source, migration)
    types = {
        name: TypePlan(
            before.get(name, SidePlan(None)),
            after.get(name, SidePlan(None)),
            compile_rules(migration.types.get(name)),
            compile_relation(source.types[name], target.types[name], migration.types.get(name))
            if name in source.types and name in target.types
            else None,
            restoring.get(name),
        )
        for name in sorted(source.types.keys() | target.types.keys())
    }
    return Plan(types, *constraints, now=None, actor=None, origin=(source, target, migration))


def compile_judgement(bundle: Bundle, *, now: int | None = None, actor: str | None = None) -> Plan:
    """Compile a plan that migrates nothing, and only judges a history by its own bundle."""
    return replace(_compile_judgement(bundle), now=now, actor=actor)


@remembering
def _compile_judgement(bundle: Bundle) -> Plan:
    constraints = compile_constraints(bundle)
    types = {
        name: TypePlan(side, SidePlan(None), None, None) for name, side in compile_sides(bundle, constraints).items()
    }
    return Plan(
        types,
        constraints,
        ConstraintProgram({}, ()),
        now=None,
        actor=None,
        migrates=False,
        origin=(bundle,),
    )


def _compiled_again(origin: tuple[Bundle, Bundle, Migration] | tuple[Bundle] | None, asked: dict[str, Any]) -> Plan:
    if origin is None:
        plan = NOTHING
    elif len(origin) == 1:
        plan = compile_judgement(*origin)
    else:
        plan = compile_plan(*origin)
    return replace(plan, **asked)


def compile_sides(bundle: Bundle, constraints: ConstraintProgram) -> dict[str, SidePlan]:
    """Compile how a bundle replays and checks each of its entity types."""
    kept: dict[str, list[tuple[RowKeeper, SourceProgram]]] = {}
    for position, check in enumerate(constraints.query_checks):
        for number, source in enumerate(check.query.sources):
            kept.setdefault(source.entity_type, []).append((RowKeeper(position, number), source))
    sides = {}
    for name, program in compile_types(bundle).items():
        checks, keepers = constraints.snapshot_checks.get(name, ()), kept.get(name, [])
        sources = [source for _, source in keepers]
        judge = compile_judge(bundle.types[name], [check.expr for check in checks], sources)
        sides[name] = SidePlan(program, checks, tuple(keeper for keeper, _ in keepers), judge)
    return sides
