"""Ctrl-C, and the signals that ask a process to end: one way out, on which everything is put away.

The first signal raises `Interrupted`, and whatever is open is closed and removed on the way up.
Further signals are ignored until that is done, so that an impatient second Ctrl-C leaves no
temporary file. From `release` on, when only the report is left to print, signals act as usual.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from cicsc.signals import ENDING


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""


class Interrupts:
    """A context in which signals raise `Interrupted`; `received` is the number of the signal that came, if any."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals, except those that the caller has chosen to ignore (nohup, a background job)."""
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._raise)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        self.received = number
        self._set(signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    def release(self) -> None:
        """Let signals end the process at once: the work is over."""
        self._set(signal.SIG_DFL)

    def _set(self, action: signal.Handlers) -> None:
        for number in self._before:
            signal.signal(number, action)
