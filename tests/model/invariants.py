"""What must hold in each world, over each step, and at last.

The numbers are those of the design's nine invariants. Two more sentences of the design are checked under names of their own, since none of
the nine falls without them: `WHOLE` (a tenant is never switched and still paused) and `CLAIM` (who has not been asked to take over
waits for the lease).
"""

from __future__ import annotations

from functools import cache

from model.protocol import CLOCK, OPERATORS, Action, owns, successors
from model.rules import Bounds, Rules
from model.world import ABORTED, NOBODY, SOURCE, Operator, World

EXACTLY_ONCE = "1 every acknowledged event is in the active history exactly once"
STILL = "2 while fenced, the source has the head that was read"
VERIFIED_HEAD = "3 the new generation is active only if verified for exactly the source's head"
KEPT = "4 the active generation exists, and so does each that ever was active"
OWNED = "5 a step by a run that no longer owns the gate changes nothing"
TWICE = "6 recovering twice equals recovering once"
WITHIN_DEADLINE = "7 a pause never outlasts its deadline"
FINALLY_OPEN = "7 the tenant is finally open, and no run unfinished"
UNTOUCHED = "8 an aborted run stays aborted, and leaves the old history as it was, and active"
NEIGHBOUR = "9 another tenant is never touched"
WHOLE = "a tenant is never switched and still paused"
CLAIM = "a run loses its claim only to a take-over or when its lease is over"

_NEED_LEASE = frozenset({"verify", "stage the first batch", "stage the rest", "renew", "switch"})
_RECOVERY = frozenset({"look at the phase", "claim", "switch, second half", "finish", "abort", "clean up", "end"})
_STEPS_OF_RECOVERY_MAX = 10


# ---------------------------------------------------------------------------------------------- in each world


def broken_in(world: World, rules: Rules) -> set[str]:
    """The invariants that this world breaks."""
    return {name for name, holds in _holds(world, rules).items() if not holds}


def _holds(world: World, rules: Rules) -> dict[str, bool]:
    gate, generations = world.gate, world.generations
    active, source = generations[gate.active], generations[SOURCE]
    on_source = gate.active == SOURCE
    return {
        EXACTLY_ONCE: active is not None and sorted(active) == list(range(1, world.acknowledged + 1)),
        STILL: not (gate.closed and on_source) or source == world.run(gate.owner).head,
        VERIFIED_HEAD: on_source or world.run(gate.active).verified == source,
        KEPT: all(generations[number] is not None for number in {gate.active, *world.ever_active}),
        TWICE: _recovers_alike(_left_alone(world), rules),
        WITHIN_DEADLINE: not gate.closed or gate.lease <= gate.deadline,
        UNTOUCHED: on_source or world.run(gate.active).phase != ABORTED,
        NEIGHBOUR: world.neighbour == (1,),
        WHOLE: on_source or not gate.paused,
    }


def _left_alone(world: World) -> World:
    """All processes are gone, what they had open is rolled back, and the lease is over."""
    return world._replace(
        gate=world.gate._replace(lease=0, deadline=0),
        writers=(None, None),
        operators=(Operator(), Operator()),
        acknowledged=0,
        crashes=0,
        take_overs=0,
        jumps=0,
    )


@cache
def _recovery(world: World, rules: Rules) -> tuple[World, ...]:
    """The worlds that one process alone passes when it recovers the run that it finds."""
    passed = [world]
    for _ in range(_STEPS_OF_RECOVERY_MAX):
        steps = successors(passed[-1], rules, Bounds(runs=0, events=0, crashes=0, take_overs=0))
        after = [next_ for action, next_ in steps if action.actor == OPERATORS[0] and action.name in _RECOVERY]
        if not after:
            break
        passed.append(after[0])
    return tuple(passed)


@cache
def _recovers_alike(world: World, rules: Rules) -> bool:
    """Wherever a recovery is cut off, and also when it is whole, the next one ends in the same world."""
    passed = _recovery(world, rules)
    return all(_recovery(_left_alone(cut), rules)[-1].stored == passed[-1].stored for cut in passed)


# ---------------------------------------------------------------------------------------------- over each step


def broken_by(before: World, action: Action, after: World) -> set[str]:
    """The invariants that this step breaks."""
    if action.actor not in OPERATORS:
        return set()
    broken = set()
    changes = before.stored != after.stored
    me = OPERATORS.index(action.actor)
    if changes and action.name != "begin" and not owns(before, me, lease=action.name in _NEED_LEASE):
        broken.add(OWNED)
    aborted_alike = all(
        new.phase == ABORTED for old, new in zip(before.runs, after.runs, strict=False) if old.phase == ABORTED
    )
    if before.generations[SOURCE] != after.generations[SOURCE] or not aborted_alike:
        broken.add(UNTOUCHED)
    if action.name == "claim" and before.gate.lease > 0:
        broken.add(CLAIM)
    return broken


# ---------------------------------------------------------------------------------------------- at last


def is_open(world: World) -> bool:
    return not world.gate.closed


def is_settled(world: World) -> bool:
    return is_open(world) and world.gate.owner == NOBODY


# From every world each of these must be within reach by the steps of the named actors alone, crashes, take-overs and set clocks left out.
# The first says that nobody has to come: the clock opens the tenant. The others say that it is enough when either process goes on or is
# started again, whatever the other does or does not. The graph is finite, so a fair path (what can happen again and again does happen) gets
# there as well.
REACHES = (
    (frozenset({CLOCK}), is_open),
    (frozenset({CLOCK, OPERATORS[0]}), is_settled),
    (frozenset({CLOCK, OPERATORS[1]}), is_settled),
)
MISHAPS = frozenset({"crashes", "take over", "is set back"})
