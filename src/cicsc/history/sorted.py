"""A history, read and sorted: the one way in for everything that works on events.

`open_history` reads an input to its end, so that its errors come first and its sums are known;
`SortedHistory.streams` then gives the events by stream. Streams go on to the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from msgspec import UNSET

from cicsc.decoding import WatchingDecoder
from cicsc.durable import require_space
from cicsc.errors import UsageError
from cicsc.history.intake import Intake
from cicsc.history.integrity import FindingsTally
from cicsc.history.merging import MergedStream
from cicsc.history.model import Event, EventList, StreamKey
from cicsc.history.names import require_names
from cicsc.history.opening import open_input
from cicsc.history.runs import Run, decode_records
from cicsc.history.sorting import MEMORY_BYTES_MAX, Sorter
from cicsc.progress import SILENT, Amount, Phase, Progress, noted

_extra: Final = attrgetter("extra")


class Sums(Protocol):
    """What is known of a history when it has been read."""

    @property
    def events_count(self) -> int:
        """How many events are well formed."""
        ...

    @property
    def latest_ts(self) -> int | None:
        """The largest of their ts, if there is one."""
        ...

    @property
    def malformed(self) -> FindingsTally:
        """The findings about all other values."""
        ...


class SortedHistory:
    """The events of a history in order; a context manager, since a large one is kept in temporary files.

    `events_count` counts the events that are well formed, `latest_ts` is the largest of their ts,
    `malformed` are the findings about all other values that were read.
    """

    def __init__(self, sorter: Sorter, sums: Sums, progress: Progress = SILENT) -> None:
        self._sorter = sorter
        self.progress = progress
        self._closed = False
        self.events_count: int = sums.events_count
        self.latest_ts: int | None = sums.latest_ts
        self.malformed: FindingsTally = sums.malformed

    @property
    def size(self) -> int:
        """How many bytes its records take, about."""
        return self._sorter.size

    def spilled(self) -> tuple[tuple[Run, ...], Path]:
        """Bring all of it to the disk; return its runs, and the folder that is removed when this is closed."""
        return self._sorter.runs(), self._sorter.folder()

    def streams(self, phase: Phase = "folding") -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield each stream with its events, by key in code-point order; may be called again, for another phase.

        Events come by seq, equal seqs by canonical bytes. A stream of at most 100,000 events and
        32 MiB is a list; a larger one is read as it is iterated, once, before the next is asked for.
        """
        if self._closed:
            raise ValueError("the history is closed")
        self.progress.begin(phase, Amount(self.events_count))
        yield from noted(decoded_streams(self._sorter.streams()), self.progress)

    def close(self) -> None:
        """Remove the temporary files; the history cannot be read any more."""
        self._closed = True
        self._sorter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def open_history(
    source: str | Path | Iterable[Event | Mapping[str, object]],
    *,
    tenants: frozenset[str] | None = None,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
    temporary_folder: Path | None = None,
    progress: Progress = SILENT,
) -> SortedHistory:
    """Read a history: a path, ``-`` for standard input, or events (or mappings of their fields) from memory.

    With `tenants`, events of others are left out; a malformed event that names no tenant is not.
    `memory_bytes_max` bounds the records in memory, in bytes; the rest goes to `temporary_folder`
    (by default the system's). `progress` is told of the reading, and of the streams as they are taken.
    Raises InputError for what cannot be opened or decoded, and WorkError where temporary files cannot be
    written.
    """
    if isinstance(source, bytes | bytearray | Mapping) or not isinstance(source, str | Path | Iterable):
        raise UsageError(
            "SOURCE_UNKNOWN",
            f"cannot read a history from {type(source).__name__}: expected a path or an iterable of events",
        )
    if tenants is not None:
        require_names(tenants)
    sorter = Sorter(memory_bytes_max, temporary_folder, progress=progress)
    intake = Intake(sorter, tenants, progress)
    size = _size_of(source) if isinstance(source, str | Path) else 0
    try:
        progress.begin("reading", Amount(bytes_read=size))
        if isinstance(source, str | Path):
            with open_input(source, progress) as opened:
                if opened.start is not None and size > memory_bytes_max:
                    require_space(sorter.folder(), size, f"sorting {opened.name}")
                intake.read(opened)
        else:
            intake.read_values(source)
        sorter.finish()
    except BaseException:
        sorter.close()
        raise
    return SortedHistory(sorter, intake, progress)


def _size_of(source: str | Path) -> int:
    """Return the bytes of a file; standard input, a pipe and the like have none that are known."""
    with suppress(OSError):  # which the opening tells
        return Path(source).stat().st_size if Path(source).is_file() else 0
    return 0


def decoded_streams(streams: Iterable[tuple[StreamKey, MergedStream]]) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
    """Yield streams with their events: a list where they are in memory as a whole."""
    decode = WatchingDecoder(Event).decode_lines
    for key, stream in streams:
        if stream.is_whole:
            ((seqs, text),) = stream.pieces
            events, is_plain = decode(text)
            is_intact = seqs == list(range(1, len(seqs) + 1))
            is_plain = is_plain and list(map(_extra, events)).count(UNSET) == len(events)
            yield key, EventList(events, is_plain=is_plain, is_intact=is_intact, records=text)
        else:
            yield key, _decoded_pieces(stream)


def _decoded_pieces(stream: MergedStream) -> Iterator[Event]:
    return (event for _, text in stream.pieces for event in decode_records(text))
