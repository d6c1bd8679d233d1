"""A run that comes to its end tells what it did itself, without having learned of it, from what another did."""

from __future__ import annotations

from typing import Any

import pytest

from cicsc.errors import StoreError
from cicsc.operations.live import run as live_runs
from cicsc.operations.live.run import LiveRun, Timing
from cicsc.store.protocol import Store
from cicsc.store.records import Run
from cicsc.store.runs import Runs
from conformance.operations.dying import fenced, planned, switched

TIMING = Timing(lease_s=60)
LOST = StoreError("STORE_OUTCOME_UNKNOWN", "the answer was lost")


def empty(store: Store) -> str:
    store.create_tenant("empty", bundle_digest=store.gate("acme").active_bundle, version=0, actor_id="ann")
    return "empty"


def take_over(store: Store, run: Run) -> Run:
    return store.runs.claim(run.tenant_id, run.run_id, lease_s=60, actor_id="bea", epoch=run.epoch)


@pytest.fixture(autouse=True)
def _no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_runs, "FIRST_WAIT_S", 0)


@pytest.mark.parametrize("begin", [planned, fenced])
@pytest.mark.parametrize("by_another", [False, True])
def test_abort_whose_answer_was_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch, begin: Any, by_another: bool
) -> None:
    live, abort = LiveRun(store, begin(store, "acme"), TIMING), Runs.abort

    def lose_the_answer(runs: Runs[Any], run: Run, **more: Any) -> Run:
        if by_another:
            take_over(store, run)
        else:
            abort(runs, run, **more)
        raise LOST

    monkeypatch.setattr(Runs, "abort", lose_the_answer)

    ended = live.end("a slip")
    live.sweep("{}")

    assert (ended.phase, live.is_taken, store.gate("acme").is_paused) == ("ABORTED", by_another, False)
    assert store.gate("acme").owner == (live.run.run_id if by_another else None)


def test_run_that_was_taken_over_before_its_end(store: Store) -> None:
    live = LiveRun(store, fenced(store, "acme"), TIMING)
    take_over(store, live.run)

    live.end("a slip")
    live.sweep("{}")

    assert (live.is_taken, store.gate("acme").owner) == (True, live.run.run_id)


@pytest.mark.parametrize("by_another", [False, True])
def test_run_is_finished_by_who_has_it(store: Store, by_another: bool) -> None:
    live = LiveRun(store, switched(store, empty(store)), TIMING)
    if by_another:
        take_over(store, live.run)

    live.finish("{}")

    phase, owner = ("SWITCHED", live.run.run_id) if by_another else ("DONE", None)
    assert (live.is_taken, live.run.phase, store.gate("empty").owner) == (by_another, phase, owner)
