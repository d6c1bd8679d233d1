"""Running `python -m cicsc` as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = (sys.executable, "-m", "cicsc")


def run(
    *words: str, folder: Path, environment: dict[str, str] | None = None, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end, with the output as bytes."""
    env = {**os.environ, **(environment or {})}
    return subprocess.run([*COMMAND, *words], cwd=folder, env=env, input=stdin, capture_output=True, check=False)


def report(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    """The one JSON object on standard output."""
    found = json.loads(done.stdout.decode("utf-8"))
    assert isinstance(found, dict)
    return found


def migration(verb: str, *more: str, target: str = "bundle.v1.json") -> tuple[str, ...]:
    """The words of a call on the files of `shop.lay_out`."""
    files = ("--from", "bundle.v0.json", "--to", target, "--events", "events.v0.json")
    return (verb, *files, "--migration", "v0_to_v1", *more)
