"""Help comes at once: neither the operations nor rich are loaded for it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from e2e.running import run

HEAVY = ("cicsc.operations", "cicsc.history", "cicsc.expression", "rich", "msgspec", "pyarrow", "duckdb")


def test_help_loads_nothing_heavy() -> None:
    script = f"import sys, cicsc.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stdout == b"[]\n"


def test_help_takes_less_than_three_tenths_of_a_second(tmp_path: Path) -> None:
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        assert run("--help", folder=tmp_path).returncode == 0
        seconds.append(time.perf_counter() - start)

    assert min(seconds) < 0.3
