"""What is measured, when it is shown, and that nothing shown can hinder the work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cicsc.cli.display import duration, told
from cicsc.cli.meter import REDRAW_S, SHOWN_AFTER_S, Meter
from cicsc.progress import Amount, Phase
from e2e.running import migration
from unit.cli.calling import Call


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """A display that keeps what it is given."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.updates: list[tuple[Phase, int]] = []
        self.closed = False
        self.fault = fault

    def update(self, phase: Phase, done: Amount, whole: Amount, seconds: float) -> None:
        self.updates.append((phase, done.events))
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        self.closed = True


def test_figures_count_the_history_once_and_time_each_phase() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    meter.begin("reading", Amount(bytes_read=500))
    clock.now += 2
    meter.note(Amount(events=6, bytes_read=500))
    meter.begin("folding", Amount(events=6))
    clock.now += 1
    meter.note(Amount(events=4, streams=1, temporary_bytes=7))
    meter.note(Amount(events=2, streams=1, temporary_bytes=2))
    meter.worked([10, 20])
    clock.now += 0.5
    meter.begin("writing", Amount())
    clock.now += 0.5
    meter.close()
    clock.now += 50
    found = json.loads(meter.figures("migration-dry-run").to_json())

    assert found.pop("peak_rss_bytes") > 30
    assert found == {
        "command": "migration-dry-run",
        "events": 6,
        "streams": 2,
        "bytes_read": 500,
        "temporary_bytes": 9,
        "workers": 2,
        "events_per_second": 1.5,
        "seconds": {"reading": 2.0, "folding": 1.5, "writing": 0.5, "total": 4.0},
    }


def test_the_line_says_the_same() -> None:
    clock = Clock()
    meter = Meter(clock=clock)
    meter.begin("folding", Amount())
    meter.note(Amount(events=3000, streams=10))
    clock.now += 2
    meter.close()
    line = meter.figures("history-verify").line()

    assert line.startswith("3,000 events, 10 streams, 2.0 s, 1,500 events/s, ")
    assert "workers" not in line


def test_short_work_is_not_shown_and_long_work_now_and_then() -> None:
    clock, shown = Clock(), Shown()
    meter = Meter(lambda: shown, clock)
    meter.begin("reading", Amount())
    meter.note(Amount(events=1))
    clock.now += SHOWN_AFTER_S
    meter.note(Amount(events=1))
    meter.note(Amount(events=1))
    clock.now += REDRAW_S
    meter.note(Amount(events=1))
    meter.begin("folding", Amount())
    meter.close()

    assert shown.updates == [("reading", 2), ("reading", 4), ("reading", 4), ("folding", 0)]
    assert shown.closed


def test_a_display_that_fails_hinders_nothing() -> None:
    clock, shown = Clock(), Shown(OSError("the terminal is gone"))
    meter = Meter(lambda: shown, clock)
    clock.now += SHOWN_AFTER_S
    meter.begin("reading", Amount())
    clock.now += REDRAW_S
    meter.note(Amount(events=1))
    meter.close()

    assert shown.updates == [("reading", 0)]
    assert shown.closed
    assert meter.figures("history-verify").events == 1


@pytest.mark.parametrize(
    ("done", "share", "expected"),
    [
        (Amount(events=1000), 0.25, " 25%  1,000 events  500/s  6 s left"),
        (Amount(events=1000, streams=20), None, "1,000 events  20 streams  500/s"),
        (Amount(), 0.0, "  0%  0 events  0/s"),
        (Amount(), None, ""),
    ],
)
def test_what_a_line_says(done: Amount, share: float | None, expected: str) -> None:
    assert told(done, share, 2.0) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (3599, "59:59 min"), (7384, "2:03 h")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


VERBS = {
    "history-verify": ("history-verify", "--events", "events.v0.json", "--bundle", "bundle.v0.json"),
    "history-replay": ("history-replay", "--events", "events.v0.json", "--bundle", "bundle.v0.json"),
    "migration-preflight": migration("migration-preflight"),
    "migration-dry-run": migration("migration-dry-run", "--out-events", "out.json"),
}


@pytest.mark.parametrize("verb", VERBS)
def test_figures_are_written_beside_the_same_report(call: Call, shop: Path, verb: str) -> None:
    plain = call(*VERBS[verb])
    measured = call(*VERBS[verb], "--metrics-out", "figures.json")
    found = json.loads((shop / "figures.json").read_text())

    assert (measured.code, measured.out, measured.err) == (plain.code, plain.out, plain.err)
    assert (found["command"], found["events"], found["streams"]) == (verb, 5, 3)
    assert found["bytes_read"] == (shop / "events.v0.json").stat().st_size


def test_figures_of_a_rollback_and_of_a_store(call: Call, shop: Path) -> None:
    call(*migration("migration-dry-run", "--out-events", "events.v1.jsonl"))
    back = ("migration-rollback", "--to", "bundle.v1.json", "--events", "events.v1.jsonl", "--migration", "v0_to_v1")
    store = ("--store", "sqlite:///shop.db")
    call("store-init", *store)
    for tenant in {event["tenant_id"] for event in json.loads((shop / "events.v0.json").read_text())}:
        call("tenant-create", *store, "--tenant", tenant, "--bundle", "bundle.v0.json", "--version", "0")
    for words in (
        (*back, "--out-events", "again.json"),
        ("history-import", *store, "--events", "events.v0.json"),
        ("history-export", *store, "--all", "--out-events", "exported.json"),
        ("history-verify", *store, "--all"),
    ):
        assert call(*words, "--metrics-out", "figures.json").code == 0, words
        found = json.loads((shop / "figures.json").read_text())
        assert (found["command"], found["events"], found["streams"]) == (words[0], 5, 3)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("migration-preflight", "--metrics-out", "bundle.v0.json"), "OUTPUT_IS_INPUT"),
        (("migration-dry-run", "--out-events", "a.json", "--metrics-out", "a.json"), "OUTPUTS_COLLIDE"),
        (("migration-preflight", "--metrics-out", "-"), "STDOUT_TAKEN"),
    ],
)
def test_figures_overwrite_nothing(call: Call, shop: Path, words: tuple[str, ...], code: str) -> None:
    before = (shop / "bundle.v0.json").read_bytes()
    assert call(*migration(words[0], *words[1:])).error_code == code
    assert (shop / "bundle.v0.json").read_bytes() == before


def test_figures_of_a_live_rollback_are_not_to_be_had(call: Call, shop: Path) -> None:
    words = ("--store", "sqlite:///shop.db", "--tenant", "t", "--migration", "m", "--metrics-out", "figures.json")
    assert call("migration-rollback", *words).error_code == "CONFLICTING_FLAGS"


def test_work_that_fails_leaves_no_figures(call: Call, shop: Path) -> None:
    assert call("history-verify", "--events", "missing.json", "--metrics-out", "figures.json").code == 2
    assert not (shop / "figures.json").exists()
