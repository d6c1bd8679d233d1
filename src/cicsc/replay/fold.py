"""Folding a stream with the compiled reducers of one bundle, step by step or to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.replay.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cicsc.history.model import Event, StreamKey
    from cicsc.replay.reducers import Reducer, TypeProgram


class Fold:
    """The running fold of one stream: apply events in seq order, then read state, attrs and shadows.

    `program` is None where the bundle does not know the entity type: nothing can be applied, and the
    state is "". With `start` the fold goes on from a snapshot of the stream, which stays as it is.
    """

    __slots__ = ("_reducers", "attrs", "shadows", "state", "updated_ts")

    def __init__(self, program: TypeProgram | None, start: Snapshot | None = None) -> None:
        self._reducers: Mapping[str, Reducer] = {} if program is None else program.reducers
        self.state = "" if program is None else program.initial_state
        self.attrs: dict[str, object] = {}
        self.shadows: dict[str, object] = {}
        self.updated_ts: int | None = None
        if start is not None:
            self.state, self.updated_ts = start.state, start.updated_ts
            self.attrs, self.shadows = dict(start.attrs), dict(start.shadows)

    def apply(self, event_type: str, payload: dict[str, object], event: Event) -> bool:
        """Apply an event of the given type and payload; tell whether the bundle has a reducer for it.

        `event` gives time and actor; where it was migrated, its own type and payload are another's.
        """
        reducer = self._reducers.get(event_type)
        if reducer is None:
            return False
        self.state = reducer(self.state, self.attrs, self.shadows, payload, event)
        self.updated_ts = event.ts
        return True

    def content(self) -> dict[str, object]:
        """Return a copy of state, attributes and shadows, for a report."""
        return {"state": self.state, "attrs": dict(self.attrs), "shadows": dict(self.shadows)}

    def snapshot(self, key: StreamKey, last_seq: int) -> Snapshot:
        """Return what the stream has folded to, as of its event `last_seq`."""
        return Snapshot(*key, self.state, dict(self.attrs), dict(self.shadows), self.updated_ts, last_seq)


def replay_steps(
    program: TypeProgram | None, key: StreamKey, events: Iterable[Event]
) -> Iterator[tuple[Event, bool, Snapshot]]:
    """Yield, for every event, the event, whether it had a reducer, and the snapshot after it."""
    fold = Fold(program)
    for event in events:
        known = fold.apply(event.event_type, event.payload, event)
        yield event, known, fold.snapshot(key, event.seq)
