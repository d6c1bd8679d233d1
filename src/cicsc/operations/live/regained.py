"""What a rollback regains: written beside the history, and held against what was there when the tenant was cut over.

Events keep their positions from one generation to the next, so those of before are told from those that
were written since; their digest stands in the journal. A structural inverse gives them back by its nature,
a declared one only if its author left nothing out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cicsc.canonical import LeafHasher, RootHasher
from cicsc.report.printable import counted

if TYPE_CHECKING:
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import RowWriter
    from cicsc.operations.live.places import PlacedHistory
    from cicsc.operations.live.staging import Staging
    from cicsc.store.records import Run


class Regained:
    """Takes regained events in stream order, each while its stream is at hand, and hands them on to `follow`."""

    def __init__(self, history: PlacedHistory, origin: Run, follow: RowWriter[Event] | None) -> None:
        self._history = history
        self._origin = origin
        self._follow = follow
        self._root = RootHasher()
        self._key: StreamKey | None = None
        self._leaf = LeafHasher()
        self._count = 0

    def write(self, events: Iterable[Event]) -> None:
        """Take the next regained events."""
        taken = list(events)
        for event in taken:
            if self._position_of(event) <= self._origin.head_position:
                self._take(event)
        if self._follow is not None:
            self._follow.write(taken)

    def obstacles(self, *, is_refused: bool) -> list[str]:
        """Name what differs, once all events were taken.

        Where something else is in the way (`is_refused`), it may have kept some from being regained.
        """
        self._end_stream()
        count, expected, found = self._origin.head_count, self._origin.head_digest, self._root.hexdigest()
        before = f"the {counted(count or 0, 'event')} of before the cutover"
        if self._count != count:
            # Who writes by plain SQL can choose a position that was left out: then nobody knows which are of before.
            what = f"the inverse cannot be held against {before}"
            return [] if is_refused else [f"{what}: found {self._count} at their positions"]
        if found == expected:
            return []
        return [f"the inverse does not give back {before}: expected digest {expected}, found {found}"]

    def _position_of(self, event: Event) -> int:
        places = self._history.places
        position = places[event.seq]
        if self._follow is None:  # nothing is staged, which would need it; and a stream may be of any length
            places.forget(event.seq)
        return position

    def _take(self, event: Event) -> None:
        key = (event.tenant_id, event.entity_type, event.entity_id)
        if key != self._key:
            self._end_stream()
            self._key = key
        self._leaf.update(event)
        self._count += 1

    def _end_stream(self) -> None:
        if self._key is not None:
            self._root.update(self._key, self._leaf.count, self._leaf.hexdigest())
        self._key, self._leaf = None, LeafHasher()


class Undone:
    """Writes regained events, each at the place of the event that it was; stops where a seq is missing."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._last: tuple[str, str, int] = ("", "", 0)
        self._is_whole = True

    def write(self, events: Iterable[Event]) -> None:
        """Take the next regained events."""
        whole = [event for event in events if self._follows(event)]
        self._staging.events.write(whole)
        self._staging.positions.write(
            (event.tenant_id, event.entity_type, event.entity_id, event.seq, event.seq) for event in whole
        )

    def _follows(self, event: Event) -> bool:
        """Tell whether all events before were regained too; if not, the rollback is refused anyway."""
        entity_type, entity_id, seq = self._last
        expected = seq + 1 if (entity_type, entity_id) == (event.entity_type, event.entity_id) else 1
        self._is_whole = self._is_whole and event.seq == expected
        self._last = (event.entity_type, event.entity_id, event.seq)
        return self._is_whole
