"""The quick way through a stream in memory, where nothing can be found that would have to be told.

It comes to the same as the way of `stream`, which is written for every stream and is taken where this one gives up.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from cicsc.history.model import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cicsc.history.model import StreamKey
    from cicsc.migration.plan import Emitted, Step
    from cicsc.replay.fold import Fold


class Passed(NamedTuple):
    """A stream that has passed: the events made, if they are wanted, and how many there were after each event."""

    made: list[Event] | None
    counts: list[int]

    @property
    def seq(self) -> int:
        """The seq of the last event made; 0 where there is none."""
        return self.counts[-1] if self.counts else 0


def pass_quickly(
    steps: Mapping[str, Step], key: StreamKey, events: list[Event], folds: tuple[Fold, Fold], *, makes: bool
) -> Passed | None:
    """Fold events, whose seqs are 1, 2, 3 and so on, and what they become, with the folds of both sides.

    None where an event has no step, or fans out to nothing; the folds are of no use then.
    """
    before, after = folds
    source, source_attrs, source_shadows = before.state, before.attrs, before.shadows
    target, target_attrs, target_shadows = after.state, after.attrs, after.shadows
    made: list[Event] | None = [] if makes else None
    counts: list[int] = []
    seq = 0
    event = None
    for number, event in enumerate(events, 1):
        step = steps.get(event.event_type)
        if step is None:
            return None
        reduce_source, map_payload, event_type, reduce_target, is_kept, several = step
        payload = event.payload
        source = reduce_source(source, source_attrs, source_shadows, payload, event)
        if reduce_target is not None:
            if map_payload is not None:
                payload = map_payload(payload, event)
            target = reduce_target(target, target_attrs, target_shadows, payload, event)
            seq += 1
            if made is not None:
                if is_kept and seq == number:
                    made.append(event)
                else:
                    made.append(Event(*key, seq, event_type, payload, event.ts, event.actor_id, event.extra))
        elif several:
            after.state = target
            found = _fan_out(several, event, after, key, seq, made)
            if found == seq:
                return None
            target, seq = after.state, found
        counts.append(seq)
    before.state, before.updated_ts = source, None if event is None else event.ts
    after.state, after.updated_ts = target, events[bisect_left(counts, seq)].ts if seq else None
    return Passed(made, counts)


def _fan_out(
    several: tuple[Emitted, ...], event: Event, fold: Fold, key: StreamKey, seq: int, made: list[Event] | None
) -> int:
    """Fold, and make, what an event fans out to; return the seq of the last."""
    given = event.payload
    for condition, map_payload, event_type, reduce in several:
        if condition is None or condition(given, event):
            payload = given if map_payload is None else map_payload(given, event)
            fold.state = reduce(fold.state, fold.attrs, fold.shadows, payload, event)
            seq += 1
            if made is not None:
                made.append(Event(*key, seq, event_type, payload, event.ts, event.actor_id, event.extra))
    return seq
