"""Calls the product the way an operator does: a process, flags, one JSON object on standard output."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Called:
    """What a command answered."""

    exit_code: int
    report: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.report[name]


def call(verb: str, *flags: object) -> Called:
    """Run one command of `cicsc`; what it prints must be one JSON object whose `ok` agrees with the exit code."""
    command = [sys.executable, "-m", "cicsc", verb, *map(str, flags)]
    finished = subprocess.run(command, capture_output=True, check=False)
    report = json.loads(finished.stdout)
    assert isinstance(report, dict)
    assert report["ok"] is (finished.returncode == 0), finished.stderr.decode()
    return Called(finished.returncode, report)


def example_of(called: Called) -> tuple[object, ...]:
    """The smallest example of a divergence: entity, seq, event type, field, expected and found value."""
    example = called["verify"]["equivalence"]["example"]
    return tuple(example[name] for name in ("entity_id", "seq", "event_type", "field", "expected", "found"))
