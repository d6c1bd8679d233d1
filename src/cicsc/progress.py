"""How far the work on a history has come, told by who does it to whoever wants to know.

Amounts are noted a batch at a time, never for each event, and nothing is decided by them: reports are the
same whoever listens. Reads no clock and draws nothing; the command line does both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, count, islice
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

from msgspec import Struct

Item = TypeVar("Item")

Phase: TypeAlias = Literal["reading", "folding", "writing", "preflight", "checking", "reading back"]
"""What is done: an input is read and sorted, streams are replayed and compared, outputs are brought to their places.

A live tenant is checked while it is open (`preflight` before a cutover), written while it is paused, and what was
written is read back.
"""

NOTED_EVENTS: Final = 10_000
"""Events after which they are noted; fewer where a batch is smaller."""


class Amount(Struct, frozen=True):
    """Some work: events and streams, bytes of the input as it is stored, bytes written to temporary files."""

    events: int = 0
    streams: int = 0
    bytes_read: int = 0
    temporary_bytes: int = 0


class Progress(Protocol):
    """Who is told; an exception that it raises ends the work."""

    def begin(self, phase: Phase, whole: Amount) -> None:
        """Begin the next phase; `whole` is all that there is to do in it, 0 where that is not known."""

    def note(self, done: Amount) -> None:
        """Add what was done since the last note."""

    def worked(self, peaks: Sequence[int]) -> None:
        """Tell of processes that have worked at once: the largest resident set of each, in bytes."""


class _Silent:
    def begin(self, phase: Phase, whole: Amount) -> None:
        pass

    def note(self, done: Amount) -> None:
        pass

    def worked(self, peaks: Sequence[int]) -> None:
        pass


SILENT: Final[Progress] = _Silent()
"""Nobody wants to know."""


class Relayed(_Silent):
    """Hands notes on, as a worker does to its parent."""

    def __init__(self, tell: Callable[[Amount], None]) -> None:
        self._tell = tell

    def note(self, done: Amount) -> None:
        """Hand on what was done."""
        self._tell(done)


Stream = TypeVar("Stream")


def noted(
    streams: Iterable[tuple[Stream, Iterable[Item]]], progress: Progress, every: int = NOTED_EVENTS
) -> Iterator[tuple[Stream, Iterable[Item]]]:
    """Yield streams with their events as they come, and note those that have passed, after so many events."""
    passed = events = 0
    for key, stream in streams:
        if isinstance(stream, list):
            yield key, stream
            events += len(stream)
        else:
            yield key, _noted_events(stream, progress, every)
        passed += 1
        if events >= every:
            progress.note(Amount(events, passed))
            passed = events = 0
    progress.note(Amount(events, passed))


def _noted_events(events: Iterable[Item], progress: Progress, every: int) -> Iterator[Item]:
    """Yield the events of a large stream; `compress` takes one number for each, so that none is counted here."""
    numbers, before = count(1), 0
    passing = compress(events, numbers)
    for event in passing:
        yield event
        yield from islice(passing, every - 1)
        number = next(numbers)
        progress.note(Amount(number - before - 1))
        before = number
