"""The signals that ask a process to end, and when they act."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final

ENDING: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Ctrl-C, a request to end, and a terminal that is gone; those of them that the system has."""


@contextmanager
def blocked() -> Iterator[None]:
    """Let the system keep signals back, so that processes started inside do not get them either, until they want to."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def deferred() -> Iterator[None]:
    """Let a signal act only afterwards; of several the first. Processes started inside get theirs as usual."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    with ExitStack() as stack:
        # One may come while only some handlers are in their places; all of them are put back whatever it raises.
        for number in ENDING:
            if callable(handler := signal.getsignal(number)):
                stack.callback(signal.signal, number, handler)
                signal.signal(number, note)
        try:
            yield
        finally:
            stack.close()
            for number in came[:1]:
                signal.raise_signal(number)


@contextmanager
def closed_in_peace() -> Iterator[ExitStack]:
    """Give a stack that is closed at the end whatever signal comes meanwhile, which acts when that is done."""
    with ExitStack() as stack:  # closes what a signal just before the next lines leaves
        try:
            yield stack
        finally:
            with deferred():
                stack.close()
