"""Runs that die where a test wants them to: they leave the tenant as a killed process does."""

from __future__ import annotations

import time
from uuid import uuid4

from cicsc.bundle.load import load_bundle
from cicsc.store.protocol import Store
from cicsc.store.records import Run, RunPlan
from e2e.shop import target

WAIT_S_MAX = 30
TARGET = load_bundle(target())


def planned(store: Store, tenant: str, *, lease_s: float = 60) -> Run:
    """Take a tenant, which stays open."""
    store.put_bundle(TARGET)
    plan = RunPlan("cutover", "bob", migration_id="v0_to_v1", target_bundle=TARGET.digest, target_version=1)
    return store.runs.begin(tenant, uuid4().hex, plan, lease_s=lease_s)


def fenced(store: Store, tenant: str, *, lease_s: float = 60) -> Run:
    """Pause a tenant, as a cutover does."""
    return store.runs.fence(planned(store, tenant), lease_s=lease_s, max_pause_s=600)


def switched(store: Store, tenant: str, *, lease_s: float = 60) -> Run:
    """Switch a tenant to an empty generation of the new version; its history has to be empty."""
    run = fenced(store, tenant)
    run = store.runs.verified(run, head_digest="0" * 64, target_count=0, target_digest="0" * 64)
    return store.runs.keep(store.runs.switch(store.runs.staged(run)), lease_s=lease_s)


def wait_for_lease(store: Store, run: Run) -> None:
    """Wait until the lease of a run is over on the store's clock."""
    deadline = time.monotonic() + WAIT_S_MAX
    while store.gate(run.tenant_id).clock_ms <= run.lease_until_ms:
        assert time.monotonic() < deadline
        time.sleep(0.01)
