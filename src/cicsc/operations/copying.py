"""Streams copied as they come, and what is known of them afterwards: all by one process, or each share by its own."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cicsc.canonical import LeafHasher
from cicsc.history.model import known_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cicsc.history.model import Event, StreamKey

_WRITTEN_AT_ONCE: Final = 1_000
"""Events handed to the writer at once."""


class Written(Struct, frozen=True):
    """What was written: its digest, and how many streams each tenant has."""

    digest: str
    streams: Counter[str]


def copy_streams(
    streams: Iterable[tuple[StreamKey, Iterable[Event]]],
    write: Callable[[list[Event]], object],
    add_leaf: Callable[[StreamKey, int, str], object],
) -> Counter[str]:
    """Write streams as they come and add their leaves; return how many each tenant has."""
    found: Counter[str] = Counter()
    for key, stream in streams:
        is_plain = known_plain(stream)
        leaf, events = LeafHasher(), iter(stream)
        while batch := list(islice(events, _WRITTEN_AT_ONCE)):
            write(batch)
            leaf.update_all(batch, is_plain=is_plain)
        add_leaf(key, leaf.count, leaf.hexdigest())
        found[key[0]] += 1
    return found
