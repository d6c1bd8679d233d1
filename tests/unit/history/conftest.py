"""What is said of reading and sorting holds with the native part and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import native

BOTH_WAYS = ("test_ranges", "test_reading", "test_sorting")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in BOTH_WAYS:
        metafunc.parametrize("way", native.WAYS, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(request, "param"):
            native.go(request.param, patch)
        yield
