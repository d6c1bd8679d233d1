"""Rows that wait as lines: what the streams of a share are turned into, until those of the shares before are written.

They are made in a worker and handed on in the parent. Nothing but the name of a file crosses the pipe where the
lines are many, and a writer of lines takes them as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from cicsc.engine.parts import Writers
from cicsc.engine.spool import Spool
from cicsc.history.output import event_lines, events_of_lines, position_lines, positions_of_lines
from cicsc.history.rows import LineWriter
from cicsc.progress import Amount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from cicsc.engine.folding import Folded
    from cicsc.engine.parts import Part
    from cicsc.history.model import Event
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.progress import Progress

Row = TypeVar("Row")

_LINES_BYTES: Final = 256 * 1024
"""Bytes that are copied at once, which fit into a processor's cache; a MiB takes twice the time."""


class WaitingRows:
    """The rows that a plan asks for; can be handed to another process where they are made in a folder."""

    def __init__(self, plan: Plan, folder: Path | None = None) -> None:
        self.events = Spool(folder) if plan.migrated else None
        self.positions = Spool(folder) if plan.positions else None

    def writers(self) -> Writers:
        """Return what takes the rows."""
        return Writers(
            None if self.events is None else _Lines(self.events, event_lines),
            None if self.positions is None else _Lines(self.positions, position_lines),
        )

    def hand_on(self, events: RowWriter[Event] | None, positions: RowWriter[PositionRow] | None) -> int:
        """Write the rows, and return how many bytes have waited."""
        return _hand_on(self.events, events, events_of_lines) + _hand_on(self.positions, positions, positions_of_lines)


def handed_on(
    folded: Iterable[Folded[WaitingRows]],
    events: RowWriter[Event] | None,
    positions: RowWriter[PositionRow] | None,
    progress: Progress,
) -> Iterator[Part]:
    """Write the rows of each share as it comes, and yield its part."""
    for share in folded:
        progress.note(Amount(temporary_bytes=share.made.hand_on(events, positions)))
        yield share.part


def _hand_on(lines: Spool | None, writer: RowWriter[Row] | None, rows: Callable[[bytes], list[Row]]) -> int:
    if lines is None or writer is None:
        return 0
    reader = lines.reader()
    while data := reader.read(_LINES_BYTES):
        hand_on_lines(data + reader.readline(), writer, rows)
    lines.close()
    return lines.size


def hand_on_lines(lines: bytes, writer: RowWriter[Row], rows: Callable[[bytes], list[Row]]) -> None:
    """Write rows that come as lines; a writer of other things gets the rows."""
    if isinstance(writer, LineWriter):
        writer.write_lines(lines)
    else:
        writer.write(rows(lines))


class _Lines:
    """Writes rows as lines into a spool."""

    def __init__(self, spool: Spool, encode: Callable[[Iterable[Any]], bytes]) -> None:
        self._spool = spool
        self._encode = encode

    def write(self, rows: Iterable[Any]) -> None:
        """Add rows to the lines."""
        self.write_lines(self._encode(rows))

    def write_lines(self, lines: bytes) -> None:
        """Add lines."""
        self._spool.append(lines)
