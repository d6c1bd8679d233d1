"""The runtime on each kind of store: the desks of the store's suite, with the tenant 't' of a bank."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cicsc.runtime import CommandResult, Runtime
from cicsc.store.protocol import Store
from conformance.runtime.bank import BANK
from conformance.store.conftest import desk, plain
from conformance.store.desk import Desk

__all__ = ["desk", "plain"]


@pytest.fixture
def store(desk: Desk) -> Iterator[Store]:
    """A store with one tenant, 't', whose history is empty."""
    with desk.initialised() as opened:
        opened.put_bundle(BANK)
        opened.create_tenant("t", bundle_digest=BANK.digest, version=3, actor_id="ann")
        yield opened


@pytest.fixture
def runtime(store: Store) -> Runtime:
    return Runtime(store)


@pytest.fixture
def account(runtime: Runtime) -> CommandResult:
    """The account '1', which is open and empty."""
    return runtime.execute("t", "Account", "1", "open", {"owner": "ann"}, actor="ann", now=1_000)
