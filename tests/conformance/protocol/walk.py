"""A run that is taken step by step, so that others can come between any two steps of it.

It is the run of an operator's process: it may be left in the middle (the process is gone), or go on although another has taken
its tenant. The steps are those of the real cutover, rollback and finalizing.
"""

from __future__ import annotations

from collections.abc import Callable

from cicsc.errors import CicscError
from cicsc.operations.live.change import TenantChange, Terms
from cicsc.operations.live.cutover import Order, TenantCutover
from cicsc.operations.live.finalize import TenantFinalize
from cicsc.operations.live.rollback import RollbackOrder, TenantRollback
from cicsc.operations.live.run import Timing, reason_of
from cicsc.store.protocol import Store
from cicsc.store.records import Run
from conformance.protocol.application import BUNDLES
from conformance.protocol.seen import Tenant

TIMING = Timing(lease_s=600, max_pause_s=600)
"""So long that no lease ends by itself; any that is renewed comes up against the deadline of the pause."""

LOOK, BEGIN, END, RECORD, OVER = "look", "begin", "end", "record", "over"

NEED_LEASE = frozenset({"pause", "verify_and_write", "read_back", "switch", "drop", "renew"})
"""Steps that a run must not take once its lease is over, although nobody else has taken the tenant."""


class Crash(Exception):  # noqa: N818 - it is no error of the program, the process is gone
    """The process is gone."""


class Walk:
    """One run; `next` names the step that comes next."""

    def __init__(self, store: Store, kind: str, tenant_id: str, version: int) -> None:
        self.kind = kind
        self.tenant_id = tenant_id
        self.change = _change(store, kind, tenant_id, version)
        self.next = LOOK
        self.failure: Exception | None = None
        self.is_lost = False
        self.mine: Run | None = None
        self._steps = iter((TenantChange.look_again, *self.change.steps))
        self._step: Callable[..., None] | None = None

    @property
    def run_id(self) -> str | None:
        """The run in the journal, once it has begun."""
        return self.change.live.run.run_id if self.change.has_run else None

    def owns(self, found: Tenant, now_ms: float) -> bool:
        """Tell whether the tenant is still this process's; once it is not, it never is again.

        For a step that needs the lease, that has to hold too.
        """
        if not self.change.has_run:
            return True
        run = self.change.live.run
        if (found.gate.owner, found.gate.epoch) != (run.run_id, run.epoch):
            self.is_lost = True
        lease = found.runs[run.run_id].lease_until_ms
        if found.gate.state == "paused":
            lease = min(lease, found.gate.lease_until_ms or 0)
        return not self.is_lost and (self.next not in NEED_LEASE or lease > now_ms)

    def take_step(self) -> None:
        """Carry out what comes next; raises what went wrong."""
        try:
            self._take_step()
        finally:
            if self.change.has_run and not self.is_lost:
                self.mine = self.change.live.run

    def _take_step(self) -> None:
        """Carry out what comes next, as `TenantChange.execute` does."""
        change = self.change
        if self.next == LOOK:
            self.next = OVER  # unless it goes well
            change.look()
            self.next = BEGIN
        elif self.next == BEGIN:
            self.next = OVER
            change._live = change._begin()
            self._go_on()
        elif self.next == END:
            self.next = OVER
            assert self.failure is not None
            change.live.end(reason_of(self.failure))
            self.next = RECORD
        elif self.next == RECORD:
            self.next = OVER
            error = change.record_end("{}")
            if error is not None:
                raise error
        else:
            try:
                assert self._step is not None
                self._step(change)
            except CicscError as error:
                self.failure, self.next = error, END
                raise
            self._go_on()

    def crash_inside(self) -> None:
        """Take the next step, and be gone in the middle of it: what it wrote last is there, its record is not."""

        def gone(*_: object, **__: object) -> None:
            raise Crash

        live, removed = self.change.live, self.change.live.remove
        live.verified = live.staged = gone  # type: ignore[assignment, method-assign]

        def remove_once(generation: int) -> int:
            removed(generation)
            raise Crash

        live.remove = remove_once  # type: ignore[method-assign]
        self.take_step()

    def renew(self) -> None:
        """Say that there was progress when the lease is to be renewed."""
        self.change.live._renew_at = 0
        self.change.live.tick()

    def _go_on(self) -> None:
        self._step = next(self._steps, None)
        self.next = RECORD if self._step is None else self._step.__name__


def _change(store: Store, kind: str, tenant_id: str, version: int) -> TenantChange:
    if kind == "cutover":
        number = min(version + 1, 3)
        order = Order(
            target=BUNDLES[number], migration=f"to_{number}", operator="ann", execute=True, timing=TIMING, now=1
        )
        return TenantCutover(store, tenant_id, order)
    if kind == "rollback":
        number = max(version, 2)
        return TenantRollback(
            store, tenant_id, RollbackOrder(migration=f"to_{number}", operator="bob", execute=True, timing=TIMING)
        )
    return TenantFinalize(store, tenant_id, Terms(operator="cid", execute=True, timing=TIMING))
