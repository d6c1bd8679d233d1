"""How far a cutover of tenants has come: the phases of the one under way, or how many are done of several at once.

A line that a tenant leaves behind is printed between the lines that come and go.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cicsc.cli.meter import Meter
from cicsc.progress import Amount, Phase

if TYPE_CHECKING:
    from cicsc.cli.display import Display
    from cicsc.report.figures import Figures

_NAME_CHARACTERS_MAX: Final = 30


class TenantsMeter:
    """Counts what is told of tenants, and shows it; with `at_once` it is only told which begin and which are done."""

    def __init__(
        self,
        show: Callable[[str], Display] | None = None,
        *,
        at_once: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._at_once = at_once
        self._clock = clock
        self._began = clock()
        self._ended: float | None = None
        self._whole = self._done = 0
        self._meter = Meter(clock=clock)
        self._figures: list[Figures] = []
        self._display: Display | None = None

    def begun(self, tenant_id: str, number: int, whole: int) -> None:
        """Take note of a tenant that begins: its number, and of how many."""
        self._whole = whole
        if self._at_once and whole > 1:
            self._count()
            return
        show, label = self._show, _label(tenant_id, number, whole)
        self._meter = Meter(None if show is None else lambda: show(label), self._clock)

    def done(self, say: Callable[[], None]) -> None:
        """Take note of a tenant that is done; `say` prints what stays of it."""
        self._hide()
        self._done += 1
        say()
        if self._at_once and self._whole > 1:
            self._count()

    def begin(self, phase: Phase, whole: Amount) -> None:
        """Begin the next phase of the tenant under way."""
        self._meter.begin(phase, whole)

    def note(self, done: Amount) -> None:
        """Count what was done."""
        self._meter.note(done)

    def worked(self, peaks: Sequence[int]) -> None:
        """Count processes that have worked at once, and their memory."""
        self._meter.worked(peaks)

    def close(self) -> None:
        """Stop the clock, and leave the terminal as it was."""
        self._ended = self._ended or self._clock()
        self._hide()

    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return (self._ended or self._clock()) - self._began

    def line(self, command: str) -> str:
        """Say in one line what it took."""
        tenants = f"{self._done:,} of {self._whole:,} tenants, " if self._whole > 1 else ""
        if not self._figures:
            return f"{tenants}{self.seconds():.1f} s"
        return tenants + _summed(command, self._figures, self.seconds()).line()

    def _count(self) -> None:
        if self._show is None:
            return
        with suppress(Exception):  # whatever keeps it from being shown; the work goes on
            self._display = self._display or self._show("")
            self._display.count(self._done, self._whole, self._clock() - self._began)

    def _hide(self) -> None:
        self._meter.close()
        figures = self._meter.figures("")
        if figures.events:
            self._figures.append(figures)
        self._meter = Meter(clock=self._clock)
        if self._display is not None:
            self._display.close()
            self._display = None


def _label(tenant_id: str, number: int, whole: int) -> str:
    from cicsc.report.printable import shortened, value_text  # noqa: PLC0415 (start-up)

    return "" if whole == 1 else f"{number} of {whole}  {shortened(value_text(tenant_id), _NAME_CHARACTERS_MAX)}  "


def _summed(command: str, figures: Sequence[Figures], seconds: float) -> Figures:
    """Sum up the figures of tenants that went one after the other, in so many seconds."""
    from cicsc.report.figures import Figures, Seconds  # noqa: PLC0415 (start-up)

    events = sum(one.events for one in figures)
    return Figures(
        command=command,
        events=events,
        streams=sum(one.streams for one in figures),
        bytes_read=0,
        temporary_bytes=sum(one.temporary_bytes for one in figures),
        peak_rss_bytes=max(one.peak_rss_bytes for one in figures),
        workers=max(one.workers for one in figures),
        events_per_second=round(events / seconds, 1) if seconds > 0 else 0.0,
        seconds=Seconds(reading=0.0, folding=0.0, writing=0.0, total=round(seconds, 3)),
    )
