"""A run that began although its beginner never learned of it gives the tenant back at once."""

from __future__ import annotations

import pytest

from cicsc.errors import FenceError, StoreError
from cicsc.operations.live.run import LiveRun, Timing
from cicsc.store.protocol import Store
from cicsc.store.records import RunPlan
from cicsc.store.runs import Runs

TIMING = Timing(lease_s=60)


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), StoreError("STORE_OUTCOME_UNKNOWN", "the answer was lost")])
def test_tenant_is_given_back(store: Store, monkeypatch: pytest.MonkeyPatch, raised: BaseException) -> None:
    begin = Runs.begin

    def lose_the_answer(self, *given, **named):
        begin(self, *given, **named)
        raise raised

    monkeypatch.setattr(Runs, "begin", lose_the_answer)
    with pytest.raises(type(raised)):
        LiveRun.begin(store, "acme", RunPlan("cutover", "ann"), TIMING, run_id="r1")

    (run,) = [run for run in store.runs.of_tenant("acme") if run.kind == "cutover"]
    assert (run.phase, store.gate("acme").owner) == ("ABORTED", None)


def test_run_of_another_is_left_alone(store: Store) -> None:
    first = LiveRun.begin(store, "acme", RunPlan("cutover", "ann"), TIMING, run_id="r1")

    with pytest.raises(FenceError, match="is taken by cutover"):
        LiveRun.begin(store, "acme", RunPlan("cutover", "bob"), TIMING, run_id="r2")

    assert store.gate("acme").owner == first.run.run_id
