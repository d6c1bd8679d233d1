"""What a cutover and a rollback of a live tenant have in common: a run whose steps are carried out in order.

Whichever step fails, the tenant is let go: open as it was before the switch, open on the new version
after it. What the steps do to the history is the business of each kind of change.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from math import ceil
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cicsc.errors import CicscError, FenceError, RefusedError
from cicsc.operations.live.recovery import recover_tenant
from cicsc.operations.live.run import DEFAULT_TIMING, LiveRun, Timing, new_run_id, reason_of
from cicsc.operations.live.sharing import read_back
from cicsc.progress import SILENT, Amount, Phase, Progress
from cicsc.store.refusals import fence_changed, run_lost, staging_differs

if TYPE_CHECKING:
    from cicsc.operations.live.staging import Written
    from cicsc.report.live.models import RecoveryReport
    from cicsc.store.protocol import Store
    from cicsc.store.records import EndedWriter, Gate, RunPlan

PAUSE_TO_LOOK: Final = 3.5
"""How long a pause takes, as a multiple of the look before it: it adds digests, writing and reading back."""

PAUSE_BESIDE_S: Final = 0.05
"""What the transactions of a pause take beside that, in seconds, however short the history is."""

_LOST: Final = frozenset({"RUN_LOST", "LEASE_OVER"})
"""What a run is told that may not go on."""


class Terms(Struct, frozen=True, kw_only=True):
    """On which terms a tenant is changed: by whom, for how long at most, and whether at all or only rehearsed."""

    operator: str
    execute: bool = False
    timing: Timing = DEFAULT_TIMING
    workers: int | None = None
    terminate_idle_writers: bool = False


def _rounded_up(seconds: float) -> str:
    """Write a duration with as many digits as mean something, and never below what it is."""
    return f"{ceil(seconds * 10) / 10:.1f}" if seconds >= 1 else f"{ceil(seconds * 1000) / 1000:g}"


class _Renewing:
    """Renews the lease of a run with each note, and hands on what is told."""

    def __init__(self, live: LiveRun, progress: Progress) -> None:
        self._live = live
        self._progress = progress

    def begin(self, phase: Phase, whole: Amount) -> None:
        self._progress.begin(phase, whole)

    def note(self, done: Amount) -> None:
        self._live.tick()  # first: whoever listens takes its time
        self._progress.note(done)

    def worked(self, peaks: Sequence[int]) -> None:
        self._progress.worked(peaks)


class TenantChange(ABC):
    """A change of one tenant, and what is known of it so far."""

    steps: Sequence[Callable[..., None]]
    """What is carried out, in order; each takes the change itself."""

    def __init__(self, store: Store, tenant_id: str, terms: Terms, progress: Progress = SILENT) -> None:
        self.store = store
        self.tenant_id = tenant_id
        self.terms = terms
        self.progress = progress
        self._gate: Gate | None = None
        self._live: LiveRun | None = None
        self._run_id = new_run_id()
        self.recovered: RecoveryReport | None = None
        self.predicted_s: float | None = None
        self.is_lost = False
        self.is_interrupted = False
        self.written: list[Written] = []
        self.ended_writers: list[EndedWriter] = []

    @property
    def gate(self) -> Gate:
        """The tenant's gate, as it was when the change began."""
        assert self._gate is not None
        return self._gate

    @property
    def live(self) -> LiveRun:
        """The run, once the tenant is taken."""
        assert self._live is not None
        return self._live

    @property
    def under_way(self) -> Progress:
        """Who is told while the run has the tenant: its lease is renewed as well."""
        return _Renewing(self.live, self.progress)

    @property
    def has_looked(self) -> bool:
        """Whether the tenant was found."""
        return self._gate is not None

    @property
    def has_run(self) -> bool:
        """Whether the tenant was taken."""
        return self._live is not None

    @property
    def has_switched(self) -> bool:
        """Whether something else was made active."""
        return self._live is not None and self._live.run.switched_at_ms is not None

    @abstractmethod
    def run_plan(self) -> RunPlan:
        """Return what the journal says of the run when it begins."""

    @abstractmethod
    def look(self) -> None:
        """See what there is to be changed."""
        self._gate = self.store.gate(self.tenant_id)

    @abstractmethod
    def check(self, progress: Progress) -> None:
        """Check everything with the tenant open; raises RefusedError. What fails here never pauses anybody."""

    def rehearse(self) -> None:
        """Do what is done while the tenant is open, and change nothing; who has the tenant is in the way here too.

        A run that has died is not: whoever executes brings it to its end first.
        """
        try:
            self.store.runs.require_free(self.tenant_id)
        except FenceError as error:
            if error.code != "RUN_ABANDONED":
                raise
        self.check(self.progress)

    def follow(self) -> None:
        """Bring a run that has died on the tenant to its end; one that may live is left alone."""
        try:
            self.recovered = recover_tenant(
                self.store, self.tenant_id, actor_id=self.terms.operator, lease_s=self.terms.timing.lease_s
            )
        except FenceError as error:
            if error.code != "RUN_HELD":
                raise

    def execute(self) -> None:
        """Carry the steps out; whichever fails, the tenant is open afterwards."""
        with ExitStack() as stack:
            if self.terms.terminate_idle_writers:
                self.ended_writers = stack.enter_context(self.store.ending_idle_writers(self.terms.operator))
            self._carry_out()

    def _carry_out(self) -> None:
        try:
            self._live = self._begin()
            self.look_again()
            for step in self.steps:
                step(self)
        except BaseException as error:
            if self._live is None:
                # A signal may have come after the tenant was taken, and before that was noted.
                if isinstance(error, KeyboardInterrupt):
                    LiveRun.give_back(self.store, self.tenant_id, self._run_id, self.terms.timing, reason_of(error))
                raise
            mine = self.live.run
            if self._switched_after_all(error):
                return
            if self.live.is_taken and isinstance(error, CicscError) and error.code not in _LOST:
                # What went wrong did so because another has changed the tenant since; its own message would mislead.
                raise run_lost("go on with", mine, self.store.gate(self.tenant_id)) from error
            raise

    def look_again(self) -> None:
        """See what there is to be changed now that nobody else can change it; raises TENANT_MOVED.

        Between the first look and the begin another run may have switched; what was planned is for
        what was active then.
        """
        before = self.gate
        self.look()
        if self.gate.active_bundle != before.active_bundle:
            raise RefusedError(
                "TENANT_MOVED",
                f"tenant {self.tenant_id!r} was moved from version {before.active_version} to version "
                f"{self.gate.active_version} while the run began",
                hint="nothing was changed; run the same command again",
            )

    def record_end(self, report: str) -> BaseException | None:
        """Record the report and give the tenant back; return what kept it from being recorded, if anything did."""
        if self._live is None or self.is_lost:
            return None
        try:
            if self.live.is_complete:
                self.live.finish(report)
            else:
                self.live.sweep(report)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - it is told in the report
            # What matters is done and stands in the journal; who comes next finds the run and completes it.
            return error
        return None

    def predict(self, look_s: float, *, to_look: float = PAUSE_TO_LOOK) -> None:
        """Predict the pause as so many times what the look at the open tenant took, in seconds."""
        self.predicted_s = to_look * look_s + PAUSE_BESIDE_S

    def require_fence(self) -> None:
        """Refuse a fence that is not as installed while the tenant is open; the switch looks at it again."""
        if faults := self.store.fence_faults():
            error = fence_changed(self.tenant_id, faults)
            raise RefusedError(error.code, error.message, hint=error.hint)

    def require_short(self) -> None:
        """Refuse a pause that would take longer than the operator allows."""
        limit = self.terms.timing.max_pause_s
        if self.predicted_s is not None and self.predicted_s > limit:
            raise RefusedError(
                "PAUSE_TOO_LONG",
                f"the pause of tenant {self.tenant_id!r} would take about {_rounded_up(self.predicted_s)} s: "
                f"expected at most {limit:g} s",
                hint="allow a longer one with --max-pause",
            )

    def _begin(self) -> LiveRun:
        """Take the tenant; a run that has died there is brought to its end first."""
        try:
            return self._take()
        except FenceError as error:
            if error.code != "RUN_ABANDONED":
                raise
        self.follow()
        self.look()
        return self._take()

    def _take(self) -> LiveRun:
        return LiveRun.begin(self.store, self.tenant_id, self.run_plan(), self.terms.timing, run_id=self._run_id)

    def _switched_after_all(self, error: BaseException) -> bool:
        """Let the tenant go; tell whether the switch was carried out although its answer was lost."""
        self.is_interrupted = isinstance(error, KeyboardInterrupt)
        try:
            return self.live.end(reason_of(error)).phase in {"SWITCHED", "DONE"}
        except (Exception, KeyboardInterrupt) as lost:
            # The store is gone, or the memory. The lease opens the tenant, and who comes next finds the run.
            self.is_lost = True
            raise error from lost

    # ------------------------------------------------------------------------------ steps of every change

    def pause(self) -> None:
        """Refuse writes, once those under way have ended."""
        self.live.fence()

    def read_back(self) -> None:
        """Read what was written, and compare it to the byte with what was handed over; nothing else may be there."""
        run = self.live.run
        self.progress.begin("reading back", Amount(run.target_count or 0))
        found = read_back(self.store, run, self.written, self.terms.workers, self.under_way)
        count = sum(share.count for share in found)
        if found != self.written or count != run.target_count:
            raise staging_differs(run, f"{count}, not all as they were written")
        self.live.staged()

    def switch(self) -> None:
        """Make it active and open the tenant, in one transaction."""
        self.live.switch()
