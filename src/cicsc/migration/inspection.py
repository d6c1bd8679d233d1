"""Looking at a stream by itself, where no bundle is there to judge it: is it intact, and what is its digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.canonical import LeafHasher
from cicsc.history.integrity import checked_sequence, is_intact
from cicsc.history.leaves import add_to_leaf

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cicsc.history.model import Event, StreamKey
    from cicsc.migration.verdict import StreamSink, Verdict


def inspect_stream(
    key: StreamKey, events: Iterable[Event], verdict: Verdict, sink: StreamSink, *, digests: bool
) -> None:
    """Add to the verdict what can be said of a stream without a bundle; hand on its leaf, with `digests`."""
    findings = verdict.integrity.total
    leaf = LeafHasher()
    count = 0
    if isinstance(events, list) and is_intact(events):
        count = len(events)
        if digests:
            add_to_leaf(leaf, events)
    else:
        for event in checked_sequence(key, events, verdict.integrity):
            count += 1
            if digests:
                leaf.update(event)
    verdict.source_events += count
    if digests:
        sink.leaf("given", key, leaf.count, leaf.hexdigest())
    if verdict.integrity.total > findings:
        verdict.broken_streams += 1
        return
    verdict.source.events += count
    verdict.source.entities += 1
