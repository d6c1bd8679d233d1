"""A process that cuts the tenant 't' over and stops in the middle, for a test to end it there.

    live_child.py URL LEASE_S STEP DEED

After the step it prints "reached", then does the deed: `wait` for a signal, or take `memory` that it must not have. At the end, if it
comes to one, it prints the report. Signals are handled as the command line does.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cicsc.cli.interrupts import Interrupts
from cicsc.operations.live.cutover import Order, TenantCutover, cut_over
from cicsc.operations.live.run import Timing
from cicsc.store import open_store
from conformance.operations.application import V2

WAIT_S = 60
SPARE_BYTES = 24 * 2**20


def wait() -> None:
    """Do nothing until a signal comes."""
    time.sleep(WAIT_S)


def little_memory() -> None:
    """Allow hardly more memory than is in use now."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + SPARE_BYTES, resource.RLIM_INFINITY))


DEEDS = {"wait": wait, "memory": little_memory}


def followed(step: Callable[..., None], deed: Callable[[], None]) -> Callable[..., None]:
    """A step, and the deed after it."""

    def both(change: TenantCutover) -> None:
        step(change)
        print("reached", flush=True)  # noqa: T201 - the test waits for it
        deed()

    return both


def main() -> None:
    """Cut over, with a deed after one of the steps."""
    url, lease_s, name, deed = sys.argv[1:]
    TenantCutover.steps = tuple(
        followed(step, DEEDS[deed]) if step.__name__ == name else step for step in TenantCutover.steps
    )
    timing = Timing(lease_s=float(lease_s), max_pause_s=60)
    with open_store(url) as store, Interrupts():
        order = Order(target=V2, migration="to_2", operator="child", execute=True, timing=timing)
        report = cut_over(store, "t", order)
    print(report.to_json().decode(), flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main()
