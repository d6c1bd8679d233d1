"""Processes are killed around every commit of a change and at any instant, also while they clean up after one that died.

Each story takes a tenant of its own: a change is killed, what comes next may be killed too, up to three in a row, and the
last one lives. Whatever happened, the tenant is then open on exactly one version, with every acknowledged event. The
numbers of kills go into the summary of pytest.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import pytest

from crash import scenarios
from crash.conftest import RUNS
from crash.fork_server import Death, DyingProcess, ForkServer
from crash.ground import Ground, Tenant, facts

LEASE_S = 0.25
LEASE_IN_RUNS = 4
"""The lease of who is going to die, in seconds and as a multiple of what a run takes: a run that outlives it dies of that.

Who lives has one that no slow machine outlasts.
"""

LONG_LEASE_S = 60.0

COMMITS = 9
"""The transactions of a cutover on a file: begin, bundle, aim, fence, stage, verify, read back, switch, end."""

COMMITS_OF_FINALIZE = 5
"""Begin, two of removing, one that finds nothing more, end."""

STORIES_IN_CI = 50
STORIES_IN_FULL = 400
"""From so many on, every kind of change is killed before and after each of its commits."""

TOGETHER = 10
"""So many tenants wait for the end of their leases at the same time."""

CHANGES = ("cutover", "cutover", "rollback", "cutover", "finalize")
TARGETS = {"cutover": 2, "rollback": 1, "finalize": 2}
"""The version on which a change leaves its tenant."""

PHASES = ("PLANNED", "FENCED", "VERIFIED", "STAGED", "SWITCHED", "DONE", "ABORTED")
KILLS_MIN = 20
"""In each phase, in the full run."""

Point = tuple[str, int]

STRIDE = 7
"""A prime, so that a walk in such steps comes to every point."""

RECOVERY_POINTS: list[Point] = [(when, number) for number in range(1, 5) for when in ("before", "after")]


@dataclass
class Step:
    """A process that is to die: of what, and where; at any instant where no point is named."""

    name: str
    point: Point | None


@dataclass
class Story:
    """What happens to one tenant: a change, those who die, and who lives."""

    change: str
    migration: str
    written_between: bool
    dying: list[Step]
    last: str
    tenant: Tenant | None = None
    target: int = 2

    @property
    def kind(self) -> str:
        """The change, and of a rollback the way it takes."""
        return _kind(self.change, self.written_between)


def _kind(change: str, written_between: bool) -> str:
    if change != "rollback":
        return change
    return "inverse" if written_between else "reactivate"


def points_of(commits: dict[str, int]) -> dict[str, list[Point]]:
    """Before and after each commit of each kind of change."""
    return {
        kind: [(when, n) for n in range(1, last + 1) for when in ("before", "after")] for kind, last in commits.items()
    }


def commits_of(ground: Ground) -> dict[str, int]:
    """How many transactions each kind of change takes on a store; where an old generation is kept, nothing is staged."""
    last = ground.commit(COMMITS)
    return {"cutover": last, "reactivate": last - 1, "inverse": last, "finalize": COMMITS_OF_FINALIZE}


def _scattered(points: list[Point]) -> list[Point]:
    """Return the points in an order in which a few tell of all phases."""
    assert len(points) % STRIDE
    return [points[number * STRIDE % len(points)] for number in range(len(points))]


def stories(chance: random.Random, commits: dict[str, int]) -> Iterator[Story]:
    """Every point of each kind of change in turn, each followed by every kind of what comes next."""
    last_commit, points = commits["cutover"], points_of(commits)
    points["cutover"] += [("after", last_commit), ("after", last_commit - 1)]
    in_turn, number = {kind: cycle(_scattered(found)) for kind, found in points.items()}, 0
    in_turn_of_recovery = cycle(RECOVERY_POINTS)
    while True:
        change, written_between = CHANGES[number % len(CHANGES)], number % 10 == 7
        first = None if number % 3 == 2 else next(in_turn[_kind(change, written_between)])
        dying = [Step(change, first)]
        for turn in range((number // 2) % 3):
            if (number // 6 + turn) % 3 == 2:
                dying.append(Step(change, (chance.choice(("before", "after")), chance.randint(1, last_commit + 4))))
            else:
                dying.append(Step("recover", None if number % 7 == 3 else next(in_turn_of_recovery)))
        migration = "rename" if change == "rollback" or number % 2 else "split"
        last = "recover" if number % 4 < 2 else change
        yield Story(change, migration, written_between, dying, last, target=TARGETS[change])
        number += 1


class Teller:
    """Tells stories on one store, and counts the kills."""

    def __init__(self, ground: Ground, forks: ForkServer, chance: random.Random) -> None:
        self._ground = ground
        self._forks = forks
        self._chance = chance
        self._number = 0
        self.kills: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.points: dict[str, set[Point]] = defaultdict(set)
        self.usual_s = min(self._measure() for _ in range(4))
        self._lease_s = max(LEASE_S, LEASE_IN_RUNS * self.usual_s)

    def tell(self, together: list[Story]) -> None:
        """Tell stories side by side, so that the leases of the dead end at the same time."""
        for story in together:
            self._prepare(story)
        for turn in range(3):
            for story in together:
                if turn < len(story.dying):
                    self._let_die(story, story.dying[turn])
        for story in together:
            self._bring_to_an_end(story)

    def _measure(self) -> float:
        """How long a cutover takes that nobody kills."""
        tenant = self._ground.add_tenant()
        began = time.monotonic()
        process = self._start("cutover", tenant, "split", None, LONG_LEASE_S)
        assert process.wait() == "exited"
        assert process.answer is not None
        assert process.answer["outcome"] == "switched", facts(process.answer)
        return time.monotonic() - began

    def _prepare(self, story: Story) -> None:
        tenant = story.tenant = self._ground.add_tenant()
        tenant.may_lose_old = story.change == "finalize"
        if story.change != "cutover":
            assert scenarios.cutover(
                self._ground.store, tenant.tenant_id, migration=story.migration, lease_s=LONG_LEASE_S
            ).ok
            if story.written_between:
                assert self._ground.write(tenant) is None

    def _start(
        self, name: str, tenant: Tenant, migration: str, death: Death | None, lease_s: float, **options: Any
    ) -> DyingProcess:
        if name in {"cutover", "rollback"}:
            options["migration"] = migration
        self._ground.leave()
        return self._forks.start(name, self._ground.url, tenant.tenant_id, {"lease_s": lease_s, **options}, death)

    def _let_die(self, story: Story, step: Step) -> None:
        tenant = story.tenant
        assert tenant is not None
        options = self._overtaking(step.name, tenant)
        death = None if step.point is None else (int(signal.SIGKILL), *step.point)
        process = self._start(step.name, tenant, story.migration, death, self._lease_s, **options)
        if step.point is None:
            time.sleep(self._chance.uniform(0, self.usual_s))
            process.kill()
        ended = process.wait()
        self._ground.until_gone()
        if ended != "killed":
            self.seen["survived"] += 1
            return
        run = self._ground.last_run(tenant)
        self.kills["before the run" if run is None else run.phase] += 1
        self.seen["kills"] += 1
        self.seen["kills at any instant"] += step.point is None
        self.seen["kills of who came next"] += step is not story.dying[0]
        if step is story.dying[0] and step.point is not None:
            self.points[story.kind].add(step.point)
        self.seen["writers held"] += self._ground.require_held(tenant)

    def _overtaking(self, name: str, tenant: Tenant) -> dict[str, Any]:
        """Wait for the lease of who died, or take over without waiting."""
        run = self._ground.store.runs.holder(tenant.tenant_id)
        self._number += 1
        if run is not None and name == "recover" and self._number % 2:
            return {"take_over": (run.run_id, run.epoch)}
        self._ground.until_lease_is_over(tenant)
        if self._number % 4 == 0:
            assert self._ground.write(tenant) is None  # nobody has come, but the lease is over
            self.seen["writers let in by the lease"] += run is not None
        return {}

    def _bring_to_an_end(self, story: Story) -> None:
        ground, tenant = self._ground, story.tenant
        assert tenant is not None
        was_switched = self._has_switched(story)
        process = self._start(
            story.last, tenant, story.migration, None, LONG_LEASE_S, **self._overtaking(story.last, tenant)
        )
        assert process.wait() == "exited", facts(process.answer)
        ground.until_gone()
        if story.last != "recover" and ground.gate(tenant).active_version != story.target:
            raise AssertionError(facts(process.answer))
        version = ground.require_whole(tenant, story.migration)
        assert (version == story.target) == (was_switched or story.last != "recover" or story.change == "finalize")
        if story.last == "finalize":
            assert ground.generation(tenant, 1) == []
        ground.require_settled(tenant)
        self.seen["stories"] += 1

    def _has_switched(self, story: Story) -> bool:
        """Whether one of those who died has come past the point from which nothing goes back."""
        assert story.tenant is not None
        runs = self._ground.store.runs.of_tenant(story.tenant.tenant_id)
        return any(run.kind == story.change and run.switched_at_ms is not None for run in runs)


@pytest.mark.parametrize(
    ("change", "outcome"), [("cutover", "already"), ("rollback", "refused"), ("finalize", "nothing")]
)
def test_the_same_command_again_ends_a_run_that_had_only_to_end(
    ground: Ground, forks: ForkServer, change: str, outcome: str
) -> None:
    tenant = ground.add_tenant()
    tenant.may_lose_old = change == "finalize"
    if change != "cutover":
        assert scenarios.cutover(ground.store, tenant.tenant_id, migration="rename", lease_s=LONG_LEASE_S).ok
    options = {} if change == "finalize" else {"migration": "rename"}
    last = {"cutover": ground.commit(COMMITS), "rollback": ground.commit(COMMITS - 1), "finalize": 5}[change]
    ground.leave()
    death = (int(signal.SIGKILL), "before", last)
    process = forks.start(change, ground.url, tenant.tenant_id, {"lease_s": LONG_LEASE_S, **options}, death)
    assert process.wait() == "killed"
    ground.until_gone()
    assert ground.store.runs.holder(tenant.tenant_id) is not None
    ground.plain.execute("update {cutover} set lease_until_ms = 0 where tenant_id = ?", tenant.tenant_id)

    report = scenarios.SCENARIOS[change](ground.store, tenant.tenant_id, lease_s=LONG_LEASE_S, **options)

    assert report.outcome == outcome
    ground.require_whole(tenant, "rename")


def _summary(teller: Teller) -> str:
    counts = [f"{number} {name}" for name, number in (*sorted(teller.seen.items()), *sorted(teller.kills.items()))]
    return ", ".join(counts)


def _sorted(commits: dict[str, int]) -> dict[str, list[Point]]:
    return {kind: sorted(points) for kind, points in points_of(commits).items()}


@pytest.mark.parametrize("last", [COMMITS, COMMITS + 1], ids=["file", "server"])
def test_stories_of_the_full_run_kill_around_every_commit(last: int) -> None:
    commits = {"cutover": last, "reactivate": last - 1, "inverse": last, "finalize": COMMITS_OF_FINALIZE}
    found = defaultdict(set)
    for story in islice(stories(random.Random(1), commits), STORIES_IN_FULL):
        if story.dying[0].point is not None:
            found[story.kind].add(story.dying[0].point)

    assert {kind: sorted(points) for kind, points in found.items()} == _sorted(commits)


def test_any_death_leaves_a_whole_tenant(
    ground: Ground, forks: ForkServer, record_property: Any, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(20261125)
    teller = Teller(ground, forks, chance)
    commits = commits_of(ground)
    plot = stories(chance, commits)
    left = RUNS or STORIES_IN_CI
    while left:
        together = list(islice(plot, min(left, TOGETHER)))
        teller.tell(together)
        left -= len(together)

    record_property("crash", f"{request.node.name}: {_summary(teller)}")
    is_full = RUNS >= STORIES_IN_FULL
    least = KILLS_MIN if is_full else 1
    assert {phase: teller.kills[phase] for phase in PHASES if teller.kills[phase] < least} == {}
    assert not is_full or {kind: sorted(found) for kind, found in teller.points.items()} == _sorted(commits)
    assert teller.seen["writers held"]
    assert teller.seen["writers let in by the lease"]
