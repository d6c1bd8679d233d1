"""What every test may ask for: the checkout, the complete real logs, and the profiles of Hypothesis.

Environment:
    CI                 the profile `ci`: more examples, and a failing one is printed in a form that can be replayed
    CICSC_WRITERS      "full": the writers of tests/concurrency in the full number, as `make writers` does
    CICSC_REAL_LOGS    the folder of the complete real event logs; without it, `shared/data/real` beside the checkout
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from postgres_server import PostgresServers

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"

settings.register_profile("dev", max_examples=100, deadline=None)
settings.register_profile(
    "ci",
    max_examples=500,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # two busy cores make a sound strategy look slow
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


UNMEASURED = ("concurrency", "conformance", "crash", "fuzz", "postgres", "properties")
"""Folders of tests that go over covered lines many thousand times; measuring coverage would make them three times as slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the coverage of the core to the tests that say what they cover, and begin with those that take longest."""
    items.sort(key=lambda item: item.path.relative_to(CHECKOUT / "tests").parts[0] != "real")
    for item in items:
        if item.path.relative_to(CHECKOUT / "tests").parts[0] in UNMEASURED:
            item.add_marker("no_cover")


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
