"""Runs for the suite: the steps of one, how to bring it to a phase, and what is in every table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pytest
from msgspec.structs import replace

from cicsc.errors import FenceError
from cicsc.history.model import Event, EventList
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import PlacedRow, event_rows, stored_event
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import Phase, Run, RunPlan, StagedEvents
from conformance.store.desk import TABLES, Plain
from conformance.store.history import NEXT_BUNDLE

PLAN: Final = RunPlan("cutover", "ann", plan_digest="plan", migration_id="rename")

LEASE_S: Final = 60.0
WAIT_S_MAX: Final = 10

PHASES: Final[tuple[Phase, ...]] = ("PLANNED", "FENCED", "VERIFIED", "STAGED", "SWITCHED", "DONE", "ABORTED")

Step = Callable[[Store, Run], Any]


def placed(*events: Event, position: int = 1, ordinal: int = 0) -> list[PlacedRow]:
    """Rows to be staged, all made of the event at one position."""
    return [(position, number, *row) for number, row in enumerate(event_rows(events[0].tenant_id, events), ordinal)]


def staged(rows: Sequence[PlacedRow], tenant_id: str = "t") -> StagedEvents:
    """The events of some rows, and their places, as a run writes them."""
    events = EventList([stored_event(tenant_id, row[2:]) for row in rows], is_plain=False)
    return StagedEvents([row[0] for row in rows], [row[1] for row in rows], events)


def renamed(store: Store, tenant_id: str = "t") -> list[PlacedRow]:
    """What the active history becomes: 'paid' is called 'settled', all else stays, positions too."""
    with store.reading(tenant_id) as reading:
        return [
            row
            for _, batches in reading.placed_streams()
            for batch in batches
            for position, event in batch.pairs()
            for row in placed(replace_type(event), position=position)
        ]


def replace_type(event: Event) -> Event:
    """The event as the next version has it."""
    name = "settled" if event.event_type == "paid" else event.event_type
    return Event(event.tenant_id, event.entity_type, event.entity_id, event.seq, name, event.payload, event.ts, "ann")


def begin(store: Store, run_id: str = "r1", tenant_id: str = "t", *, lease_s: float = LEASE_S) -> Run:
    """Take a tenant, and say that it goes to the next version."""
    store.put_bundle(NEXT_BUNDLE)
    run = store.runs.begin(tenant_id, run_id, PLAN, lease_s=lease_s)
    return store.runs.aim(run, method="migrate", target_bundle=NEXT_BUNDLE.digest, target_version=4)


def fence(store: Store, run: Run, *, lease_s: float = LEASE_S) -> Run:
    return store.runs.fence(run, lease_s=lease_s, max_pause_s=max(lease_s, LEASE_S))


def verified(store: Store, run: Run, count: int | None = None) -> Run:
    number = store.head(run.tenant_id).count if count is None else count
    return store.runs.verified(run, head_digest="h", target_count=number, target_digest="t")


def run_in(
    store: Store,
    phase: Phase,
    run_id: str = "r1",
    tenant_id: str = "t",
    *,
    lease_s: float = LEASE_S,
    rows: Iterable[PlacedRow] | None = None,
    snapshots: Iterable[Snapshot] = (),
) -> Run:
    """Return a run that has come to a phase, the ordinary way; lease_s is that of the last step that gives one."""
    is_planned = phase == "PLANNED"
    run = begin(store, run_id, tenant_id, lease_s=lease_s if is_planned else LEASE_S)
    if is_planned:
        return run
    run = fence(store, run)
    wanted = renamed(store, tenant_id) if rows is None else list(rows)
    store.runs.stage(run, staged(wanted, tenant_id), snapshots)
    if phase == "ABORTED":
        return store.runs.abort(run, reason="as ordered", lease_s=lease_s)
    if phase != "FENCED":
        run = verified(store, run, len(wanted))
    if phase in {"STAGED", "SWITCHED", "DONE"}:
        run = store.runs.staged(run)
    if phase in {"FENCED", "VERIFIED", "STAGED"}:
        return run if lease_s == LEASE_S else store.runs.keep(run, lease_s=lease_s)
    run = store.runs.switch(run)
    return store.runs.finish(run, report="{}") if phase == "DONE" else run


def cut_over(store: Store, run_id: str = "r1", tenant_id: str = "t") -> Run:
    """Move a tenant to the next version, whole."""
    return run_in(store, "DONE", run_id, tenant_id)


STEPS: Final[dict[str, Step]] = {
    "aim": lambda store, run: store.runs.aim(run, method="other", target_bundle=NEXT_BUNDLE.digest, target_version=9),
    "keep": lambda store, run: store.runs.keep(run, lease_s=30),
    "fence": fence,
    "stage": lambda store, run: store.runs.stage(
        replace(run, target_generation=2), staged(placed(Event("t", "Order", "new", 1, "created", {}, 1, "ann")))
    ),
    "verified": verified,
    "staged": lambda store, run: store.runs.staged(run),
    "switch": lambda store, run: store.runs.switch(replace(run, target_generation=2)),
    "finish": lambda store, run: store.runs.finish(run, report="{}"),
    "abort": lambda store, run: store.runs.abort(run, reason="why", lease_s=LEASE_S),
    "sweep": lambda store, run: exhaust(store.runs.sweep(run, lease_s=LEASE_S, report="{}")),
}
"""Every step of a run, by name; those on a generation name 2, the first that a run is given."""


def dump(plain: Plain) -> dict[str, list[tuple[object, ...]]]:
    """What is in every table."""
    return {table: sorted(plain.execute(f"select * from {{{table}}}"), key=repr) for table in TABLES}


def code_of(act: Callable[[], object]) -> str:
    """The code with which something is refused."""
    with pytest.raises(FenceError) as caught:
        act()
    return caught.value.code


def outlive(store: Store, run: Run) -> None:
    """Wait until the lease of a run is over on the store's clock."""
    deadline = time.monotonic() + WAIT_S_MAX
    while store.gate(run.tenant_id).clock_ms < run.lease_until_ms:
        assert time.monotonic() < deadline
        time.sleep(0.005)
