"""The commands that are measured, on a workload: from.json, to.json and events.jsonl in a folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import workload

PREFLIGHT = "migration-preflight"
DRY_RUN_OUT = "migration-dry-run --out-events"


@dataclass(frozen=True)
class Workload:
    """A folder with both bundles and a history, and the id of the migration."""

    folder: Path
    migration: str = workload.MIGRATION

    @property
    def events(self) -> Path:
        """The history."""
        return self.folder / "events.jsonl"

    def words(self) -> list[str]:
        """Return the flags that name the migration and the history."""
        bundles = ["--from", f"{self.folder}/from.json", "--to", f"{self.folder}/to.json"]
        return [*bundles, "--migration", self.migration, "--events", str(self.events)]

    def few(self, count: int) -> Workload:
        """Return the same with the first events only."""
        folder = self.folder / f"first-{count}"
        folder.mkdir(exist_ok=True)
        for name in ("from.json", "to.json"):
            (folder / name).write_bytes((self.folder / name).read_bytes())
        with self.events.open() as source:
            (folder / "events.jsonl").write_text("".join(islice(source, count)))
        return Workload(folder, self.migration)


def generated(events_count: int) -> Workload:
    """Return a synthetic workload under build/, made where there is none."""
    folder = Path("build") / f"workload-{events_count}"
    if not (folder / "events.jsonl").exists():
        workload.write(events_count, folder)
    return Workload(folder)


def cicsc(*words: str) -> list[str]:
    """Return the command line of this product under the interpreter that runs the benchmark."""
    return [sys.executable, "-m", "cicsc", *words]


def on_history(load: Workload, out: Path) -> dict[str, list[str]]:
    """Return what reads a whole history, by name; without the number of workers."""
    return {
        "history-verify": cicsc("history-verify", "--events", str(load.events)),
        PREFLIGHT: cicsc("migration-preflight", *load.words()),
        "migration-dry-run": cicsc("migration-dry-run", *load.words()),
        DRY_RUN_OUT: cicsc("migration-dry-run", *load.words(), "--out-events", str(out)),
    }


def at_start(load: Workload) -> dict[str, list[str]]:
    """Return what costs little more than starting, by name."""
    return {
        "cicsc --help": cicsc("--help"),
        "migration-preflight of 10 events": cicsc("migration-preflight", *load.few(10).words()),
    }
