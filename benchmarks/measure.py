"""Measuring commands as whole processes, in turn, and writing what was found as tables for the documents."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import platform
import re
import statistics
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

_SAMPLE_S = 0.1


@dataclass
class Measured:
    """One command with what its runs took: wall seconds, CPU seconds, peak memory in MiB.

    `environment` is what its process has beside that of this one. Only wall seconds count for one that is not
    `watched`: the Java of a Spark is never waited for, so the system does not add up what it used, and its
    workers are children of that.
    """

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    watched: bool = True
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def run(self) -> None:
        """Run the command once and note what it took, its worker processes included."""
        start = time.perf_counter()
        environment = {**os.environ, **self.environment}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has its bytecode
        process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, env=environment)
        with TreeMemory(process.pid) as memory:
            _, status, used = os.wait4(process.pid, 0)
        self.wall.append(time.perf_counter() - start)
        self.cpu.append(used.ru_utime + used.ru_stime)
        alone = used.ru_maxrss / 1024
        self.memory.append(max(memory.peak, alone) if memory.processes == 1 else memory.peak or alone)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise SystemExit(f"{self.name} exited with {process.returncode}: {' '.join(self.command)}")

    def forget(self) -> None:
        """Let what was noted so far not count."""
        for values in (self.wall, self.cpu, self.memory):
            values.clear()


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


def in_turn(measured: Sequence[Measured], runs: int) -> None:
    """Run the commands in turn; the first round warms up and does not count."""
    for one in measured:
        one.run()
        one.forget()
    for _ in range(runs):
        for one in measured:
            one.run()


@dataclass(frozen=True)
class Ratio:
    """A ratio that was taken once in each round: its smallest, median and largest value."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, over: Iterable[float], under: Iterable[float]) -> Self:
        """Divide round by round."""
        found = [a / b for a, b in zip(over, under, strict=True)]
        return cls(min(found), statistics.median(found), max(found))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


@dataclass(frozen=True)
class Target:
    """What a ratio must be and what it should be: at most, or with `at_least` the other way round."""

    must: float
    aim: float | None = None
    at_least: bool = False

    def judged(self, value: float) -> str:
        """Say the target, and how the value stands to it."""
        word = "at least" if self.at_least else "at most"
        aim = "" if self.aim is None else f", aim {self.aim:g}"
        met = value >= self.must if self.at_least else value <= self.must
        return f"{word} {self.must:g}{aim}: {'met' if met else '**not met**'}"


def machine() -> str:
    """Say when and where this was measured, and how busy the machine was."""
    model = "unknown processor"
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        model = found[1] if found else model
    cores = len(os.sched_getaffinity(0))
    today = dt.datetime.now(dt.UTC).date()
    return (
        f"{today}, {platform.system()}, {cores} cores ({model}), CPython {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f} when it began"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown; all columns but the first and the last hold numbers."""
    marks = ["---", *["---:"] * (len(heads) - 2), "---"]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, marks, *rows)) + "\n"


def median_row(one: Measured, yardstick: Measured, target: Target | None = None) -> list[str]:
    """Return a row of medians, with the ratio of wall times to the yardstick."""
    ratio = Ratio.of(one.wall, yardstick.wall)
    cpu, memory = f"{statistics.median(one.cpu):.2f}", f"{statistics.median(one.memory):.0f}"
    return [
        one.name,
        f"{statistics.median(one.wall):.2f}",
        *((cpu, memory) if one.watched else ("", "")),
        "1" if one is yardstick else str(ratio),
        "" if target is None else target.judged(ratio.median),
    ]


HEADS = ("what", "wall s", "CPU s", "peak MiB", "ratio (least to most)", "target")
