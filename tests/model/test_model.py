"""The protocol keeps its invariants in every reachable world, and without any one of its safeguards it does not.

A mutant's row names all the invariants that fall, no more and no fewer. `pytest -s` prints the shortest way to each.

Which checks are redundant, and where:

- On a clock that only goes forward, the head check at the switch and the drain at the switch can be left out one at a time and even together:
  the lease check refuses whatever they would. They are what is left when the lease check is gone, or when the wall clock is set back.
- The lease check at the switch without a loss of events: the head check and the drain then stand alone. What falls is that a run whose lease is
  over changes nothing (5), since a lease that ran out counts as owning no longer. The lease check at the staging is the same.
- The owner check at the staging or at the switch: no event is lost for want of one of them within these bounds, but a run that was
  given up changes something (5), and what was reported as aborted is staged or active after all (8). Events are lost without both.
- The drain at the fence without a loss: the writer that it would have waited for moves the head, and the head check finds it.
- Reading the staged generation back finds nothing where the run stages everything; it is there for a run that does not.
- Claiming before the lease is over breaks none of the nine: it does what a take-over does, only without being asked to. So `CLAIM`
  restates the rule, and its mutant shows no more than that the rule is what keeps two operators apart.
- A switch that is recorded with its activation and opens later breaks none of the nine either: recovery goes forward. It breaks the
  promise that a tenant is never switched and still paused.
"""

from __future__ import annotations

import sys
from functools import cache

import pytest

from model.explorer import Exploration, explore
from model.invariants import (
    CLAIM,
    EXACTLY_ONCE,
    FINALLY_OPEN,
    KEPT,
    NEIGHBOUR,
    OWNED,
    STILL,
    TWICE,
    UNTOUCHED,
    VERIFIED_HEAD,
    WHOLE,
    WITHIN_DEADLINE,
)
from model.rules import ACTIVATE_FIRST, OPEN_LAST, RECORD_LAST, Bounds, Rules
from model.world import LEASE

ONE_RUN = Bounds(runs=1, events=3)
TWO_RUNS = Bounds(runs=2, events=2)
CLOCK_SET_BACK = Bounds(runs=1, events=3, jumps=1)

SLOW = pytest.mark.slow

LOST = {EXACTLY_ONCE, VERIFIED_HEAD}  # the new generation lacks what the old one was still given


def without(*checks: str) -> Rules:
    return Rules()._replace(**dict.fromkeys(checks, False))


_explore_once = cache(explore)


def explored(rules: Rules, bounds: Bounds) -> Exploration:
    """Tell what was found, so that a test that fails shows the way there."""
    exploration = _explore_once(rules, bounds)
    sys.stdout.write(f"{exploration}\n")
    return exploration


# ---------------------------------------------------------------------------------------------- the protocol


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(ONE_RUN, id="one_run"),
        pytest.param(TWO_RUNS, id="two_runs", marks=SLOW),
        pytest.param(Bounds(runs=1, events=3, crashes=3, take_overs=2), id="three_crashes_two_take_overs", marks=SLOW),
        pytest.param(Bounds(runs=2, events=3, crashes=2), id="largest", marks=(SLOW, pytest.mark.full)),
    ],
)
def test_protocol_keeps_every_invariant(bounds):
    assert explored(Rules(), bounds).broken == {}


@SLOW
def test_every_step_of_the_protocol_happens():
    happened = explored(Rules(), TWO_RUNS).names

    assert happened == {
        *("begin", "fence", "verify", "stage the first batch", "stage the rest", "renew", "switch", "finish", "abort", "clean up"),
        *("claim", "take over", "is refused", "crashes", "tick", "passes the fence", "commits", "rolls back"),
    }  # fmt: skip


def test_bounds_reach_thousands_of_worlds():
    assert explored(Rules(), ONE_RUN).worlds > 10_000


# ---------------------------------------------------------------------------------------------- without a safeguard


@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        pytest.param(without("drain_at_fence", "drain_at_switch"), {*LOST, STILL}, id="no_drain"),
        pytest.param(without("drain_at_fence"), {STILL}, id="no_drain_at_fence", marks=SLOW),
        pytest.param(without("fence_knows_generation"), LOST, id="fence_knows_no_generation", marks=SLOW),
        pytest.param(without("owner_at_stage"), {OWNED, UNTOUCHED}, id="no_owner_at_stage", marks=SLOW),
        pytest.param(without("owner_at_switch"), {OWNED, UNTOUCHED}, id="no_owner_at_switch"),
        pytest.param(without("lease_at_stage"), {OWNED}, id="no_lease_at_stage", marks=SLOW),
        pytest.param(without("lease_at_switch"), {OWNED}, id="no_lease_at_switch", marks=SLOW),
        pytest.param(without("lease_at_switch", "head_at_switch"), {*LOST, OWNED}, id="no_lease_and_no_head_at_switch", marks=SLOW),
        pytest.param(without("lease_at_switch", "drain_at_switch"), {*LOST, OWNED}, id="no_lease_and_no_drain_at_switch", marks=SLOW),
        pytest.param(without("drain_at_fence", "head_at_switch"), {*LOST, STILL}, id="no_drain_at_fence_and_no_head", marks=SLOW),
        pytest.param(Rules(switch=ACTIVATE_FIRST), {EXACTLY_ONCE, KEPT, WHOLE}, id="switch_activates_then_opens", marks=SLOW),
        pytest.param(Rules(switch=RECORD_LAST), {EXACTLY_ONCE, KEPT}, id="switch_is_recorded_afterwards", marks=SLOW),
        pytest.param(Rules(switch=OPEN_LAST), {WHOLE}, id="switch_is_recorded_then_opens", marks=SLOW),
        pytest.param(without("forward_only"), {EXACTLY_ONCE, KEPT}, id="recovery_reopens_the_source"),
        pytest.param(without("claim_reads_phase"), {EXACTLY_ONCE, KEPT}, id="phase_is_read_before_the_claim", marks=SLOW),
        pytest.param(without("claim_waits"), {CLAIM}, id="claim_waits_for_no_lease", marks=SLOW),
        pytest.param(without("renews_while_held"), {STILL, OWNED}, id="renewal_of_what_is_over", marks=SLOW),
        pytest.param(without("renews_while_held", "head_at_switch"), {*LOST, STILL, OWNED}, id="renewal_of_what_is_over_and_no_head", marks=SLOW),
        pytest.param(without("renews_to_deadline"), {WITHIN_DEADLINE}, id="renewal_past_the_deadline", marks=SLOW),
        pytest.param(without("lease_ends"), {FINALLY_OPEN, WITHIN_DEADLINE}, id="pause_without_end", marks=SLOW),
        pytest.param(without("recovers"), {FINALLY_OPEN}, id="no_recovery"),
        pytest.param(without("removes_own"), {EXACTLY_ONCE, KEPT, TWICE, UNTOUCHED}, id="removal_of_the_newest_generation", marks=SLOW),
        pytest.param(without("removes_of_tenant"), {NEIGHBOUR}, id="removal_without_the_tenant", marks=SLOW),
        pytest.param(without("verifies"), {VERIFIED_HEAD}, id="no_verification"),
        pytest.param(without("stages_all", "whole_at_switch"), {EXACTLY_ONCE}, id="half_staged_and_not_read_back"),
    ],
)  # fmt: skip
def test_mutant_is_caught(rules, broken):
    assert explored(rules, ONE_RUN).broken.keys() == broken


@SLOW
@pytest.mark.parametrize(
    ("rules", "broken"),
    [
        pytest.param(without("owner_at_abort"), {EXACTLY_ONCE, OWNED}, id="no_owner_at_abort"),
        pytest.param(without("owner_at_stage", "owner_at_switch"), {EXACTLY_ONCE, OWNED, UNTOUCHED}, id="no_owner_check"),
    ],
)  # fmt: skip
def test_mutant_is_caught_when_a_second_run_follows(rules, broken):
    assert explored(rules, TWO_RUNS).broken.keys() == broken


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(without("head_at_switch"), id="no_head_at_switch"),
        pytest.param(without("drain_at_switch"), id="no_drain_at_switch", marks=SLOW),
        pytest.param(without("head_at_switch", "drain_at_switch"), id="neither", marks=SLOW),
        pytest.param(without("stages_all"), id="half_staged_is_read_back", marks=SLOW),
    ],
)
def test_redundant_check_can_be_missed_while_the_clock_goes_forward(rules):
    assert explored(rules, ONE_RUN).broken == {}


# ---------------------------------------------------------------------------------------------- a clock that is set back


@SLOW
def test_clock_set_back_ends_the_stillness_only():
    """Writers passed while the lease was over; then it holds again. No check can undo that, but nothing is lost."""
    assert explored(Rules(), CLOCK_SET_BACK).broken.keys() == {STILL}


@SLOW
@pytest.mark.parametrize("check", ["head_at_switch", "drain_at_switch"])
def test_clock_set_back_is_survived_by_the_head_under_the_lock(check):
    assert explored(without(check), CLOCK_SET_BACK).broken.keys() == {*LOST, STILL}


@SLOW
def test_clock_set_back_is_survived_without_the_lease_check():
    assert explored(without("lease_at_switch"), CLOCK_SET_BACK).broken.keys() == {STILL, OWNED}


# ---------------------------------------------------------------------------------------------- the way to a broken invariant


def way(rules: Rules, bounds: Bounds, broken: str) -> list[str]:
    return [f"{actor}: {name}" for actor, name in explored(rules, bounds).broken[broken].actions]


def test_way_to_the_loss_without_a_drain():
    assert way(without("drain_at_fence", "drain_at_switch"), ONE_RUN, EXACTLY_ONCE) == [
        "new program: passes the fence",
        "operator 1: begin",
        "operator 1: fence",
        "operator 1: verify",
        "operator 1: stage the first batch",
        "operator 1: stage the rest",
        "operator 1: switch",
        "new program: commits",
    ]


def test_way_to_a_switch_after_the_abort_without_an_owner_check():
    assert way(without("owner_at_switch"), ONE_RUN, UNTOUCHED)[-4:] == [
        "operator 1: stage the rest",
        "operator 2: take over",
        "operator 2: abort",
        "operator 1: switch",
    ]


def test_way_to_a_late_switch_without_a_lease_check():
    late = way(without("lease_at_switch"), ONE_RUN, OWNED)

    assert late.count("clock: tick") == LEASE
    assert late[-1] == "operator 1: switch"


def test_way_to_the_loss_when_a_crash_splits_the_switch():
    ways = way(Rules(switch=RECORD_LAST), ONE_RUN._replace(take_overs=0), EXACTLY_ONCE)

    assert ways.index("operator 1: switch") < ways.index("new program: commits") < ways.index("operator 2: abort")
    assert "operator 1: switch, second half" not in ways
