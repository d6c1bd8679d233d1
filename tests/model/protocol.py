"""The steps: which worlds can follow a world.

Every step is a function that gives the next world, or nothing where the database or the program refuses. `STEPS` says which of them a
process tries where it stands. `successors` gives all that can happen next, by whomever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from model.rules import ACTIVATE_FIRST, IN_ONE, OPEN_LAST, RECORD_LAST, Bounds, Rules
from model.world import (
    ABORTED,
    CLAIMED,
    CURRENT,
    DEADLINE,
    DONE,
    FENCED,
    IDLE,
    LEASE,
    LOOKED,
    NOBODY,
    PLANNED,
    REMOVED,
    SOURCE,
    STAGED,
    STAGING,
    SWITCHED,
    SWITCHING,
    VERIFIED,
    Operator,
    Run,
    World,
)

CLOCK = "clock"
WRITERS = ("new program", "old program")  # the old one was told of the source's generation and never asks again
OPERATORS = ("operator 1", "operator 2")

Step = Callable[[World, int, Rules], World | None]


class Action(NamedTuple):
    actor: str
    name: str


def owns(world: World, me: int, *, owner: bool = True, lease: bool = False) -> bool:
    """What a step demands of the gate: this run at this epoch, and a lease that still holds."""
    mine = world.operators[me]
    if owner and not (mine.epoch == CURRENT and mine.run == world.gate.owner):
        return False
    return not lease or world.gate.lease > 0


def _drained(world: World) -> bool:
    return world.writers == (None, None)


# ---------------------------------------------------------------------------------------------- the run


def fence(world: World, me: int, rules: Rules) -> World | None:
    if not owns(world, me) or (rules.drain_at_fence and not _drained(world)):
        return None
    fenced = world.with_gate(paused=True, lease=LEASE, deadline=DEADLINE).next_epoch(me)
    return fenced.with_run(world.gate.owner, phase=FENCED, head=world.generations[SOURCE]).at(me, FENCED)


def verify(world: World, me: int, rules: Rules) -> World | None:
    run = world.operators[me].run
    source, head = world.generations[SOURCE], world.run(run).head
    if not owns(world, me, lease=True) or source != head:
        return None
    return world.with_run(run, phase=VERIFIED, verified=source if rules.verifies else None).at(me, VERIFIED)


def stage_first(world: World, me: int, rules: Rules) -> World | None:
    return _stage(world, me, rules, first=True)


def stage_rest(world: World, me: int, rules: Rules) -> World | None:
    return _stage(world, me, rules, first=False)


def _stage(world: World, me: int, rules: Rules, *, first: bool) -> World | None:
    """A batch: keyed rows, so that writing it again changes nothing."""
    run = world.operators[me].run
    source, head = world.generations[SOURCE], world.run(run).head
    if not owns(world, me, owner=rules.owner_at_stage, lease=rules.lease_at_stage) or source is None or head is None:
        return None
    if first:
        return world.with_generation(run, source[:1]).at(me, STAGING)
    staged = source[: len(head)] if rules.stages_all else world.generations[run]
    return world.with_generation(run, staged).with_run(run, phase=STAGED).at(me, STAGED)


def renew(world: World, me: int, rules: Rules) -> World | None:
    if not owns(world, me, lease=rules.renews_while_held):
        return None
    lease = min(LEASE, world.gate.deadline) if rules.renews_to_deadline else LEASE
    return world.with_gate(lease=lease) if lease > world.gate.lease else None


def switch(world: World, me: int, rules: Rules) -> World | None:
    """The commit point. Where it is split, this is its first half."""
    run = world.operators[me].run
    if not owns(world, me, owner=rules.owner_at_switch, lease=rules.lease_at_switch):
        return None
    if rules.drain_at_switch and not _drained(world):
        return None
    if rules.head_at_switch and world.generations[SOURCE] != world.run(run).head:
        return None
    staged = world.generations[run]
    if staged is None or (rules.whole_at_switch and staged != world.run(run).head):
        return None
    switched = world.with_gate(active=run)._replace(ever_active=world.ever_active | {run})
    if rules.switch in {IN_ONE, RECORD_LAST}:
        switched = _open(switched).next_epoch(me)
    if rules.switch in {IN_ONE, OPEN_LAST}:
        switched = switched.with_run(run, phase=SWITCHED)
    return switched.at(me, SWITCHED if rules.switch == IN_ONE else SWITCHING)


def switch_second_half(world: World, me: int, rules: Rules) -> World | None:
    run = world.operators[me].run
    if not owns(world, me):
        return None
    switched = world if rules.switch == RECORD_LAST else _open(world).next_epoch(me)
    if rules.switch in {ACTIVATE_FIRST, RECORD_LAST}:
        switched = switched.with_run(run, phase=SWITCHED)
    return switched.at(me, SWITCHED)


def finish(world: World, me: int, rules: Rules) -> World | None:
    if not owns(world, me):
        return None
    return _release(_open(world).with_run(world.gate.owner, phase=DONE)).at(me, IDLE)


def abort(world: World, me: int, rules: Rules) -> World | None:
    """Reopen the source and say so; what was staged is invisible and can wait."""
    if not owns(world, me, owner=rules.owner_at_abort):
        return None
    run = world.operators[me].run
    return _open(world).with_gate(active=SOURCE).with_run(run, phase=ABORTED).at(me, ABORTED)


def clean_up(world: World, me: int, rules: Rules) -> World | None:
    """Remove what an aborted run staged, and end the run."""
    if not owns(world, me):
        return None
    run = world.gate.owner
    if not rules.removes_own:
        run = max((number for number, history in enumerate(world.generations) if history is not None), default=run)
    cleaned = world.with_generation(run, None)
    if not rules.removes_of_tenant:
        cleaned = cleaned._replace(neighbour=())
    return _release(cleaned).at(me, IDLE) if rules.removes_own else cleaned.at(me, REMOVED)


def end(world: World, me: int, rules: Rules) -> World | None:
    return _release(world).at(me, IDLE) if owns(world, me) else None


def _open(world: World) -> World:
    return world.with_gate(paused=False, deadline=0)


def _release(world: World) -> World:
    return world.with_gate(owner=NOBODY, lease=0)


STEPS: dict[str, tuple[tuple[str, Step], ...]] = {
    PLANNED: (("fence", fence), ("abort", abort)),
    FENCED: (("verify", verify), ("renew", renew), ("abort", abort)),
    VERIFIED: (("stage the first batch", stage_first), ("renew", renew), ("abort", abort)),
    STAGING: (("stage the rest", stage_rest), ("renew", renew), ("abort", abort)),
    STAGED: (("switch", switch), ("renew", renew), ("abort", abort)),
    SWITCHING: (("switch, second half", switch_second_half),),
    SWITCHED: (("finish", finish),),
    CLAIMED: (("abort", abort),),
    ABORTED: (("clean up", clean_up),),
    REMOVED: (("end", end),),
}


# ---------------------------------------------------------------------------------------------- the first step of a process


def begin(world: World, me: int, bounds: Bounds) -> World | None:
    if world.gate.owner != NOBODY or world.gate.active != SOURCE or len(world.runs) >= bounds.runs:
        return None
    run = len(world.runs) + 1
    begun = world._replace(runs=(*world.runs, Run()), generations=(*world.generations, None))
    return begun.with_gate(owner=run, lease=LEASE).with_operator(me, Operator(PLANNED, run)).next_epoch(me)


def claim(world: World, me: int, place: str) -> World:
    """Own the run of another process, at epoch + 1."""
    return world.with_operator(me, Operator(place, world.gate.owner)).next_epoch(me)


def _where_to_go_on(world: World, rules: Rules) -> str:
    """What the journal's phase asks of the process that claims the run."""
    phase = world.run(world.gate.owner).phase
    return phase if phase == ABORTED or (phase == SWITCHED and rules.forward_only) else CLAIMED


def _starts(world: World, me: int, rules: Rules, bounds: Bounds) -> Iterator[tuple[str, World]]:
    """What a process that has just started does: a run of its own, or the recovery of one that is unfinished."""
    begun = begin(world, me, bounds)
    if begun is not None:
        yield "begin", begun
    if world.gate.owner == NOBODY or not rules.recovers:
        return
    over, place = world.gate.lease == 0, _where_to_go_on(world, rules)
    if place == CLAIMED and not rules.claim_reads_phase:
        yield "look at the phase", world.with_operator(me, Operator(LOOKED, world.gate.owner))
    elif over or not rules.claim_waits:
        yield "claim", claim(world, me, place)
    if not over and world.take_overs < bounds.take_overs:
        yield "take over", claim(world, me, place)._replace(take_overs=world.take_overs + 1)


def _claims_what_it_saw(world: World, me: int) -> Iterator[tuple[str, World]]:
    if world.gate.owner != world.operators[me].run:
        yield "is refused", world.at(me, IDLE)
    elif world.gate.lease == 0:
        yield "claim", claim(world, me, CLAIMED)


# ---------------------------------------------------------------------------------------------- everything that can happen


def successors(world: World, rules: Rules, bounds: Bounds) -> Iterator[tuple[Action, World]]:
    """All that can happen next. A step that is refused and changes nothing at all is left out."""
    yield from _time(world, rules, bounds)
    for me, actor in enumerate(WRITERS):
        for name, after in _writes(world, me, rules, bounds):
            yield Action(actor, name), after
    for me, actor in enumerate(OPERATORS):
        for name, after in _operates(world, me, rules, bounds):
            yield Action(actor, name), after


def _time(world: World, rules: Rules, bounds: Bounds) -> Iterator[tuple[Action, World]]:
    gate = world.gate
    if gate.lease > 0 or gate.deadline > 0:
        lease = gate.lease if gate.paused and not rules.lease_ends else max(0, gate.lease - 1)
        ticked = world.with_gate(lease=lease, deadline=max(0, gate.deadline - 1))
        if ticked != world:
            yield Action(CLOCK, "tick"), ticked
    if world.jumps < bounds.jumps and gate.paused and gate.lease < LEASE:
        back = world.with_gate(lease=gate.lease + 1, deadline=min(DEADLINE, gate.deadline + 1))
        yield Action(CLOCK, "is set back"), back._replace(jumps=world.jumps + 1)


def _writes(world: World, me: int, rules: Rules, bounds: Bounds) -> Iterator[tuple[str, World]]:
    """A writer passes the fence; later its transaction commits, whatever the gate says by then, or rolls back."""
    under_way = world.writers[me]
    if under_way is None:
        generation = world.gate.active if me == 0 else SOURCE
        passes = generation == world.gate.active or not rules.fence_knows_generation
        room = world.acknowledged + sum(writer is not None for writer in world.writers) < bounds.events
        if passes and room and not world.gate.closed:
            yield "passes the fence", _with_writer(world, me, generation)
        return
    over = _with_writer(world, me, None)
    yield "rolls back", over
    history = world.generations[under_way]
    if history is not None:
        number = world.acknowledged + 1
        yield "commits", over.with_generation(under_way, (*history, number))._replace(acknowledged=number)


def _with_writer(world: World, me: int, generation: int | None) -> World:
    writers = list(world.writers)
    writers[me] = generation
    return world._replace(writers=tuple(writers))


def _operates(world: World, me: int, rules: Rules, bounds: Bounds) -> Iterator[tuple[str, World]]:
    place = world.operators[me].at
    if place == IDLE:
        yield from _starts(world, me, rules, bounds)
        return
    if place == LOOKED:
        yield from _claims_what_it_saw(world, me)
    else:
        for name, step in STEPS[place]:
            after = step(world, me, rules)
            if after is not None:
                yield name, after
        if not owns(world, me):
            yield "is refused", world.at(me, IDLE)
    if world.crashes < bounds.crashes:
        yield "crashes", world.at(me, IDLE)._replace(crashes=world.crashes + 1)
