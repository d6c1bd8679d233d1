"""The numbers in the docs: each a ratio to a yardstick that runs in turn with it, as whole processes.

    python benchmarks/run.py [--events N] [--runs K] [--workload FOLDER --migration ID]

`--workload` names a folder with from.json, to.json and events.jsonl; without it a synthetic one is
generated under build/. Medians of K runs after one warm-up. Nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import workload

_YARDSTICK = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)\n"


@dataclass
class Measured:
    """One command with what its runs took: wall seconds, CPU seconds, peak memory in MiB."""

    name: str
    command: list[str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run the command once and note what it took."""
        start = time.perf_counter()
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        self.wall.append(time.perf_counter() - start)
        self.cpu.append(used.ru_utime + used.ru_stime)
        self.memory.append(used.ru_maxrss / 1024)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{self.name} exited with {process.returncode}: {' '.join(self.command)}")


def cicsc(*arguments: str) -> list[str]:
    """Return the command line of this product under the interpreter that runs the benchmark."""
    return [sys.executable, "-m", "cicsc", *arguments]


def compare(measured: list[Measured], runs: int) -> None:
    """Run the commands in turn; the first round warms up and does not count."""
    for one in measured:
        one.run()
        one.wall.clear(), one.cpu.clear(), one.memory.clear()
    for _ in range(runs):
        for one in measured:
            one.run()


def table(measured: list[Measured], yardstick: Measured) -> None:
    """Print medians, and the median of the ratios to the yardstick."""
    print(f"{'what':44} {'wall s':>8} {'cpu s':>8} {'MiB':>7} {'ratio':>7}   (yardstick: {yardstick.name})")
    for one in measured:
        ratio = statistics.median(a / b for a, b in zip(one.wall, yardstick.wall, strict=True))
        wall, cpu, memory = (statistics.median(values) for values in (one.wall, one.cpu, one.memory))
        print(f"{one.name:44} {wall:8.2f} {cpu:8.2f} {memory:7.0f} {ratio:7.2f}")
    print()


def main() -> None:
    """Generate the workload where there is none, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workload", type=Path)
    parser.add_argument("--migration", default=workload.MIGRATION)
    arguments = parser.parse_args()
    folder = arguments.workload or Path("build") / f"workload-{arguments.events}"
    if not (folder / "events.jsonl").exists():
        workload.write(arguments.events, folder)
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, {folder / 'events.jsonl'}"
    )
    print(f"{(folder / 'events.jsonl').stat().st_size / 1e6:.0f} MB, median of {arguments.runs} runs in turn\n")
    history_runs(folder, arguments.migration, arguments.runs)
    start_up(folder, arguments.migration, arguments.runs)


def history_runs(folder: Path, migration: str, runs: int) -> None:
    """Measure what reads the whole history."""
    events = str(folder / "events.jsonl")
    common = ["--from", f"{folder}/from.json", "--to", f"{folder}/to.json", "--migration", migration]
    yardstick = Measured("json.loads of every line", [sys.executable, "-c", _YARDSTICK, events])
    measured = [
        yardstick,
        Measured("history-verify (integrity, digest)", cicsc("history-verify", "--events", events)),
        Measured("migration-preflight", cicsc("migration-preflight", *common, "--events", events)),
        Measured("migration-dry-run", cicsc("migration-dry-run", *common, "--events", events)),
        Measured(
            "migration-dry-run --out-events",
            cicsc("migration-dry-run", *common, "--events", events, "--out-events", f"{folder}/out.jsonl"),
        ),
    ]
    compare(measured, runs)
    table(measured, yardstick)


def start_up(folder: Path, migration: str, runs: int) -> None:
    """Measure what starting costs."""
    few = folder / "few.jsonl"
    with (folder / "events.jsonl").open() as source:
        few.write_text("".join(line for line, _ in zip(source, range(10), strict=False)))
    common = ["--from", f"{folder}/from.json", "--to", f"{folder}/to.json", "--migration", migration]
    yardstick = Measured("python -c pass", [sys.executable, "-c", "pass"])
    measured = [
        yardstick,
        Measured("cicsc --help", cicsc("--help")),
        Measured("migration-preflight of 10 events", cicsc("migration-preflight", *common, "--events", str(few))),
    ]
    compare(measured, runs)
    table(measured, yardstick)


if __name__ == "__main__":
    main()
