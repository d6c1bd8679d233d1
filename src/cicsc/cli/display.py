"""The lines that show on a terminal how far work has come, one for each phase; gone when it is over.

Nothing runs beside the work: a thread would keep worker processes from being forked, so lines are drawn
when something is told, and only then. A terminal that takes nothing (Ctrl-S, or nobody reads it) is not waited for:
the lease of a live tenant is renewed by the very thread that draws.
"""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from cicsc.report.printable import counted

if TYPE_CHECKING:
    from cicsc.progress import Amount, Phase

_BAR_COLUMNS: Final = 20
_CURSOR_SHOWN: Final = "\x1b[?25h"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600


class Display:
    """Lines on standard error, which is a terminal; `label` stands before each."""

    def __init__(self, label: str = "") -> None:
        self._label = label
        self._lines = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(_BAR_COLUMNS),
            TextColumn("{task.fields[told]}", markup=False),
            console=Console(file=sys.stderr, markup=False, highlight=False, emoji=False),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._is_shown = False
        self._name: str | None = None
        self._line = TaskID(0)

    def update(self, phase: Phase, done: Amount, whole: Amount, seconds: float) -> None:
        """Show how far a phase has come in so many seconds; the line of the phase before stays as it is."""
        share = _share(done, whole)
        self._draw(phase, share, told(done, share, seconds))

    def count(self, done: int, whole: int, seconds: float) -> None:
        """Show how many tenants are done in so many seconds."""
        left = f"  {duration(seconds * (whole - done) / done)} left" if done else ""
        self._draw("tenants", done / whole, f"{done} of {whole}{left}")

    def _draw(self, name: str, share: float | None, text: str) -> None:
        if not takes_more():
            return
        self._is_shown = True
        self._lines.start()  # once; whoever made this object can close it by now
        if name != self._name:
            if self._name is not None:
                self._lines.update(self._line, completed=1, total=1)
            self._name, self._line = name, self._lines.add_task(f"{self._label}{name:8}", total=None, told="")
        self._lines.update(self._line, completed=share or 0, total=None if share is None else 1, told=text)
        self._lines.refresh()

    def close(self) -> None:
        """Remove the lines and show the cursor again."""
        with suppress(Exception):  # an interrupt in the midst of drawing leaves them half begun
            self._lines.stop()
        if self._is_shown:
            with suppress(OSError):
                sys.stderr.write(_CURSOR_SHOWN)
                sys.stderr.flush()


def takes_more() -> bool:
    """Tell whether standard error takes more without being waited for."""
    return bool(select.select([], [sys.stderr], [], 0)[1])


def _share(done: Amount, whole: Amount) -> float | None:
    """Return which part of a phase is done, where it is known."""
    if whole.bytes_read and done.bytes_read:
        return min(1.0, done.bytes_read / whole.bytes_read)
    return min(1.0, done.events / whole.events) if whole.events else None


def told(done: Amount, share: float | None, seconds: float) -> str:
    """Say how much is done, how fast, and how long the rest of the phase takes at that rate."""
    if share is None and not done.events:
        return ""
    parts = [] if share is None else [f"{share:4.0%}"]
    parts.append(counted(done.events, "event"))
    if done.streams:
        parts.append(counted(done.streams, "stream"))
    if seconds > 0:
        parts.append(f"{done.events / seconds:,.0f}/s")
        if share:
            parts.append(f"{duration(seconds * (1 - share) / share)} left")
    return "  ".join(parts)


def duration(seconds: float) -> str:
    """Write a duration as people do: 59 s, 1:05 min, 2:03 h."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    minutes = whole // _MINUTE_S
    if whole < _HOUR_S:
        return f"{minutes}:{whole % _MINUTE_S:02} min"
    return f"{whole // _HOUR_S}:{minutes % _MINUTE_S:02} h"
