"""A pause by hand: begun and ended by its owner, never that of a run."""

from __future__ import annotations

import pytest

from cicsc.errors import FenceError, UsageError
from cicsc.operations.live.pausing import pause_tenant, resume_tenant
from cicsc.store.protocol import Store
from conformance.operations.dying import fenced


def test_pause_then_resume(store: Store) -> None:
    paused = pause_tenant(store, "acme", seconds=60, owner="ann")

    assert (paused.ok, paused.paused, paused.owner, paused.epoch) == (True, True, "ann", store.gate("acme").epoch)
    assert 0 < paused.remaining_ms <= 60_000

    opened = resume_tenant(store, "acme", owner="ann", epoch=paused.epoch)

    assert (opened.paused, opened.owner, opened.epoch, opened.lease_until) == (False, None, paused.epoch + 1, None)
    assert not store.gate("acme").is_paused


def test_another_owner_or_epoch_opens_nothing(store: Store) -> None:
    epoch = pause_tenant(store, "acme", seconds=60, owner="ann").epoch

    for owner, wrong in (("bob", epoch), ("ann", epoch + 1)):
        with pytest.raises(FenceError) as caught:
            resume_tenant(store, "acme", owner=owner, epoch=wrong)
        assert caught.value.code == "GATE_LOST"
        assert "migration-status --tenant acme" in caught.value.hint
    assert store.gate("acme").is_paused


def test_a_run_is_not_opened_by_its_id(store: Store) -> None:
    run = fenced(store, "acme")

    with pytest.raises(UsageError) as caught:
        resume_tenant(store, "acme", owner=run.run_id, epoch=run.epoch)

    assert caught.value.code == "OWNER_IS_RUN"
    assert f"--take-over {run.run_id} {run.epoch}" in caught.value.hint
    assert store.gate("acme").is_paused


def test_nobody_pauses_in_the_name_of_a_run(store: Store) -> None:
    (run,) = store.runs.of_tenant("acme")

    with pytest.raises(UsageError) as caught:
        pause_tenant(store, "acme", seconds=60, owner=run.run_id)

    assert caught.value.code == "OWNER_IS_RUN"
    assert not store.gate("acme").is_paused


def test_an_unknown_tenant_is_told(store: Store) -> None:
    with pytest.raises(FenceError) as caught:
        pause_tenant(store, "nobody", seconds=60, owner="ann")

    assert caught.value.code == "UNKNOWN_TENANT"
