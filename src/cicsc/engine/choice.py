"""Which engine is to work, and with how many processes; loads nothing that small calls would pay for."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import Struct

from cicsc.errors import UsageError

EngineName = Literal["local", "spark"]


class Engine(Struct, frozen=True):
    """What is to work: so many processes of this machine, or a Spark, on `master` or on what there is."""

    workers: int = 1
    spark: bool = False
    master: str | None = None


def chosen_engine(name: EngineName, *, workers: int | None, spark_master: str | None) -> Engine:
    """Return the engine that a call asks for; raises UsageError where it contradicts itself."""
    if name == "local":
        if spark_master is not None:
            raise UsageError(
                "CONFLICTING_FLAGS",
                f"--spark-master is given ({spark_master!r}), but the engine is not spark",
                hint="add --engine spark",
            )
        return Engine(worker_count(workers))
    if name != "spark":
        raise UsageError("INVALID_VALUE", f"engine is {name!r}, expected local or spark")
    if workers is not None:
        raise UsageError(
            "CONFLICTING_FLAGS",
            "--engine spark and --workers exclude each other",
            hint="--spark-master says how many cores there are, for example local[4]",
        )
    return Engine(spark=True, master=spark_master)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def forks_safely() -> bool:
    """Tell whether this process can be copied as it is: on Linux, while it has one thread only."""
    if not sys.platform.startswith("linux"):
        return False
    with suppress(OSError):
        return sum(1 for _ in Path("/proc/self/task").iterdir()) == 1
    return False


def is_worker() -> bool:
    """Tell whether this process is a worker itself, which may not start others."""
    found = sys.modules.get("multiprocessing")
    return found is not None and bool(found.current_process().daemon)


def peak_rss_bytes() -> int:
    """Return the largest resident set that this process has had, 0 where the system does not tell."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def worker_count(workers: int | None) -> int:
    """Return how many processes are to work: by default one for each core, where processes can be forked.

    Raises UsageError for anything but a whole number from 1.
    """
    if workers is not None and (type(workers) is not int or workers < 1):
        raise UsageError(
            "INVALID_VALUE", f"workers is {workers!r}, expected a whole number from 1", hint="name a number from 1"
        )
    if is_worker():
        return 1
    return workers or (cores() if forks_safely() else 1)
