"""How far a command has come: measured here, with the clock, shown on a terminal and summed up as figures.

Operations tell a `Meter`, which is their `cicsc.progress.Progress`. What is shown is a courtesy, and what cannot be
shown hinders nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from cicsc.engine.choice import peak_rss_bytes
from cicsc.progress import Amount, Phase

if TYPE_CHECKING:
    from cicsc.cli.display import Display
    from cicsc.report.figures import Figures

SHOWN_AFTER_S: Final = 1.0
"""Work that takes less is not worth a display."""

REDRAW_S: Final = 0.25


class Meter:
    """Counts and times the phases that it is told of; `show` makes what shows them, once that is worth it."""

    def __init__(self, show: Callable[[], Display] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._show = show
        self._clock = clock
        self._began = self._phase_began = clock()
        self._ended: float | None = None
        self._next_look = self._began + SHOWN_AFTER_S
        self._display: Display | None = None
        self._phase: Phase | None = None
        self._whole = self._done = Amount()
        self._most = Amount()
        self._seconds: dict[Phase, float] = {}
        self._workers = 1
        self._peak_workers = 0

    def begin(self, phase: Phase, whole: Amount) -> None:
        """Begin the next phase, of which `whole` is all."""
        now = self._clock()
        self._look(now)  # the line of the phase that ends shows all of it
        self._end_phase(now)
        self._phase, self._phase_began, self._whole = phase, now, whole
        self._look(now)

    def note(self, done: Amount) -> None:
        """Count what was done, and show it when the last time is long enough ago."""
        before = self._done
        self._done = Amount(
            before.events + done.events,
            before.streams + done.streams,
            before.bytes_read + done.bytes_read,
            before.temporary_bytes + done.temporary_bytes,
        )
        now = self._clock()
        if now >= self._next_look:
            self._look(now)

    def worked(self, peaks: Sequence[int]) -> None:
        """Count processes that have worked at once, and their memory."""
        self._workers = max(self._workers, len(peaks))
        self._peak_workers = max(self._peak_workers, sum(peaks))

    def close(self) -> None:
        """Stop the clock, and leave the terminal as it was."""
        if self._ended is None:
            self._ended = self._clock()
            self._end_phase(self._ended)
        self._hide()

    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return (self._clock() if self._ended is None else self._ended) - self._began

    def figures(self, command: str) -> Figures:
        """Return what was measured until the end."""
        from cicsc.report.figures import Figures, Seconds  # noqa: PLC0415 (start-up)

        total = self.seconds()
        seconds = {phase: round(self._seconds.get(phase, 0.0), 3) for phase in ("reading", "folding", "writing")}
        return Figures(
            command=command,
            events=self._most.events,
            streams=self._most.streams,
            bytes_read=self._most.bytes_read,
            temporary_bytes=self._most.temporary_bytes,
            peak_rss_bytes=peak_rss_bytes() + self._peak_workers,
            workers=self._workers,
            events_per_second=round(self._most.events / total, 1) if total > 0 else 0.0,
            seconds=Seconds(**seconds, total=round(total, 3)),
        )

    def _end_phase(self, now: float) -> None:
        """Keep the most of what phases have counted, since each goes through the same history; files add up."""
        if self._phase is not None:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._phase_began
        most, done = self._most, self._done
        self._most = Amount(
            max(most.events, done.events),
            max(most.streams, done.streams),
            max(most.bytes_read, done.bytes_read),
            most.temporary_bytes + done.temporary_bytes,
        )
        self._done = Amount()

    def _look(self, now: float) -> None:
        if self._show is None or self._phase is None or now - self._began < SHOWN_AFTER_S:
            return
        self._next_look = now + REDRAW_S
        try:
            if self._display is None:
                self._display = self._show()
            self._display.update(self._phase, self._done, self._whole, now - self._phase_began)
        except Exception:  # noqa: BLE001 (whatever keeps it from being shown; the work goes on)
            self._show = None  # what is shown goes at the end: a terminal that fails may have to be waited for

    def _hide(self) -> None:
        self._show = None
        if self._display is not None:
            self._display.close()
            self._display = None
