"""A run that this process carries out: it keeps its lease while there is progress, and always lets the tenant go.

Whatever ends the work, the tenant is open afterwards on exactly one version: before the switch as it
was, after it on the new one. An outcome that is not known is read from the journal, never guessed and
never done again. What a run does to a history is decided elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Lock
from typing import Final, TypeVar
from uuid import uuid4

from msgspec import Struct

from cicsc.errors import CicscError, StoreError
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import RowsHasher
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import BEFORE_SWITCH, Phase, Run, RunPlan, StagedEvents

LEASE_S: Final = 15.0
"""How long a run that has died keeps a tenant, in seconds, unless the operator says otherwise."""

RENEWALS_PER_LEASE: Final = 5
"""A lease is renewed when this part of it has passed."""

ATTEMPTS_MAX: Final = 6
FIRST_WAIT_S: Final = 0.1
"""How often a step that lets the tenant go is tried, and the wait after the first failure; each is twice the last."""

_AGAIN: Final = frozenset(
    {"STORE_UNREACHABLE", "STORE_CONFLICT", "STORE_LOCKED", "STORE_OUTCOME_UNKNOWN", "STORE_FULL"}
)

Result = TypeVar("Result")


class Timing(Struct, frozen=True):
    """How long a run may take: its lease, and the longest pause, in seconds."""

    lease_s: float = LEASE_S
    max_pause_s: float = 60.0


DEFAULT_TIMING: Final = Timing()


class LiveRun:
    """One run on one tenant, from `begin` to its end.

    `stage` may be called by a second thread while the first one goes on to say that there is progress;
    the store's connection is used by one of them at a time.
    """

    def __init__(self, store: Store, run: Run, timing: Timing) -> None:
        self._store = store
        self._timing = timing
        self._renew_at = self._next_renewal()
        self._attempted: Phase = run.phase
        self._turn = Lock()
        self._reason = ""
        self._finishes_from: Phase = "SWITCHED"
        self.is_taken = False
        self.run = run

    @classmethod
    def begin(cls, store: Store, tenant_id: str, plan: RunPlan, timing: Timing, *, run_id: str) -> LiveRun:
        """Take a tenant; whatever keeps this from returning, the tenant is given back.

        The caller makes the `run_id` (`new_run_id`), and may have to `give_back` where a signal comes
        before it has stored what this returns. Raises RUN_HELD, RUN_ABANDONED and GATE_HELD.
        """
        try:
            return cls(store, store.runs.begin(tenant_id, run_id, plan, lease_s=timing.lease_s), timing)
        except BaseException as error:
            cls.give_back(store, tenant_id, run_id, timing, reason_of(error))
            raise

    @classmethod
    def give_back(cls, store: Store, tenant_id: str, run_id: str, timing: Timing, reason: str) -> None:
        """End a run that began although its beginner never learned of it: a signal came, or the answer was lost."""
        with suppress(CicscError):  # its lease ends it otherwise
            store.abandon()
            holder = store.runs.holder(tenant_id)
            if holder is not None and holder.run_id == run_id:
                begun = cls(store, holder, timing)
                begun.end(reason)
                begun.sweep("{}")

    @property
    def may_have_switched(self) -> bool:
        """Whether the switch was asked for, and nothing is known of its outcome."""
        return self._attempted == "SWITCHED" and self.run.phase in BEFORE_SWITCH

    def tick(self) -> None:
        """Say that there was progress: the lease is renewed when it is time. Raises RUN_LOST, LEASE_OVER."""
        if time.monotonic() >= self._renew_at:
            with self._turn:
                self._renew()

    def aim(self, method: str, target_bundle: str, target_version: int) -> None:
        """Say where the run leads to."""
        self.run = self._store.runs.aim(
            self.run, method=method, target_bundle=target_bundle, target_version=target_version
        )

    def fence(self, generation: int | None = None) -> None:
        """Refuse writes of the tenant; the run's generation is a new one, or one that is kept."""
        timing = self._timing
        lease = min(timing.lease_s, timing.max_pause_s)
        self._attempted = "FENCED"
        self.run = self._store.runs.fence(
            self.run, lease_s=lease, max_pause_s=timing.max_pause_s, generation=generation
        )
        self._renew_at = self._next_renewal()

    def stage(self, staged: StagedEvents, snapshots: Iterable[Snapshot], seen: RowsHasher) -> None:
        """Write a batch into the run's generation, and add its rows to `seen`."""
        with self._turn:
            self._renew()
            self._store.runs.stage(self.run, staged, snapshots, seen)

    def verified(self, head_digest: str, target_count: int, target_digest: str) -> None:
        """Record what was verified."""
        self.run = self._store.runs.verified(
            self.run, head_digest=head_digest, target_count=target_count, target_digest=target_digest
        )

    def staged(self) -> None:
        """Record that all is written and read back."""
        self.run = self._store.runs.staged(self.run)

    def switch(self) -> None:
        """Make the run's generation active and open the tenant."""
        self._attempted = "SWITCHED"
        self.run = self._store.runs.switch(self.run)

    def remove(self, generation: int) -> int:
        """Remove some rows of a generation that is not active; return how many."""
        return self._store.runs.remove(self.run, generation, lease_s=self._timing.lease_s)

    def complete(self) -> None:
        """Say that the work is done although there was nothing to switch."""
        self._finishes_from = "PLANNED"

    @property
    def is_complete(self) -> bool:
        """Whether all is done but to give the tenant back."""
        return self.run.phase == self._finishes_from

    def finish(self, report: str) -> None:
        """Give the tenant back; tried again while the store is not there, since the work is done."""
        self.run = self._persistently(lambda: self._finished(report))

    def end(self, reason: str) -> Run:
        """Let the tenant go after something went wrong, and return how the run stands.

        Before the switch the tenant is opened as it was. If the switch was carried out after all, as
        only the journal can tell, the run is left for `finish`. If another has taken it over,
        `is_taken` says so. Raises StoreError where the store cannot be reached any more: the lease
        opens the tenant then.
        """
        self._store.abandon()
        self.run = self._persistently(lambda: self._ended(reason))
        return self.run

    def sweep(self, report: str) -> None:
        """Clean up what was staged, then give the tenant back; nothing to do where it is another's by now."""
        if self.run.phase == "ABORTED" and not self.is_taken:
            exhaust(self._store.runs.sweep(self.run, lease_s=self._timing.lease_s, report=report))

    def _ended(self, reason: str) -> Run:
        found = self._found()
        self.is_taken = not self._is_mine(found)
        if found.phase not in BEFORE_SWITCH or self.is_taken:
            return found
        self._attempted, self._reason = "ABORTED", reason
        return self._store.runs.abort(found, reason=reason, lease_s=self._timing.lease_s)

    def _finished(self, report: str) -> Run:
        found = self._found()
        self.is_taken = self.is_taken or not self._is_mine(found)
        if found.phase != self._finishes_from or self.is_taken:
            return found
        return self._store.runs.finish(found, report=report)

    def _renew(self) -> None:
        """Renew the lease, unless another thread has just done so."""
        if time.monotonic() >= self._renew_at:
            self.run = self._store.runs.keep(self.run, lease_s=self._timing.lease_s)
            self._renew_at = self._next_renewal()

    def _found(self) -> Run:
        return self._store.runs.run(self.run.tenant_id, self.run.run_id)

    def _is_mine(self, found: Run) -> bool:
        """Tell whether the journal's last entry is of this process, also of a step whose outcome it never learned.

        Who takes a run over moves its epoch too, but never to a phase that this process was about to
        reach: before the switch it aborts, for a reason of its own, and after it leaves the phase.
        """
        if found.epoch == self.run.epoch:
            return True
        is_reached = found.epoch == self.run.epoch + 1 and found.phase == self._attempted != self.run.phase
        return is_reached and (found.phase != "ABORTED" or found.reason == self._reason)

    def _persistently(self, step: Callable[[], Result]) -> Result:
        wait_s = FIRST_WAIT_S
        for _ in range(ATTEMPTS_MAX - 1):
            try:
                return step()
            except StoreError as error:
                if error.code not in _AGAIN:
                    raise
            time.sleep(wait_s)
            wait_s *= 2
        return step()

    def _next_renewal(self) -> float:
        return time.monotonic() + self._timing.lease_s / RENEWALS_PER_LEASE


def new_run_id() -> str:
    """Make the name of a run, which nobody guesses."""
    return uuid4().hex


def reason_of(error: BaseException) -> str:
    """Say in one line why a run ended, for the journal."""
    if isinstance(error, CicscError):
        return f"{error.code}: {error.message}"
    if isinstance(error, KeyboardInterrupt):
        return "INTERRUPTED: a signal came"
    return f"{type(error).__name__}: {error}"
