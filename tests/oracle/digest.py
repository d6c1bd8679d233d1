"""The digest of a history: a leaf per stream, a root over the leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from oracle.values import canonical

FIELDS = ("tenant_id", "entity_type", "entity_id", "seq", "event_type", "payload", "ts", "actor_id")

Event = Mapping[str, Any]
Key = tuple[str, str, str]


def stream_key(event: Event) -> Key:
    """Which stream an event belongs to."""
    return (str(event["tenant_id"]), str(event["entity_type"]), str(event["entity_id"]))


def streams(events: Iterable[Event]) -> dict[Key, list[Event]]:
    """The streams in code-point order, each by seq, equal seqs by their canonical text."""
    grouped: dict[Key, list[Event]] = {}
    for event in events:
        grouped.setdefault(stream_key(event), []).append(event)
    return {key: sorted(grouped[key], key=lambda e: (e["seq"], event_text(e).encode())) for key in sorted(grouped)}


def event_text(event: Event) -> str:
    """The canonical text of the eight fields; what else travels along is not part of it."""
    return canonical({field: event[field] for field in FIELDS})


def leaf(events: Iterable[Event]) -> str:
    """The digest of one stream whose events are in order."""
    content = b"\x00" + b"".join(event_text(event).encode() + b"\n" for event in events)
    return hashlib.sha256(content).hexdigest()


def history_digest(events: Iterable[Event]) -> str:
    """The digest of a history whose events are well formed."""
    content = b"\x01"
    for key, members in streams(events).items():
        content += canonical([*key, len(members), leaf(members)]).encode() + b"\n"
    return hashlib.sha256(content).hexdigest()
