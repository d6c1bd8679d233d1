"""What stands in the database, and what each process believes.

The abstraction:

- An event is a number, given when its transaction commits. A history is a tuple of them and is its own digest. A generation has one
  form throughout, so "mapped" means "in the generation that is read"; the mapping itself is not modelled.
- Generation 0 is the source, generation r what run r stages. The gate names one active generation by being one row, so that "exactly one
  is active" is true by construction; what can break is that it is gone, or that one which was ever active is.
- A transaction is one step. A writer's takes two, since other sessions run between its passing the fence and its end.
- Time is what is left: of the lease and of the deadline, in ticks. A tick may come between any two steps or not at all.
- An epoch only grows. So one that fell behind stays behind, and all of those are alike: the gate's is `CURRENT`, any other `STALE`.
- A crash takes a process's memory, never a commit. A lost connection and an unknown outcome of COMMIT are crashes, too: whoever comes
  next reads the journal. A run that is only slow, or has lost its claim without knowing, goes on at any later time.
- Not modelled: several streams, plans and their digests, snapshots, receipts, triggers that were dropped, how long a lock is waited for,
  imports, rollbacks, operators' own pauses, and finalize.
"""

from __future__ import annotations

from typing import NamedTuple

History = tuple[int, ...]

LEASE = 2  # ticks; one could not be renewed before it is over
DEADLINE = 3  # ticks from the fence on

NOBODY = 0
SOURCE = 0  # the generation that is active at first
CURRENT, STALE = 1, 0

# The phases of a run in the journal. The first seven are also where a process may stand.
PLANNED, FENCED, VERIFIED, STAGED, SWITCHED, ABORTED = "PLANNED", "FENCED", "VERIFIED", "STAGED", "SWITCHED", "ABORTED"
DONE = "DONE"

# Where else a process may stand.
IDLE = "idle"
STAGING = "staging"  # one batch is written
CLAIMED = "claimed"  # a run of another process, which has to be given up
SWITCHING = "switching"  # only where the switch is split
LOOKED = "looked"  # only where the phase is read before the claim
REMOVED = "removed"  # only where a run is ended after the removal of its generation


class Gate(NamedTuple):
    """One row: who may write what."""

    paused: bool = False
    owner: int = NOBODY  # the run that has the tenant, even while the gate is open
    lease: int = 0  # ticks until anybody may claim the run, and until a pause counts for nothing
    deadline: int = 0  # ticks until which the lease may be renewed
    active: int = SOURCE

    @property
    def closed(self) -> bool:
        """A pause counts only while its lease holds."""
        return self.paused and self.lease > 0


class Run(NamedTuple):
    """What the journal says of a run."""

    phase: str = PLANNED
    head: History | None = None  # as read under the fence
    verified: History | None = None  # what the replay was verified for


class Operator(NamedTuple):
    """One process at a time, and what it remembers."""

    at: str = IDLE
    run: int = NOBODY
    epoch: int = STALE


class World(NamedTuple):
    """All that a step can depend on."""

    gate: Gate = Gate()
    runs: tuple[Run, ...] = ()
    generations: tuple[History | None, ...] = ((1,),)  # None: never written, or removed
    neighbour: History = (1,)  # generation 1 of another tenant
    writers: tuple[int | None, int | None] = (None, None)  # the generation that each has an open transaction on
    operators: tuple[Operator, Operator] = (Operator(), Operator())
    acknowledged: int = 1  # a ledger outside of the database
    ever_active: frozenset[int] = frozenset({SOURCE})
    crashes: int = 0  # how many have been
    take_overs: int = 0
    jumps: int = 0

    def run(self, number: int) -> Run:
        return self.runs[number - 1]

    @property
    def stored(self) -> tuple[object, ...]:
        """What the runner may change in the database."""
        return (self.gate, self.runs, self.generations, self.neighbour, self.ever_active)

    def with_run(self, number: int, **changes: object) -> World:
        runs = list(self.runs)
        runs[number - 1] = runs[number - 1]._replace(**changes)
        return self._replace(runs=tuple(runs))

    def with_generation(self, number: int, history: History | None) -> World:
        generations = list(self.generations)
        generations[number] = history
        return self._replace(generations=tuple(generations))

    def with_gate(self, **changes: object) -> World:
        return self._replace(gate=self.gate._replace(**changes))

    def with_operator(self, me: int, operator: Operator) -> World:
        operators = list(self.operators)
        operators[me] = operator
        return self._replace(operators=tuple(operators))

    def at(self, me: int, place: str) -> World:
        """The process has gone on to `place`; one that is idle remembers nothing."""
        return self.with_operator(me, Operator() if place == IDLE else self.operators[me]._replace(at=place))

    def next_epoch(self, me: int) -> World:
        """The gate's epoch + 1, known to this process alone: every other one is behind."""
        operators = [operator._replace(epoch=STALE) for operator in self.operators]
        operators[me] = operators[me]._replace(epoch=CURRENT)
        return self._replace(operators=tuple(operators))
