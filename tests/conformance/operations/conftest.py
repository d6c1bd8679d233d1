"""Operations on live tenants, on each kind of store: the desks of the store's suite, with the tenants of the shop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cicsc.store.protocol import Store
from conformance.store.conftest import desk, plain
from conformance.store.desk import Desk
from e2e.live import fill

__all__ = ["desk", "plain"]

TENANTS = ("acme", "bmart", "corner")


@pytest.fixture
def store(desk: Desk) -> Iterator[Store]:
    """A store with three tenants of version 0."""
    with desk.initialised() as opened:
        fill(opened, TENANTS)
        yield opened
