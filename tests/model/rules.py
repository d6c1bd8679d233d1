"""What the protocol checks, one name for each check. A mutant is the protocol without one of them."""

from __future__ import annotations

from typing import NamedTuple

IN_ONE = "in one transaction"
ACTIVATE_FIRST = "activate, then open and record"
RECORD_LAST = "activate and open, then record"
OPEN_LAST = "activate and record, then open"


class Rules(NamedTuple):
    """The protocol as designed; each field that is changed takes one safeguard away."""

    # The fence, which every writer passes.
    fence_knows_generation: bool = True  # a write to a generation that is not the active one is refused
    drain_at_fence: bool = True  # the lock of the fence is got when no writer is under way
    drain_at_switch: bool = True  # and so is the lock of the switch

    # What a step of a run re-checks in its transaction.
    owner_at_stage: bool = True  # owner and epoch
    lease_at_stage: bool = True
    owner_at_switch: bool = True  # owner and epoch
    lease_at_switch: bool = True
    owner_at_abort: bool = True  # owner and epoch; an abort needs no lease, since it only opens
    head_at_switch: bool = True  # the head is the one that was read under the fence
    whole_at_switch: bool = True  # the staged generation is read back
    switch: str = IN_ONE

    # The lease.
    lease_ends: bool = True  # a pause ends without anybody's help
    renews_while_held: bool = True  # a lease that ran out is never renewed
    renews_to_deadline: bool = True  # and none past the deadline of the pause

    # Recovery.
    recovers: bool = True  # who comes next may claim a run that nobody finished
    claim_waits: bool = True  # an unfinished run is claimed when its lease is over, or by a take-over
    claim_reads_phase: bool = True  # in the transaction of the claim, not before it
    forward_only: bool = True  # what was switched is finished, never reopened
    removes_own: bool = (
        True  # the staged generation is removed by its number, and the run ended in the same transaction
    )
    removes_of_tenant: bool = True  # by the tenant's name and its number

    # Faults of the run itself, which a later check has to find.
    verifies: bool = True
    stages_all: bool = True


class Bounds(NamedTuple):
    """How far the model goes. Within them every order of steps is tried."""

    runs: int = 2  # runs that may begin, one after the other
    events: int = 2  # events ever acknowledged; the history begins with one
    crashes: int = 1  # processes that end without a word; two operators start again as often as they like
    take_overs: int = 1  # claims by order, while the lease holds
    jumps: int = 0  # times that the wall clock is set back by one tick
