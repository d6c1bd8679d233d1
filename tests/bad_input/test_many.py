"""Tens of thousands of things that are wrong: all counted, a few listed, the report small, the time bounded."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest

from bad_input.desk import Desk, dry_run, verify
from e2e.shop import event, source
from sizes import size

COUNT = size(40_000, ci=40_000, full=130_000)
SECONDS_MAX = 60
"""Of processor time; a machine of 2020 takes about five."""

REPORT_BYTES_MAX = 40_000


def write_lines(path: Path, *templates: dict[str, Any]) -> Path:
    """A history of one event for each of so many orders, made of the templates in turn."""
    parts = [json.dumps(template).partition("@") for template in templates]
    with path.open("w") as file:
        for number in range(COUNT):
            head, _, tail = parts[number % len(parts)]
            file.write(f"{head}{number:06}{tail}\n")
    return path


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))


def report(desk: Desk, *words: str) -> dict[str, Any]:
    before = desk.state()
    said = desk.run(*words, "--summary", "always", before=bounded)
    assert (said.code, said.report["ok"]) == (1, False), said
    assert len(said.out) < REPORT_BYTES_MAX
    assert len(said.err) < REPORT_BYTES_MAX
    assert desk.state() == before
    return said.report


@pytest.mark.slow
def test_violations_are_all_counted(desk: Desk, tmp_path: Path) -> None:
    """Each order is an event without a reducer and a broken rule in the source, and a broken rule in the target."""
    path = write_lines(tmp_path / "events.jsonl", event(1, "placed", {"total": -1}, entity="@"))
    bundle = source()
    del bundle["core_ir"]["types"]["Order"]["reducer"]["placed"]
    desk.put("bundle.v0.json", bundle)
    words = dry_run("--out-events", "o.jsonl", "--out-positions", "p.csv", events=str(path))
    verified = report(desk, *words)["artifact"]["preflight"]["verify"]
    before, after = verified["source_verify"], verified["target_verify"]

    assert (before["violations_total"], after["violations_total"]) == (2 * COUNT, COUNT)
    assert before["entities_count"] == after["entities_count"] == COUNT
    assert after["violations_by_constraint"] == {"total_is_positive": COUNT}
    smallest = [f"{number:06}" for number in range(10)]
    for side, kinds in ((before, ["replay", "snapshot"]), (after, ["snapshot"])):
        for kind in kinds:
            listed = [entry["sample"]["entity_id"] for entry in side["violations"] if entry["kind"] == kind]
            assert listed == smallest


@pytest.mark.slow
def test_findings_are_all_counted(desk: Desk, tmp_path: Path) -> None:
    gap = event(2, "placed", {"total": 1}, entity="@")
    malformed = {**event(1, "placed", {"total": 1}, entity="@"), "ts": "noon"}
    path = write_lines(tmp_path / "events.jsonl", gap, malformed)
    found = report(desk, *verify(str(path)))["history_integrity"]

    assert found["counts"] == {"SEQ_GAP": COUNT // 2, "MALFORMED_EVENT": COUNT // 2}
    for code, first in (("SEQ_GAP", 0), ("MALFORMED_EVENT", 1)):
        listed = [entry["entity_id"] for entry in found["findings"] if entry["code"] == code]
        assert listed == [f"{number:06}" for number in range(first, 20, 2)]
