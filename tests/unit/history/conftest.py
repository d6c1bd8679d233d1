"""What is said of reading and sorting holds with the native part and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import native
from cicsc.history import inflate

BOTH_WAYS = ("test_array", "test_ranges", "test_reading", "test_sorting")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in BOTH_WAYS:
        metafunc.parametrize("way", native.WAYS, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(request, "param"):
            native.go(request.param, patch)
        yield


@pytest.fixture(params=[1, 7, 64, 1024 * 1024])
def chunk_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read in pieces so small that everything is torn, and in pieces as they are."""
    monkeypatch.setattr("cicsc.history.opening.CHUNK_BYTES", request.param)
    monkeypatch.setattr(inflate, "CHUNK_BYTES", request.param)
    monkeypatch.setattr(inflate, "_ZSTD_FEED_BYTES", request.param)
