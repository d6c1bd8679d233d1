"""Any order of operators, writers, crashes and clocks, on each kind of store.

What happened is printed: how often each rule ended how (`pytest -rP` shows it). That each can fire is shown in `test_walks.py`.

Environment:
    CICSC_PROTOCOL_EXAMPLES    how many examples the long run takes for each kind of store, if not those of `sizes`
"""

from __future__ import annotations

import os
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from conformance.protocol.machine import Protocol
from sizes import size

FEW = size(3, ci=6, full=6)
MANY = int(os.environ.get("CICSC_PROTOCOL_EXAMPLES", size(20, ci=20, full=2_000)))
STEPS = 60


def explore(machine: type[Protocol], examples: int) -> None:
    """Run examples, and tell what happened in them."""
    chosen = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=chosen)
    finally:
        sys.stdout.write(table(machine.tally))


def table(tally: Counter[tuple[str, str]]) -> str:
    """How often each rule ended how, a line per rule."""
    lines = []
    for name in sorted({name for name, _ in tally}):
        outcomes = sorted((outcome, count) for (found, outcome), count in tally.items() if found == name)
        lines.append(f"{name:28} " + ", ".join(f"{outcome} {count}" for outcome, count in outcomes))
    return "\n".join(["", *lines, f"{sum(tally.values())} actions", ""])


def test_protocol_holds_in_any_order(machine: type[Protocol]) -> None:
    explore(machine, FEW)


@pytest.mark.slow
def test_protocol_holds_in_many_orders(machine: type[Protocol]) -> None:
    explore(machine, MANY)
