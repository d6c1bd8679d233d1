"""Signals: the first raises, later ones wait until everything is put away."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from cicsc.cli.interrupts import Interrupted, Interrupts
from e2e.signals import ENDING, heeded


@pytest.fixture(autouse=True)
def signals_heeded() -> Iterator[None]:
    with heeded():
        yield


@pytest.mark.parametrize("number", ENDING)
def test_first_signal_raises_and_later_ones_are_ignored(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)

    assert interrupts.received == number
    assert signal.getsignal(number) == before


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.received is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_release_gives_signals_back_to_the_system() -> None:
    with Interrupts() as interrupts:
        interrupts.release()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_threads_leave_signals_alone() -> None:
    found = []

    def look() -> None:
        with Interrupts():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()

    assert found == [before]
