"""Every reachable world, breadth first, with the shortest way to each broken invariant.

The exploration goes on after an invariant broke, so that it tells all that a missing check breaks, not only the first.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from model.invariants import FINALLY_OPEN, MISHAPS, REACHES, broken_by, broken_in
from model.protocol import Action, successors
from model.rules import Bounds, Rules
from model.world import World

WORLDS_MAX = 2_000_000


class Trace(NamedTuple):
    """The way from the first world to the one that breaks an invariant."""

    actions: tuple[Action, ...]
    last: World

    def __str__(self) -> str:
        lines = [f"  {number:2}. {actor}: {name}" for number, (actor, name) in enumerate(self.actions, 1)]
        gate = self.last.gate
        return "\n".join(
            [
                *lines,
                f"      then {gate}",
                f"      runs {self.last.runs}",
                f"      generations {self.last.generations}, acknowledged {self.last.acknowledged}",
            ]
        )


class Exploration(NamedTuple):
    """What was found: how much there is, what broke, and which steps ever happened."""

    worlds: int
    steps: int
    broken: dict[str, Trace]
    names: frozenset[str]

    def __str__(self) -> str:
        parts = [f"{self.worlds} worlds, {self.steps} steps"]
        parts += [f"broken: {name}\n{trace}" for name, trace in sorted(self.broken.items())]
        return "\n".join(parts)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Worlds are many and hold no cycles: looking for some takes a quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_collector_at_rest()
def explore(rules: Rules, bounds: Bounds) -> Exploration:
    """Visit every world that can be reached from the first one."""
    first = World()
    worlds = [first]
    numbers = {first: 0}
    came: list[tuple[int, Action] | None] = [None]
    steps: list[tuple[int, Action, int]] = []
    broken: dict[str, Trace] = {}

    def note(names: set[str], number: int, *further: Action, last: World) -> None:
        for name in names - broken.keys():
            broken[name] = Trace((*_way(came, number), *further), last)

    note(broken_in(first, rules), 0, last=first)
    waiting = deque([0])
    while waiting:
        number = waiting.popleft()
        before = worlds[number]
        for action, after in successors(before, rules, bounds):
            note(broken_by(before, action, after), number, action, last=after)
            reached = numbers.get(after)
            if reached is None:
                reached = numbers[after] = len(worlds)
                assert reached < WORLDS_MAX, "the model has no end, or too far an end"
                worlds.append(after)
                came.append((number, action))
                waiting.append(reached)
                note(broken_in(after, rules), reached, last=after)
            steps.append((number, action, reached))
    stuck = _stuck(worlds, steps)
    if stuck is not None:
        note({FINALLY_OPEN}, stuck, last=worlds[stuck])
    return Exploration(len(worlds), len(steps), broken, frozenset(action.name for _, action, _ in steps))


def _way(came: list[tuple[int, Action] | None], number: int) -> tuple[Action, ...]:
    actions = []
    while (link := came[number]) is not None:
        number, action = link
        actions.append(action)
    return tuple(reversed(actions))


def _stuck(worlds: list[World], steps: list[tuple[int, Action, int]]) -> int | None:
    """The first world from which one of `REACHES` is out of reach."""
    stuck = [
        number for actors, is_good in REACHES if (number := _first_without(worlds, steps, actors, is_good)) is not None
    ]
    return min(stuck, default=None)


def _first_without(
    worlds: list[World],
    steps: list[tuple[int, Action, int]],
    actors: frozenset[str],
    is_good: Callable[[World], bool],
) -> int | None:
    sources: dict[int, list[int]] = {}
    for before, (actor, name), after in steps:
        if actor in actors and name not in MISHAPS:
            sources.setdefault(after, []).append(before)
    waiting = [number for number, world in enumerate(worlds) if is_good(world)]
    reaching = set(waiting)
    while waiting:
        for before in sources.get(waiting.pop(), ()):
            if before not in reaching:
                reaching.add(before)
                waiting.append(before)
    return next((number for number in range(len(worlds)) if number not in reaching), None)
