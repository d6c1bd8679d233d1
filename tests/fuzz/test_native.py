"""The native part reads and writes no byte that is not its own, whatever text it is given."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import native

ROUNDS = 2_000
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WARN = ["-std=c11", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wno-sign-conversion", "-Werror"]


@pytest.mark.slow
@pytest.mark.no_cover
def test_sanitizers_find_nothing(checkout: Path, tmp_path: Path) -> None:
    compiler = native.compiler()
    if compiler is None:
        pytest.skip("no C compiler, so the package is pure Python")
    module = tmp_path / "module.so"
    sources = sorted((checkout / "native").glob("*.c"))
    headers = f"-I{sysconfig.get_path('include')}"
    command = [*compiler, *SANITIZE, *WARN, "-fPIC", "-shared", headers, *map(str, sources), "-o", str(module)]
    subprocess.run(command, check=True)
    library = subprocess.run([*compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True)

    hammer = [sys.executable, str(Path(__file__).with_name("hammer_native.py")), str(module), str(ROUNDS)]
    # The interpreter itself leaks at its end, and allocates in a way of its own.
    settings = {"LD_PRELOAD": library.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    done = subprocess.run(hammer, env=os.environ | settings, capture_output=True, text=True, check=False, timeout=600)

    assert done.returncode == 0, done.stderr
    taken, given_back, rows_taken, written = map(int, done.stdout.split())
    assert min(taken, given_back) > ROUNDS
    assert 100 < rows_taken < ROUNDS - 100
    assert 100 < written < 2 * ROUNDS - 100
