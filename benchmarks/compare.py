"""Two commits against each other: the same commands on the same history, in turn, as whole processes.

    python benchmarks/compare.py BASE [HEAD] [--events N] [--runs K] [--workload FOLDER --migration ID] [--only TEXT]

Both commits are exported into a temporary folder; without HEAD the files of this checkout are taken as they are. The
dependencies are those that are installed, so both have to run with them. The ratio of a row is HEAD to BASE: below 1
HEAD takes less. Nothing here passes or fails. `--only` takes the rows whose name holds a text.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from commands import Workload, at_start, generated, on_history
from measure import Measured, Ratio, in_turn, machine, table
from workload import MIGRATION

ROOT = Path(__file__).parents[1]
AS_IT_IS = "this checkout"


def commit_of(revision: str) -> str:
    """Return the short name of a commit."""
    words = ["git", "-C", str(ROOT), "rev-parse", "--short", "--verify", f"{revision}^{{commit}}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"there is no commit {revision!r}: {done.stderr.strip()}")
    return done.stdout.strip()


def export(commit: str, folder: Path) -> Path:
    """Write the sources of a commit into a folder, and return where they are to be imported from."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", commit, "src"], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def environment(place: Path) -> dict[str, str]:
    """Return what makes a process import these sources; that nothing is compiled again is what the warm-up is for."""
    return {"PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": ""}


def compare(sides: dict[str, Path], load: Workload, out: Path, runs: int, only: str | None) -> str:
    """Measure two sides, given by name and by the place of their sources; return the table."""
    commands = on_history(load, out) | at_start(load)
    wanted = {name: command for name, command in commands.items() if only is None or only in name}
    if not wanted:
        raise SystemExit(f"no row's name holds {only!r}; there are: {', '.join(commands)}")
    measured = {
        name: [Measured(f"{name} of {side}", command, environment(place)) for side, place in sides.items()]
        for name, command in wanted.items()
    }
    in_turn([one for pair in measured.values() for one in pair], runs)
    rows = []
    for name, (base, head) in measured.items():
        pairs = ((head.wall, base.wall), (head.cpu, base.cpu), (head.memory, base.memory))
        rows.append([f"`{name}`", *(str(Ratio.of(*pair)) for pair in pairs)])
    return table(("what", "wall time", "CPU time", "peak memory"), rows)


def main() -> None:
    """Export both commits, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("head", nargs="?")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workload", type=Path)
    parser.add_argument("--migration", default=MIGRATION)
    parser.add_argument("--only", metavar="TEXT")
    given = parser.parse_args()
    base, head = commit_of(given.base), AS_IT_IS if given.head is None else commit_of(given.head)
    load = Workload(given.workload, given.migration) if given.workload else generated(given.events)
    with tempfile.TemporaryDirectory(prefix="cicsc-compare-") as place:
        folder = Path(place)
        sides = {
            f"{base} (base)": export(base, folder / "base"),
            f"{head} (head)": ROOT / "src" if given.head is None else export(head, folder / "head"),
        }
        print(f"{machine()}.")
        print(f"{load.events}: {load.events.stat().st_size / 1e6:,.1f} MB.")
        print(f"{head} to {base}: medians of {given.runs} ratios, runs in turn (least to most).\n")
        print(compare(sides, load, folder / "out.jsonl", given.runs, given.only))


if __name__ == "__main__":
    main()
