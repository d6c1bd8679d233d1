"""The streams of one generation of a tenant, as the operations read them from a store.

A generation is read up to a head that was counted (`HeadStreams`), or whole, as a live tenant's history for the engine
(`TenantHistory`). Which tenants are read, and by how many processes, is decided in `stored`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from cicsc.engine.inprocess import migrate_history
from cicsc.errors import StoreError
from cicsc.history.integrity import FindingsTally
from cicsc.history.model import EventList
from cicsc.history.runs import EVERY_STREAM, KeyRange
from cicsc.progress import noted
from cicsc.report.printable import counted
from cicsc.store.records import Placed

if TYPE_CHECKING:
    from cicsc.engine.leaves import Digests
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.progress import Progress
    from cicsc.store.protocol import TenantReading
    from cicsc.store.records import StoreHead

Item = TypeVar("Item")

TICK_EVENTS: Final = 1_000
"""Events of a live tenant after which they are noted, and its lease is looked at."""

LISTED_EVENTS_MAX: Final = 10_000
"""A stream of at most so many events is given as a list, so that it can be folded again for an example."""


class HeadStreams:
    """The streams of a generation as they were at `head`, or some of them; `seen` counts their events."""

    def __init__(self, reading: TenantReading, head: StoreHead, within: KeyRange = EVERY_STREAM) -> None:
        self._reading = reading
        self._head = head
        self._within = within
        self.seen = 0

    def __iter__(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield each stream to its end."""
        head = self._head
        streams = self._reading.placed_streams(
            head.generation, upto_position=head.position, within=self._within, alone=True
        )
        for key, batches in streams:
            some = gathered(batches)
            if isinstance(some, Placed):
                self.seen += len(some.events)
                yield key, some.events
            else:
                rest = self._counted(some)
                yield key, rest
                for _ in rest:  # what the reader left out counts too
                    pass

    def _counted(self, batches: Iterable[Placed]) -> Iterator[Event]:
        for batch in batches:
            self.seen += len(batch.events)
            yield from batch.events


def require_seen(tenant_id: str, head: StoreHead, seen: int) -> None:
    """Raise StoreError STORE_DAMAGED unless as many events were read as were counted up to `head`."""
    if seen != head.count:
        raise StoreError(
            "STORE_DAMAGED",
            f"cannot read generation {head.generation} of tenant {tenant_id!r}: "
            f"counted {counted(head.count, 'event')} up to position {head.position}, read {seen}",
            hint="something changed the tables beside the fence, or an index is not what its table is; run store-check",
        )


def require_whole(reading: TenantReading, head: StoreHead, seen: int) -> None:
    """Raise StoreError STORE_DAMAGED where fewer or more events were read than are there.

    Where that is not what `head` says, the head has moved, which the switch refuses.
    """
    if seen != head.count:
        require_seen(reading.gate.tenant_id, reading.head(head.generation), seen)


class TenantHistory:
    """One generation of a tenant, by default the active one, as a history for the engine.

    `progress` is told as events pass.
    """

    def __init__(self, reading: TenantReading, progress: Progress, generation: int | None = None) -> None:
        self._reading = reading
        self._progress = progress
        self._generation = generation
        self.malformed = FindingsTally()

    @cached_property
    def latest_ts(self) -> int | None:
        """The largest ts (ms) in it, None where there is no event."""
        return self._reading.latest_ts(self._generation)

    def streams(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield each stream with its events, as `SortedStreams` says."""
        return noted(self._read(), self._progress, TICK_EVENTS)

    def fold(self, plan: Plan, *writers: RowWriter[Any] | None) -> tuple[Verdict, Digests]:
        """Migrate and verify it, as `migrate_history` does."""
        return migrate_history(plan, self, *writers, progress=self._progress)

    def _read(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        for key, events in self._reading.streams(self._generation):
            yield key, listed(events)


def listed(events: Iterable[Event]) -> Iterable[Event]:
    """Return the events as a list where they are few, else as they come."""
    if isinstance(events, list) and len(events) <= LISTED_EVENTS_MAX:
        return events
    coming = iter(events)
    first = list(islice(coming, LISTED_EVENTS_MAX + 1))
    return first if len(first) <= LISTED_EVENTS_MAX else _chained(first, coming)


def gathered(batches: Iterator[Placed]) -> Placed | Iterator[Placed]:
    """Return the events of a stream as one batch where they are few, else the batches as they come."""
    first = next(batches)
    some, count = [first], len(first.events)
    while count <= LISTED_EVENTS_MAX and (batch := next(batches, None)) is not None:
        some.append(batch)
        count += len(batch.events)
    if count > LISTED_EVENTS_MAX:
        return _chained(some, batches)
    if len(some) == 1:
        return first
    is_plain = all(batch.events.is_plain for batch in some)
    records = b"".join(batch.events.records for batch in some) if all(batch.events.records for batch in some) else b""
    events = EventList(chain.from_iterable(batch.events for batch in some), is_plain=is_plain, records=records)
    return Placed([position for batch in some for position in batch.positions], events)


def _chained(first: list[Item], rest: Iterator[Item]) -> Iterator[Item]:
    yield from first
    first.clear()
    yield from rest
