"""What every test may ask for: the checkout, the complete real logs, and the profiles of Hypothesis.

Environment:
    CI                 the profile `ci`: more examples, and a failing one is printed in a form that can be replayed
    CICSC_FULL         "1": every test and every example, as `make full` does (see `sizes`)
    CICSC_WRITERS      "full": the writers of tests/concurrency in the full number, as `make writers` does
    CICSC_REAL_LOGS    the folder of the complete real event logs; without it, `shared/data/real` beside the checkout
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from sizes import CI, FULL, size

if TYPE_CHECKING:
    from postgres_server import PostgresServers

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"

settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "ci",
    max_examples=size(100, ci=150, full=500),
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # two busy cores make a sound strategy look slow
)
settings.load_profile("ci" if CI else "dev")

# The Java of a Spark in the tests compiles little and collects garbage in one thread, as it does not live long.
os.environ.setdefault("SPARK_SUBMIT_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")


MEASURED = ("cases", "unit")
"""Folders of tests that cover the core; all others go over covered lines again, and measuring would make them twice as slow."""

ONLY_NEWER = (
    *("concurrency", "conformance/protocol", "conformance/runtime", "crash", "e2e"),
    "postgres/test_stored_sharing",  # the processes share what they have read
)
"""Where the older PostgreSQL waits for the full run: it has passed the suites of the store and of the operations in CI."""

SQLITE_FIRST = (
    *ONLY_NEWER,
    *(
        f"conformance/operations/test_{name}.py"
        for name in ("finalize", "races", "recover", "status", "store_rollback")
    ),
    *(
        f"conformance/store/test_{name}.py"
        for name in ("reading", "run_fence", "run_ownership", "run_tenants", "runs", "sources", "values")
    ),
)
"""Where PostgreSQL counts as slow: it passes the rest of the suites, and tests/postgres, in `make test-fast`."""

LEFT_OUT: dict[str, Any] = {}
"""What is known of the tests that wait for the full run."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the coverage of the core to the tests that say what they cover, and begin with those that take longest."""
    if not FULL:
        left_out = {item for item in items if _waits_for_the_full_run(item)}
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]
        getattr(config, "workeroutput", LEFT_OUT)["left_out"] = len(left_out)
    items.sort(key=_turn)
    for item in items:
        if _waits_for_the_slow_tests(item):
            item.add_marker("slow")
        if not _place(item.path).startswith(MEASURED):
            item.add_marker("no_cover")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """End the measuring that pytest-cov begins in a worker before it knows that it is in one.

    It then begins once more, and what `no_cover` stops is the second only: the first would go on, for nothing.
    """
    measuring = session.config.pluginmanager.getplugin("_cov")
    if hasattr(session.config, "workerinput") and measuring is not None and measuring.cov_controller is not None:
        measuring.cov_controller.cov.stop()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear from a worker how many it has left out; all leave out the same."""
    LEFT_OUT.update(getattr(node, "workeroutput", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much is not run here, which xdist would keep to itself."""
    if LEFT_OUT.get("left_out"):
        terminalreporter.write_line(f"{LEFT_OUT['left_out']} tests are left to `make full`")


@cache
def _place(path: Path) -> str:
    """Where a file of tests stands below their folder."""
    return path.relative_to(CHECKOUT / "tests").as_posix()


def _waits_for_the_full_run(item: pytest.Item) -> bool:
    if item.get_closest_marker("full"):
        return True
    parameters = _parameters(item)
    is_older = "postgres-16" in parameters.values() or parameters.get("server") == "16"
    return is_older and _place(item.path).startswith(ONLY_NEWER)


def _waits_for_the_slow_tests(item: pytest.Item) -> bool:
    """Whether `make check` runs it anyway, or another kind of store shows the same."""
    place = _place(item.path)
    if place.startswith("docs"):
        return True
    return "postgres-18" in _parameters(item).values() and place.startswith(SQLITE_FIRST)


def _parameters(item: pytest.Item) -> dict[str, Any]:
    return item.callspec.params if hasattr(item, "callspec") else {}


def _turn(item: pytest.Item) -> int:
    """Spark comes first, so that one worker has all of it and its Java is started once; the complete logs come next."""
    if "spark" in item.path.stem or str(_parameters(item).get("engine", "")).startswith("spark"):
        return 0
    return 1 if _place(item.path).startswith("real") else 2


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def real_logs() -> Path:
    """The folder of the complete real logs; in CI, a `shared` folder without them is an error, never a skip."""
    named = os.environ.get("CICSC_REAL_LOGS")
    folder = Path(named) if named else SHARED / "data" / "real"
    if folder.is_dir():
        return folder
    if named:
        pytest.fail(f"CICSC_REAL_LOGS names {named!r}, which is not a folder")
    if os.environ.get("CI") and SHARED.is_dir():
        pytest.fail(f"the complete real logs are missing: {folder} is not a folder")
    pytest.skip("the complete real logs are not here; CICSC_REAL_LOGS can name their folder")


@pytest.fixture(scope="session")
def postgres_servers() -> Iterator[PostgresServers]:
    """Real PostgreSQL servers, each started when it is first asked for, all stopped at the end."""
    from postgres_server import PostgresServers  # noqa: PLC0415 - only tests that need a server load the driver

    with PostgresServers() as servers:
        yield servers
