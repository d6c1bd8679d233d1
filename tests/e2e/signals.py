"""Signals that the caller of the tests ignores (nohup, a background job) would be ignored by what they start, too."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
EACH_ENDING = [
    signal.SIGINT,
    pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
    pytest.param(signal.SIGHUP, marks=(pytest.mark.slow, pytest.mark.full)),
]
"""Each of them, as parameters of a test that takes its time: one is enough for `make test-fast`, and two for CI."""


@contextmanager
def heeded() -> Iterator[None]:
    """Ignore none of the signals that ask a process to end."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
