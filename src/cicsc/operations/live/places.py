"""The active generation of a tenant, read for a change of it: which event stands where.

A migrated event keeps the position of the event that it was made of, so that the checkpoints of
consumers stay valid; whoever writes it asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Final

from cicsc.history.model import Event, StreamKey
from cicsc.history.runs import EVERY_STREAM, KeyRange
from cicsc.operations.stored_streams import TenantHistory, gathered
from cicsc.progress import Progress
from cicsc.store.protocol import TenantReading
from cicsc.store.records import Placed

_seq_of: Final = attrgetter("seq")


class Places:
    """The positions of the events of the stream at hand, by their seqs.

    Of a stream that came whole they are `in_order` too. Of a longer one it has those
    that were added and not forgotten.
    """

    __slots__ = ("_by_seq", "_whole")

    def __init__(self) -> None:
        self._by_seq: dict[int, int] = {}
        self._whole: Placed | None = None

    def __len__(self) -> int:
        return len(self._by_seq)

    def __getitem__(self, seq: int) -> int:
        if self._whole is not None and not self._by_seq:
            positions, events = self._whole
            self._by_seq.update(zip(map(_seq_of, events), positions, strict=True))
        return self._by_seq[seq]

    @property
    def in_order(self) -> Sequence[int]:
        """The positions of all events, in their order; nothing, where the stream is too long to have come whole."""
        return () if self._whole is None else self._whole.positions

    def enter(self, whole: Placed | None = None) -> None:
        """Go on to the next stream, which is `whole`, or whose events are added as they come."""
        self._whole = whole
        self._by_seq.clear()

    def add(self, seq: int, position: int) -> None:
        """Add an event."""
        self._by_seq[seq] = position

    def forget(self, seq: int) -> None:
        """Forget an event, if it is known."""
        self._by_seq.pop(seq, None)


class PlacedHistory(TenantHistory):
    """The active generation; `places` are those of the stream at hand."""

    def __init__(
        self,
        reading: TenantReading,
        progress: Progress,
        generation: int | None = None,
        upto_position: int | None = None,
        within: KeyRange = EVERY_STREAM,
    ) -> None:
        super().__init__(reading, progress, generation)
        self._wanted = (generation, upto_position, within)
        self.places = Places()

    def _read(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        generation, upto_position, within = self._wanted
        streams = self._reading.placed_streams(generation, upto_position=upto_position, within=within, alone=True)
        for key, batches in streams:
            stream = gathered(batches)
            if isinstance(stream, Placed):
                self.places.enter(stream)
                yield key, stream.events
            else:
                self.places.enter()
                yield key, self._each_placed(stream)

    def _each_placed(self, batches: Iterable[Placed]) -> Iterator[Event]:
        for batch in batches:
            for position, event in batch.pairs():
                self.places.add(event.seq, position)
                yield event
