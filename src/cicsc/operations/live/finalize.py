"""Finalizing: the generations that a tenant has left behind are dropped, and with them the cheap way back.

Only on request, and only when the active generation was verified just now: intact, and replayable by
its bundle. It runs as a run of its own, in small transactions, and can be interrupted and repeated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Literal

from msgspec import UNSET

from cicsc.errors import RefusedError, StoreError
from cicsc.history.names import require_some_or_all
from cicsc.migration.plan import compile_judgement
from cicsc.migration.verdict import REPLAY
from cicsc.operations.integrity import check_integrity
from cicsc.operations.live.change import TenantChange, Terms
from cicsc.operations.live.reporting import attempted, described, with_note
from cicsc.operations.live.run import LEASE_S, Timing
from cicsc.operations.stored import opened_store
from cicsc.operations.stored_streams import TenantHistory, require_seen
from cicsc.report.live.models import Finalize, Finalizes, GenerationReport
from cicsc.report.printable import counted
from cicsc.store.records import RunPlan

if TYPE_CHECKING:
    from cicsc.progress import Progress
    from cicsc.store.protocol import Store


def finalize(
    store: str | Store,
    tenants: Collection[str] | None = None,
    *,
    execute: bool = False,
    lease_s: float = LEASE_S,
    operator: str = "library",
) -> Finalizes:
    """Drop every generation but the active one of some tenants (None: all), or say which would be dropped.

    `store` is a URL or an open store. Each tenant is by itself; a signal ends the one under way. Raises
    StoreError where the store cannot be opened.
    """
    require_some_or_all(tenants)
    terms = Terms(operator=operator, execute=execute, timing=Timing(lease_s))
    reports: list[Finalize] = []
    with opened_store(store) as opened:
        names = [gate.tenant_id for gate in opened.gates()] if tenants is None else sorted(set(tenants))
        for tenant_id in names:
            reports.append(finalize_tenant(opened, tenant_id, terms))
            if is_interrupted(reports[-1]):
                break
    begun = {report.tenant_id for report in reports}
    return Finalizes(
        ok=len(begun) == len(names) and all(report.ok for report in reports),
        executed=execute,
        exit_code=max((report.exit_code for report in reports), default=0),
        rows_removed=sum(report.rows_removed for report in reports),
        not_begun=[name for name in names if name not in begun],
        tenants=reports,
    )


def is_interrupted(report: Finalize) -> bool:
    """Tell whether a signal ended the work on a tenant."""
    return isinstance(report.error, dict) and report.error["code"] == "INTERRUPTED"


def finalize_tenant(store: Store, tenant_id: str, terms: Terms) -> Finalize:
    """Drop every generation of a tenant but the active one, or say which would be dropped."""
    change = TenantFinalize(store, tenant_id, terms)
    outcome, error = attempted(change, change.carry_out)
    known, exit_code = (UNSET, 0) if error is None else described(error)
    report = Finalize(
        ok=error is None,
        tenant_id=tenant_id,
        outcome=outcome,
        mutated=bool(change.removed),
        exit_code=exit_code,
        run_id=change.live.run.run_id if change.has_run else UNSET,
        active_generation=change.gate.active_generation if change.has_looked else None,
        generations=change.old,
        rows_removed=change.removed,
        error=known,
    )
    return with_note(report, change.record_end(report.to_json().decode()))


class TenantFinalize(TenantChange):
    """The finalizing of one tenant."""

    def __init__(self, store: Store, tenant_id: str, terms: Terms) -> None:
        super().__init__(store, tenant_id, terms)
        self.old: list[GenerationReport] = []
        self.removed = 0

    def carry_out(self) -> Literal["dropped", "nothing", "rehearsed"]:
        """Do what is ordered; where there is nothing to drop, a run that died is still brought to its end."""
        self.look()
        if not self.old:
            if self.terms.execute:
                self.follow()
            return "nothing"
        if not self.terms.execute:
            self.rehearse()
            return "rehearsed"
        self.execute()
        return "dropped"

    def run_plan(self) -> RunPlan:
        """Return what the journal says of the run when it begins."""
        return RunPlan("finalize", self.terms.operator)

    def look(self) -> None:
        """Find the generations that are not active, nor being written."""
        super().look()
        kept = {self.gate.active_generation, self.gate.staging_generation}
        with self.store.reading(self.tenant_id) as reading:
            self.old = [
                GenerationReport(generation=generation, events=reading.head(generation).count)
                for generation in self.store.runs.generations(self.tenant_id)
                if generation not in kept
            ]

    def check(self, progress: Progress) -> None:
        """Verify the active generation; raises NOT_VERIFIED."""
        bundle = self.store.bundle(self.gate.active_bundle)
        with self.store.reading(self.tenant_id) as reading:
            head, history = reading.head(), TenantHistory(reading, progress)
            plan = compile_judgement(bundle, now=history.latest_ts)
            verdict, digests = history.fold(plan)
        integrity = check_integrity(verdict.integrity, digests.given, None)
        unplayable = [
            tally.examples[0][1].message for key, tally in verdict.source.violations.items() if key[0] == REPLAY
        ]
        faults = [*([] if integrity.ok else [str(integrity.detail)]), *unplayable, *self.store.fence_faults()]
        if faults:
            raise RefusedError(
                "NOT_VERIFIED",
                f"cannot drop old generations of tenant {self.tenant_id!r}: the active one is not in order: "
                f"{faults[0]}",
                hint="nothing was dropped; store-check shows what is wrong",
            )
        require_seen(self.tenant_id, head, verdict.source_events)

    # --------------------------------------------------------------------------------------- the steps

    def open_check(self) -> None:
        """Verify the active generation; the tenant stays open throughout."""
        self.check(self.under_way)

    def drop(self) -> None:
        """Remove the old generations, a little at a time."""
        for rows in self._batches():
            self.removed += rows
        self._require_gone()
        self.live.complete()

    steps = (open_check, drop)

    def _require_gone(self) -> None:
        """Raise STORE_FAILED where something has kept rows from being removed, naming what stays."""
        held = set(self.store.runs.generations(self.tenant_id))
        with self.store.reading(self.tenant_id) as reading:
            stay = [
                f"{counted(events, 'event') if (events := reading.head(old.generation).count) else 'snapshots'} of "
                f"generation {old.generation}"
                for old in self.old
                if old.generation in held
            ]
        if stay:
            raise StoreError(
                "STORE_FAILED",
                f"cannot drop old generations of tenant {self.tenant_id!r}: {', '.join(stay)} stayed when they were "
                "removed",
                hint="a trigger or rule that others made on these tables keeps them; remove it, then run this again",
            )

    def _batches(self) -> Iterator[int]:
        for old in self.old:
            while rows := self.live.remove(old.generation):
                yield rows
