"""The benchmark commands run to their end on a little history, and print tables; no figure is judged here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from docs.documents import CHECKOUT

BENCHMARKS = CHECKOUT / "benchmarks"


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("measure")


def printed(folder: Path, script: str, *words: str) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *words]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "src")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(text: str) -> dict[str, list[str]]:
    """The cells of all tables by what stands in their first column."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return {row[0]: row[1:] for row in cells if not row[0].startswith("---")}


def test_a_ratio_is_taken_round_by_round(measure: ModuleType) -> None:
    ratio = measure.Ratio.of([2, 9, 8], [1, 3, 8])
    assert (ratio.least, ratio.median, ratio.most) == (1, 2, 3)
    assert str(ratio) == "2.00 (1.00 to 3.00)"


def test_a_target_says_how_a_value_stands_to_it(measure: ModuleType) -> None:
    assert measure.Target(2, 1.3).judged(2.0) == "at most 2, aim 1.3: met"
    assert measure.Target(2).judged(2.01) == "at most 2: **not met**"
    assert measure.Target(0.8, at_least=True).judged(0.79) == "at least 0.8: **not met**"


def test_tables_are_markdown(measure: ModuleType) -> None:
    assert measure.table(("what", "s", "target"), [["a", "1", ""]]) == (
        "| what | s | target |\n| --- | ---: | --- |\n| a | 1 |  |\n"
    )


def test_a_command_that_fails_ends_the_benchmark(measure: ModuleType) -> None:
    failing = measure.Measured("this", [sys.executable, "-c", "raise SystemExit(7)"])
    with pytest.raises(SystemExit, match="this exited with 7"):
        failing.run()


@pytest.mark.slow
def test_the_suite_prints_its_tables(tmp_path: Path) -> None:
    parts = ("--only", "files", "--only", "start", "--only", "growth")
    found = printed(tmp_path, "run.py", "--events", "200", "--runs", "1", "--growth", "400", *parts)
    table = rows(found)

    assert re.match(r"\d{4}-\d\d-\d\d, Linux, \d+ cores", found)
    assert table["`json.loads` of every line (yardstick)"][3] == "1"
    assert "at most 1, aim 0.5: " in found
    assert {
        "`cicsc --help`",
        "`migration-dry-run --out-events`, 1 worker",
        "time against linear growth",
    } <= table.keys()


@pytest.mark.slow
@pytest.mark.full
def test_spark_is_measured_by_the_clock_alone(tmp_path: Path) -> None:
    found = printed(tmp_path, "run.py", "--events", "200", "--runs", "1", "--only", "spark")
    assert rows(found)["`migration-dry-run --out-events`, Spark"][1:3] == ["", ""]
    assert "Artifact and migrated history of both are the same bytes." in found


@pytest.mark.slow
def test_two_commits_are_compared(tmp_path: Path) -> None:
    if subprocess.run(["git", "-C", CHECKOUT, "rev-parse", "HEAD"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this is no checkout of git")
    words = ("--events", "200", "--runs", "1", "--only", "help")
    for sides in (("HEAD",), ("HEAD", "HEAD")):
        table = rows(printed(tmp_path, "compare.py", *sides, *words))
        assert list(table) == ["what", "`cicsc --help`"]
        assert all(re.fullmatch(r"[\d.]+ \([\d.]+ to [\d.]+\)", cell) for cell in table["`cicsc --help`"])
