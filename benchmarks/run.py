"""The numbers in the docs: each a ratio to a yardstick that runs in turn with it, as whole processes.

    python benchmarks/run.py [--events N] [--runs K] [--workload FOLDER --migration ID]

`--workload` names a folder with from.json, to.json and events.jsonl; without it a synthetic one is
generated under build/. Medians of K runs after one warm-up. Nothing here passes or fails. A second yardstick
runs where DuckDB is installed. Memory is that of all processes of a command together.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import workload

_SAMPLE_S = 0.1
_YARDSTICK = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)\n"
_DUCKDB = """
import duckdb, sys
duckdb.execute(
    "copy (select * from read_json(?, format = 'newline_delimited', columns = {tenant_id: 'varchar', "
    "entity_type: 'varchar', entity_id: 'varchar', seq: 'bigint', event_type: 'varchar', payload: 'json', "
    "ts: 'bigint', actor_id: 'varchar'}) order by tenant_id, entity_type, entity_id, seq) "
    "to '" + sys.argv[2] + "' (format json)",
    [sys.argv[1]],
)
"""


@dataclass
class Measured:
    """One command with what its runs took: wall seconds, CPU seconds, peak memory in MiB."""

    name: str
    command: list[str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run the command once and note what it took, its worker processes included."""
        start = time.perf_counter()
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        with TreeMemory(process.pid) as memory:
            _, status, used = os.wait4(process.pid, 0)
        self.wall.append(time.perf_counter() - start)
        self.cpu.append(used.ru_utime + used.ru_stime)
        self.memory.append(max(memory.peak, used.ru_maxrss / 1024 if memory.processes == 1 else 0))
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{self.name} exited with {process.returncode}: {' '.join(self.command)}")


class TreeMemory(threading.Thread):
    """Watches the memory in MiB of a process and its children: the sum of PSS, which counts shared pages once."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0.0
        self.processes = 1
        self._pid = pid
        self._done = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """Look again and again until the process has ended."""
        while not self._done.wait(_SAMPLE_S):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text().split()
                self.processes = max(self.processes, 1 + len(children))
                if children:
                    self.peak = max(self.peak, sum(map(_pss, (str(self._pid), *children))))


def _pss(pid: str) -> float:
    with contextlib.suppress(OSError):
        found = re.search(r"^Pss: +([0-9]+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


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
    out = ["--out-events", f"{folder}/out.jsonl"]
    rows = (
        ("history-verify (integrity, digest)", ["history-verify", "--events", events]),
        ("migration-preflight", ["migration-preflight", *common, "--events", events]),
        ("migration-dry-run", ["migration-dry-run", *common, "--events", events]),
        ("migration-dry-run --out-events", ["migration-dry-run", *common, "--events", events, *out]),
    )
    measured = [yardstick]
    if importlib.util.find_spec("duckdb") is not None:
        written = f"{folder}/duckdb.jsonl"
        measured.append(Measured("DuckDB: read, sort, write", [sys.executable, "-c", _DUCKDB, events, written]))
    measured += [
        Measured(f"{name}, {workers} worker{'s' * (workers > 1)}", cicsc(*command, "--workers", str(workers)))
        for name, command in rows
        for workers in sorted({1, len(os.sched_getaffinity(0))})
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
