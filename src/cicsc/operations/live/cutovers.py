"""Cutover of several tenants: each is its own, and one that fails never touches another.

In turn, or with several processes at once (`crew`). What a cutover does to a tenant is not decided here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET

from cicsc.bundle.load import load_bundle
from cicsc.errors import CicscError, UsageError, WorkError
from cicsc.history.names import require_names, require_some_or_all
from cicsc.operations.arguments import require_equivalence, require_migration, require_view
from cicsc.operations.live.binding import read_approval
from cicsc.operations.live.crew import Crew
from cicsc.operations.live.cutover import Order, TenantCutover, cut_over, describe
from cicsc.operations.live.reaching import LOST, lost
from cicsc.operations.live.recovery import boundaries_of
from cicsc.operations.live.reporting import NOT_DONE
from cicsc.operations.live.run import LEASE_S, Timing
from cicsc.operations.stored import named
from cicsc.progress import SILENT, Progress
from cicsc.report.live.models import Cutover, Cutovers
from cicsc.store import open_store
from cicsc.store.lease import lease_ms

if TYPE_CHECKING:
    from cicsc.operations.arguments import Equivalence
    from cicsc.operations.sources import BundleSource
    from cicsc.store.protocol import Store

PARALLEL_MAX: Final = 64
"""Processes at once; each has connections of its own to the store."""

_ON_TARGET: Final = frozenset({"switched", "already"})

OnTenant = Callable[[Cutover], None]
OnBegin = Callable[[str, int, int], None]


def cutover_pause_migrate_resume(
    store: str | Store,
    tenants: Collection[str] | None,
    target: BundleSource,
    migration: str,
    *,
    execute: bool = False,
    artifact: str | Path | None = None,
    max_pause_s: float = 60.0,
    lease_s: float = LEASE_S,
    terminate_idle_writers: bool = False,
    parallel: int = 1,
    workers: int | None = None,
    now: int | None = None,
    actor: str | None = None,
    equivalence: Equivalence = "final",
    accept_source_violations: Collection[str] = (),
    operator: str = "operator",
    on_begin: OnBegin | None = None,
    on_tenant: OnTenant | None = None,
    progress: Progress = SILENT,
) -> Cutovers:
    """Pause, verify, migrate, switch and resume tenants of a store; without `execute` it is rehearsed.

    `store` is a URL, or an open store; `tenants` are names, or None for all. `target` is the bundle that
    holds the migration, `artifact` the approved dry run. A tenant is paused for `max_pause_s` seconds at
    most, and for `lease_s` where this process dies. With `terminate_idle_writers` the sessions that idle in
    a transaction and so keep the tenant from being paused are ended (PostgreSQL). `parallel` processes
    need the store by its URL; where tenants go in turn, `workers` processes share a large one of a store on
    PostgreSQL, by default one for each core. `on_begin` is called with the name of a tenant when it begins, its
    number from 1 on, and how many there are, and `on_tenant` with each report when it is ready. `progress` is told of
    the events that pass where tenants go in turn, and of nothing where several go at once. What happens to a tenant,
    also a signal, is told in its report. Raises BundleError and InputError for the inputs, UsageError for the call.
    """
    _require_call(store, parallel, lease_s, max_pause_s)
    require_migration(migration)
    require_view(now, actor)
    require_equivalence(equivalence)
    require_names(accept_source_violations, "accept_source_violations")
    require_some_or_all(tenants)
    order = Order(
        target=load_bundle(target),
        migration=migration,
        operator=operator,
        execute=execute,
        approval=None if artifact is None else read_approval(artifact),
        timing=Timing(lease_s=lease_s, max_pause_s=max_pause_s),
        workers=workers,
        terminate_idle_writers=terminate_idle_writers,
        now=now,
        actor=actor,
        equivalence=equivalence,
        accept_source_violations=tuple(accept_source_violations),
    )
    opened: AbstractContextManager[Store] = open_store(store) if isinstance(store, str) else nullcontext(store)
    with opened as given:
        _require_sessions(given, order)
        names = [gate.tenant_id for gate in given.gates()] if tenants is None else list(dict.fromkeys(tenants))
        work = _Several(given, order, names, on_begin or _nobody, on_tenant or _nobody, progress)
        if isinstance(store, str) and parallel > 1 and len(names) > 1:
            work.at_once(store, min(parallel, len(names)))
        else:
            work.in_turn()
    return work.report()


def _nobody(*_: object) -> None:
    """Nobody wants to know."""


def _require_call(store: str | Store, parallel: int, lease_s: float, max_pause_s: float) -> None:
    lease_ms(lease_s)
    lease_ms(max_pause_s)
    if not 1 <= parallel <= PARALLEL_MAX:
        raise UsageError(
            "INVALID_VALUE",
            f"cannot cut over {parallel} tenants at once: expected 1 to {PARALLEL_MAX}",
            hint="each needs a process and connections of its own",
        )
    if parallel > 1 and not isinstance(store, str):
        raise UsageError(
            "INVALID_VALUE",
            "cannot cut over several tenants at once through an open store: expected its URL",
            hint="each process opens the store for itself",
        )


def _require_sessions(store: Store, order: Order) -> None:
    if order.terminate_idle_writers and not store.has_sessions:
        raise UsageError(
            "INVALID_VALUE",
            "cannot end idle writers of a store in a file: it does not know who writes to it",
            hint="leave --terminate-idle-writers out, and end the program that has the file by hand",
        )


class _Several:
    """The cutovers of several tenants, and what has come of them so far."""

    def __init__(
        self,
        store: Store,
        order: Order,
        names: list[str],
        on_begin: OnBegin,
        on_tenant: OnTenant,
        progress: Progress,
    ) -> None:
        self._store = store
        self._order = order
        self._names = names
        self._on_begin = on_begin
        self._on_tenant = on_tenant
        self._progress = progress
        self._done: dict[str, Cutover] = {}
        self._begun: list[str] = []
        self._error: CicscError | None = None
        self._lost: CicscError | None = None
        self._interrupted = False

    def in_turn(self) -> None:
        """Cut the tenants over one after the other; a signal ends the one under way. No other is begun after it."""
        try:
            for name in self._names:
                self._begin(name)
                self._take(name, cut_over(self._store, name, self._order, self._progress))
                if self._interrupted or self._lost is not None:
                    break
        except KeyboardInterrupt as signal:
            self._interrupted = True
            if self._begun and self._begun[-1] not in self._done:
                self._take(self._begun[-1], self._found(self._begun[-1], signal))

    def at_once(self, url: str, size: int) -> None:
        """Cut the tenants over with several processes; a signal ends those under way, and begins no other."""
        with Crew(url, self._order, size, self._names, self._begin) as crew:
            while crew.is_at_work:
                try:
                    for name, report in crew.reports():
                        self._take(name, report or self._found(name, self._loss(name)))
                        if self._interrupted:
                            crew.stop()
                        elif self._lost is not None:
                            crew.begin_no_other()
                except KeyboardInterrupt:
                    self._interrupted = True
                    crew.stop()
            self._error = crew.error
        for name in [name for name in self._begun if name not in self._done]:
            # A signal came when its report had been heard, and was not noted yet.
            self._take(name, self._found(name, self._loss(name)))

    def _begin(self, name: str) -> None:
        self._begun.append(name)
        self._on_begin(name, len(self._begun), len(self._names))

    def _take(self, name: str, report: Cutover) -> None:
        self._done[name] = report
        is_told = isinstance(report.error, dict) and report.error["code"] == "INTERRUPTED"
        self._interrupted = self._interrupted or report.interrupted or is_told
        self._on_tenant(report)
        may_be_lost = isinstance(report.error, dict) and report.error["code"] in LOST
        if may_be_lost and not self._interrupted and self._lost is None and len(self._begun) < len(self._names):
            self._lost = lost(self._store, name)

    def _loss(self, name: str) -> BaseException:
        if self._interrupted:
            return KeyboardInterrupt()
        return WorkError(
            "WORKER_LOST",
            f"the process that cut tenant {name!r} over has ended before it could report",
            hint="where it had paused the tenant, its lease opens it; then run migration-recover",
        )

    def _found(self, name: str, error: BaseException) -> Cutover:
        """Report a tenant whose cutover gave no report, as the store has it."""
        self._store.abandon()
        report = describe(TenantCutover(self._store, name, self._order), "failed", error)
        try:
            standing = next(self._store.runs.standings(name))
        except CicscError:
            return report
        is_there = standing.gate.active_bundle == self._order.target.digest
        run = standing.run if standing.run is not None and standing.run.run_id == standing.gate.owner else None
        return msgspec.structs.replace(
            report,
            outcome="switched" if is_there else "failed",
            mutated=is_there,
            run_id=UNSET if run is None else run.run_id,
            boundaries=boundaries_of(run),
        )

    # -------------------------------------------------------------------------------------- the report

    def report(self) -> Cutovers:
        """Report all that was begun, and name what did not move."""
        reports = [self._done[name] for name in self._names if name in self._done]
        not_moved = [name for name in self._names if name not in self._done or not _is_on_target(self._done[name])]
        counts = Counter[str](report.outcome for report in reports)
        counts["not_begun"] = len(self._names) - len(reports)
        exit_code = max((report.exit_code for report in reports), default=0)
        if counts["not_begun"]:
            exit_code = NOT_DONE
        return Cutovers(
            ok=exit_code == 0,
            mode="pause_migrate_resume",
            migration_id=self._order.migration,
            executed=self._order.execute,
            counts={name: counts[name] for name in sorted(counts) if counts[name]},
            not_moved=not_moved,
            exit_code=exit_code,
            tenants=reports,
            error=UNSET if exit_code == 0 else self._summed_up(reports, counts["not_begun"]),
        )

    def _summed_up(self, reports: list[Cutover], not_begun: int) -> dict[str, object]:
        """Say in one error what went wrong over all tenants."""
        hint = "the same command can be run again: what is on the target already is left alone"
        if self._lost is not None and not_begun:
            message = f"{self._lost.message}; {not_begun} of {len(self._names)} tenants were not begun"
            return {"code": self._lost.code, "message": message, "hint": hint}
        if self._error is not None and not_begun:
            return {"code": self._error.code, "message": self._error.message, "hint": self._error.hint}
        if not_begun:
            message = f"interrupted by a signal: {not_begun} of {len(self._names)} tenants were not begun"
            return {"code": "INTERRUPTED", "message": message, "hint": hint}
        bad = [report.tenant_id for report in reports if not report.ok]
        message = f"{len(bad)} of {len(self._names)} tenants did not end well: {named(bad)}"
        return {"code": "TENANTS_FAILED", "message": message, "hint": "each report in tenants says why; " + hint}


def _is_on_target(report: Cutover) -> bool:
    return report.outcome in _ON_TARGET
