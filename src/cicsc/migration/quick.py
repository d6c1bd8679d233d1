"""The quick way through a stream in memory, where nothing can be found that would have to be told.

It comes to the same as the way of `stream`, which is written for every stream and is taken where this one gives up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cicsc.history.model import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cicsc.history.model import StreamKey
    from cicsc.migration.plan import Step
    from cicsc.replay.fold import Fold


class Passed(NamedTuple):
    """A stream that has passed: the seq of the last event made, these events, and old seqs with new ones, if wanted.

    An old seq comes once for each event that was made of it; with None where there is none.
    """

    seq: int
    made: list[Event] | None
    seqs: list[tuple[int, int | None]] | None


def pass_quickly(
    steps: Mapping[str, Step],
    key: StreamKey,
    events: list[Event],
    folds: tuple[Fold, Fold],
    *,
    makes: bool,
    positions: bool,
) -> Passed | None:
    """Fold events, whose seqs are 1, 2, 3 and so on, and what they become, with the folds of both sides.

    None where an event has no step or becomes nothing although it fans out; the folds are of no use then.
    """
    before, after = folds
    source, source_attrs, source_shadows = before.state, before.attrs, before.shadows
    target, target_attrs, target_shadows = after.state, after.attrs, after.shadows
    made: list[Event] | None = [] if makes else None
    seqs: list[tuple[int, int | None]] | None = [] if positions else None
    seq = 0
    last = event = None
    for number, event in enumerate(events, 1):
        step = steps.get(event.event_type)
        if step is None:
            return None
        reduce_source, map_payload, event_type, reduce_target, is_kept = step
        payload = event.payload
        source = reduce_source(source, source_attrs, source_shadows, payload, event)
        if reduce_target is None:
            if seqs is not None:
                seqs.append((number, None))
            continue
        if map_payload is not None:
            payload = map_payload(payload, event)
        target = reduce_target(target, target_attrs, target_shadows, payload, event)
        seq += 1
        last = event
        if seqs is not None:
            seqs.append((number, seq))
        if made is None:
            continue
        made.append(
            event
            if is_kept and seq == number
            else Event(*key, seq, event_type, payload, event.ts, event.actor_id, event.extra)
        )
    before.state, before.updated_ts = source, None if event is None else event.ts
    after.state, after.updated_ts = target, None if last is None else last.ts
    return Passed(seq, made, seqs)
