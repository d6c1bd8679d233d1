"""A store that is gone in the midst of several cutovers: the rest is not begun, one failure after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import cicsc
from cicsc.operations.live import reaching
from cicsc.report.live.models import Cutovers
from cicsc.store import open_store
from e2e.live import fill
from e2e.shop import target
from postgres_server import PostgresServer

TENANTS = [f"t{number}" for number in range(6)]


class Place:
    """A store that can be taken away and brought back."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "store.db"
        self.url = f"sqlite:///{self.file}"
        with open_store(self.url) as store:
            store.initialise()
            fill(store, TENANTS)

    def away(self, *_: object) -> None:
        self.file.rename(self.file.with_suffix(".away"))

    def back(self, *_: object) -> None:
        if not self.file.exists():
            self.file.with_suffix(".away").rename(self.file)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.back()


def cutover(url: str, **more: object) -> Cutovers:
    return cicsc.cutover_pause_migrate_resume(url, None, target(), "v0_to_v1", execute=True, **more)


def test_the_rest_is_not_begun(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(reaching, "sleep", waits.append)

    report = cutover(place.url, on_begin=lambda name, *_: place.away() if name == "t2" else None)

    assert report.counts == {"failed": 1, "not_begun": 3, "switched": 2}
    assert (report.exit_code, report.error["code"]) == (3, "STORE_NOT_INITIALISED")
    assert report.error["message"].endswith("; 3 of 6 tenants were not begun")
    assert waits == [pytest.approx(0.1 * 2**number) for number in range(reaching.ATTEMPTS_MAX - 1)]


def test_a_store_that_comes_back_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "sleep", place.back)

    report = cutover(place.url, on_begin=lambda name, *_: place.away() if name == "t2" else None)

    assert report.counts == {"failed": 1, "switched": 5}
    assert (report.exit_code, report.error["code"]) == (3, "TENANTS_FAILED")


def test_nobody_waits_for_a_store_when_no_tenant_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(reaching, "sleep", waits.append)

    report = cutover(place.url, on_begin=lambda name, *_: place.away() if name == "t5" else None)

    assert (report.counts, waits) == ({"failed": 1, "switched": 5}, [])


def test_a_server_that_stops_ends_several_at_once() -> None:
    server = PostgresServer("16")
    try:
        url = server.url(server.new_database())
        with open_store(url) as store:
            store.initialise()
            fill(store, TENANTS)
        reports: list[str] = []

        def stop_after_the_first(report: object) -> None:
            if not reports:
                server.stop()
            reports.append(report.tenant_id)

        report = cutover(url, parallel=2, on_tenant=stop_after_the_first)
    finally:
        server.stop()

    # Two are given out at first, two when their reports come, and one as the first failure is heard, before it is told.
    assert report.counts["not_begun"] >= 1
    assert (report.exit_code, report.error["code"]) == (3, "STORE_UNREACHABLE")
    assert len(reports) == len(report.tenants)
