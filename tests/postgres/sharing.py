"""A store whose histories are shared between processes however small they are; its fixtures are imported by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cicsc
from cicsc.engine import choice, pool
from cicsc.history.model import Event
from cicsc.operations import stored, stored_shares, stored_streams
from cicsc.store import views
from cicsc.store.postgres.store import PostgresStore
from conformance.operations.application import V2, add
from conformance.store.history import event
from conformance.store.postgres_desk import PostgresDesk

TENANTS = (
    "'; drop table cicsc.event; --",
    'a\tb\\n"\n',
    "empty",
    "empty too",
    "large",
    "é\u0301",
    "\U0001f9ea",
    "\uffff",
)
HOSTILE = ("", "'; drop table cicsc.event", 'a\tb\\n"\n', "\U0001f9ea", "\uffff", "é\u0301")


@pytest.fixture(
    autouse=True, params=["cut", *(pytest.param(name, marks=pytest.mark.slow) for name in ("whole", "cut everywhere"))]
)
def sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any) -> Iterator[None]:
    """Share however little there is, in copies of this process, cut at ever more places; no file is left behind."""
    request.getfixturevalue("desk")  # the server's own files are not meant
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(stored, "SHARED_EVENTS_MIN", 0)
    monkeypatch.setattr(
        stored_shares, "SHARES_PER_WORKER", {"cut": 5, "whole": 1, "cut everywhere": 400}[request.param]
    )
    monkeypatch.setattr(choice, "forks_safely", lambda: True)
    monkeypatch.setattr(pool, "forks_safely", lambda: True)
    if request.param == "cut everywhere":
        monkeypatch.setattr("cicsc.engine.spool.Spool.__init__.__defaults__", (None, 50))
        monkeypatch.setattr(stored_streams, "LISTED_EVENTS_MAX", 2)
    else:
        monkeypatch.setattr(views, "CUT_PLACES", 40)
    yield
    assert list(temporary.iterdir()) == []


only_cut = pytest.mark.parametrize("sharing", ["cut"], indirect=True)


@pytest.fixture
def store(desk: PostgresDesk) -> Iterator[PostgresStore]:
    """A store with tenants of hostile names, one of them large, and some without events."""
    desk.initialised().close()
    with PostgresStore(desk.url, wait_s=5) as opened:
        for number, tenant_id in enumerate(TENANTS):
            streams = 0 if tenant_id.startswith("empty") else 80 if tenant_id == "large" else 1 + number
            add(opened, tenant_id, events=history(streams))
        yield opened


def history(streams: int) -> list[Event]:
    names = sorted([*HOSTILE, *map(str, range(streams))][:streams])
    events = []
    for number, name in enumerate(names):
        more: dict[str, Any] = {"extra": {"source": "web"}} if number % 7 == 0 else {}
        events.append(event(name, 1, payload={"total": 10**30 + number, "note": "x\\y\t\n"}, **more))
        events.extend(event(name, seq, "paid", ts=seq) for seq in range(2, 2 + number % 5))
    return events


def dry_run(folder: Path, name: str, source: cicsc.StoreSource, **options: Any) -> dict[str, bytes]:
    """All that comes of a dry run."""
    place = folder / name
    place.mkdir()
    paths = {"artifact": place / "a.json", "out_events": place / "e.jsonl", "out_positions": place / "p.csv"}
    cicsc.dry_run(None, options.pop("target", V2), source, options.pop("migration", "to_2"), **paths, **options)
    return {path.name: path.read_bytes() for path in place.iterdir()}
