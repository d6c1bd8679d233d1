"""The numbers in the docs: each a ratio to a yardstick that runs in turn with it, as whole processes.

    python benchmarks/run.py [--events N] [--runs K] [--workload FOLDER --migration ID] [--growth N] [--only PART]

Prints tables in Markdown, with the date and the machine, to be pasted into docs/performance.md. `--workload` names a
folder with from.json, to.json and events.jsonl; without it a synthetic one is generated under build/. Medians of K
runs after one warm-up. Nothing here passes or fails, and targets are meant for 1,000,000 events. A second yardstick
runs where DuckDB is installed. Memory is that of all processes of a command together. `--growth` also measures a
history of N events, at most twice, which takes minutes for 10,000,000. The parts are files, spark (where pyspark is
installed), start, growth and store, the last in a process of its own (benchmarks/store.py).
"""

from __future__ import annotations

import argparse
import filecmp
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from commands import DRY_RUN_OUT, PREFLIGHT, Workload, at_start, cicsc, generated, on_history
from measure import HEADS, Measured, Ratio, Target, in_turn, machine, median_row, table
from workload import MIGRATION

PARTS = ("files", "spark", "start", "growth", "store")
YARDSTICK = "import json, sys\nfor line in open(sys.argv[1], 'rb'): json.loads(line)\n"
AT_ONCE = """
import subprocess, sys
running = [subprocess.Popen([sys.executable, "-c", *sys.argv[2:]]) for _ in range(int(sys.argv[1]))]
sys.exit(any([process.wait() for process in running]))
"""
DUCKDB = """
import duckdb, sys
duckdb.execute(
    "copy (select * from read_json(?, format = 'newline_delimited', columns = {tenant_id: 'varchar', "
    "entity_type: 'varchar', entity_id: 'varchar', seq: 'bigint', event_type: 'varchar', payload: 'json', "
    "ts: 'bigint', actor_id: 'varchar'}) order by tenant_id, entity_type, entity_id, seq) "
    "to '" + sys.argv[2] + "' (format json)",
    [sys.argv[1]],
)
"""
MEMORY_MIB_MAX = 1024
GROWTH_RUNS = 2


def files(load: Workload, runs: int) -> None:
    """Measure what reads the whole history, with one process and with one for each core."""
    cores = len(os.sched_getaffinity(0))
    out = load.folder / "out.jsonl"
    yardstick = Measured("`json.loads` of every line (yardstick)", [sys.executable, "-c", YARDSTICK, str(load.events)])
    commands = on_history(load, out)
    measured = {
        (name, workers): Measured(
            f"`{name}`, {workers} worker{'s' * (workers > 1)}", [*command, "--workers", str(workers)]
        )
        for name, command in commands.items()
        for workers in sorted({1, cores})
    }
    # Cores that share caches, memory and a host do less together than each alone, and no engine can do more than they.
    at_once = Measured(
        f"the same {cores} times at once (yardstick)",
        [sys.executable, "-c", AT_ONCE, str(cores), YARDSTICK, str(load.events)],
    )
    duckdb = None
    if importlib.util.find_spec("duckdb") is not None:
        command = [sys.executable, "-c", DUCKDB, str(load.events), str(load.folder / "duckdb.jsonl")]
        duckdb = Measured("DuckDB: read, sort, write, no checks (yardstick)", command)
    yardsticks = [yardstick, *([at_once] if cores > 1 else []), *([] if duckdb is None else [duckdb])]
    in_turn([*yardsticks, *measured.values()], runs)
    targets = {(PREFLIGHT, cores): Target(1.0, 0.5)}
    rows = [median_row(one, yardstick, targets.get(key)) for key, one in measured.items()]
    print(table(HEADS, [*(median_row(one, yardstick) for one in yardsticks), *rows]))
    ratios = []
    if duckdb is not None:
        ratio = Ratio.of(measured[DRY_RUN_OUT, cores].wall, duckdb.wall)
        ratios.append([f"`{DRY_RUN_OUT}` against DuckDB", str(ratio), Target(2.0, 1.3).judged(ratio.median)])
    if cores > 1:
        ratio = Ratio.of((seconds * cores for seconds in yardstick.wall), at_once.wall)
        ratios.append(
            [f"`json.loads`, {cores} processes one after another against at once", str(ratio), "what the machine gives"]
        )
        for name in commands:
            ratio = Ratio.of(measured[name, 1].wall, measured[name, cores].wall)
            judged = Target(1.6, 1.9, at_least=True).judged(ratio.median)
            ratios.append([f"`{name}`, 1 worker against {cores}", str(ratio), judged])
    if ratios:
        print(table(("what", "ratio (least to most)", "target"), ratios))


def spark(load: Workload, runs: int) -> None:
    """Measure Spark on two cores against two worker processes, and compare all that they write."""
    engines = {"2 workers": ["--workers", "2"], "Spark": ["--engine", "spark", "--spark-master", "local[2]"]}
    measured, written = [], []
    for number, (name, engine) in enumerate(engines.items()):
        outputs = [load.folder / f"engine-{number}.{ending}" for ending in ("json", "jsonl")]
        words = ["--artifact", str(outputs[0]), "--out-events", str(outputs[1]), *engine]
        command = cicsc("migration-dry-run", *load.words(), *words)
        measured.append(Measured(f"`{DRY_RUN_OUT}`, {name}", command, watched=name != "Spark"))
        written.append(outputs)
    in_turn(measured, runs)
    print(table(HEADS, [median_row(one, measured[0]) for one in measured]))
    same = all(filecmp.cmp(*files, shallow=False) for files in zip(*written, strict=True))
    print(f"Artifact and migrated history of both are {'the same bytes' if same else '**not the same**'}.\n")


def start(load: Workload, runs: int) -> None:
    """Measure what starting costs."""
    yardstick = Measured("`python -c pass` (yardstick)", [sys.executable, "-c", "pass"])
    measured = [Measured(f"`{name}`", command) for name, command in at_start(load).items()]
    in_turn([yardstick, *measured], runs)
    rows = [median_row(one, yardstick, Target(15, 8)) for one in measured]
    print(table(HEADS, [median_row(yardstick, yardstick), *rows]))


def growth(load: Workload, smaller: int, larger: int, runs: int) -> None:
    """Measure how time and memory grow with the history."""
    sides = [
        Measured(f"`{DRY_RUN_OUT}`, {count:,} events", on_history(one, one.folder / "out.jsonl")[DRY_RUN_OUT])
        for count, one in ((smaller, load), (larger, generated(larger)))
    ]
    in_turn(sides, min(runs, GROWTH_RUNS))
    low, high = sides
    print(table(HEADS, [median_row(low, low), median_row(high, low)]))
    memory = Ratio.of(high.memory, low.memory)
    linear = Ratio.of(high.wall, (seconds * larger / smaller for seconds in low.wall))
    most = max(high.memory)
    limit = f"under {MEMORY_MIB_MAX} MiB: {'met' if most < MEMORY_MIB_MAX else '**not met**'}"
    rows = [
        ["peak memory of all processes", str(memory), f"{Target(1.25, 1).judged(memory.median)}; {limit}"],
        ["time against linear growth", str(linear), Target(1.1).judged(linear.median)],
    ]
    print(table(("what", "ratio (least to most)", "target"), rows))


def main() -> None:
    """Generate the workload where there is none, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workload", type=Path)
    parser.add_argument("--migration", default=MIGRATION)
    parser.add_argument("--growth", type=int, metavar="N", help="also a history of N events, such as 10000000")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part; may be repeated")
    given = parser.parse_args()
    wanted = given.only or PARTS
    if "growth" in (given.only or ()) and given.growth is None:
        parser.error("--only growth needs --growth N")
    has_spark = importlib.util.find_spec("pyspark") is not None
    if "spark" in (given.only or ()) and not has_spark:
        parser.error("--only spark needs pyspark")
    load = Workload(given.workload, given.migration) if given.workload else generated(given.events)
    print(f"{machine()}.")
    print(f"{load.events}: {load.events.stat().st_size / 1e6:,.1f} MB; medians of {given.runs} runs in turn.\n")
    if "files" in wanted:
        files(load, given.runs)
    if "spark" in wanted and has_spark:
        spark(load, given.runs)
    if "start" in wanted:
        start(load, given.runs)
    if "growth" in wanted and given.growth:
        growth(load, given.events, given.growth, given.runs)
    if "store" in wanted:
        sys.stdout.flush()
        runs = ["--events", str(given.events), "--runs", str(given.runs)]
        subprocess.run([sys.executable, str(Path(__file__).with_name("store.py")), *runs], check=True)


if __name__ == "__main__":
    main()
