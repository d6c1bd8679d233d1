"""Adding events to the leaf of their stream: from their records, where these are at hand, without encoding again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.history.model import EventList
from cicsc.history.native import native_part

if TYPE_CHECKING:
    from cicsc.canonical import LeafHasher
    from cicsc.history.model import Event


def add_to_leaf(leaf: LeafHasher, events: list[Event]) -> None:
    """Add the next events of a stream to its leaf."""
    if not isinstance(events, EventList):
        leaf.update_all(events)
        return
    native = native_part() if events.records else None
    lines = None if native is None else native.canonical_lines(events.records)
    if lines is None:
        leaf.update_all(events, is_plain=events.is_plain)
    else:
        leaf.update_lines(lines, len(events))
