from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from cicsc.operations.live.reporting import pause_ms
from cicsc.store.records import Run
from cicsc.store.sqlite.store import SqliteStore
from conformance.store.history import BUNDLE, add_tenant
from conformance.store.running import run_in


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with SqliteStore(tmp_path / "store.db") as store:
        store.initialise()
        store.put_bundle(BUNDLE)
        add_tenant(store, "t")
        return run_in(store, "FENCED")


@pytest.mark.parametrize(("resumed_at", "length"), [(5_000, 4_000), (1_000, 0), (999, UNSET), (None, UNSET)])
def test_pause_has_a_length_unless_the_clock_was_set_back(run: Run, resumed_at: int | None, length: object) -> None:
    assert pause_ms(replace(run, paused_at_ms=1_000, resumed_at_ms=resumed_at)) == length
