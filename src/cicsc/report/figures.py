"""What a command has gone through and what that took: beside its report, which knows no clock."""

from __future__ import annotations

from cicsc.report.models import Report
from cicsc.report.printable import counted

_MIB = 1024 * 1024


class Seconds(Report, frozen=True, kw_only=True, omit_defaults=False):
    """Wall seconds, by phase and in all; a phase that a command does not have takes none."""

    reading: float
    folding: float
    writing: float
    total: float


class Figures(Report, frozen=True, kw_only=True, omit_defaults=False):
    """The figures of one call.

    `events` and `streams` count the history once, however often it was gone through. `bytes_read` are those
    of the file as it is stored, `temporary_bytes` those of events that were sorted and of rows that waited in temporary
    files; what digests, queries and a Parquet output keep there is not counted. `peak_rss_bytes` is the largest
    resident set of this process and of the workers beside it together, shared pages counted in each.
    """

    command: str
    events: int
    streams: int
    bytes_read: int
    temporary_bytes: int
    peak_rss_bytes: int
    workers: int
    events_per_second: float
    seconds: Seconds

    def line(self) -> str:
        """Say it in one line for people."""
        parts = [
            counted(self.events, "event"),
            counted(self.streams, "stream"),
            f"{self.seconds.total:.1f} s",
            f"{self.events_per_second:,.0f} events/s",
        ]
        if self.peak_rss_bytes:
            parts.append(f"{self.peak_rss_bytes / _MIB:,.0f} MiB at most")
        if self.workers > 1:
            parts.append(f"{self.workers} workers")
        return ", ".join(parts)
