"""Events to put into files, and one way to read them back."""

from __future__ import annotations

import json

from cicsc.history.model import StreamKey, event_fields
from cicsc.history.sorted import open_history

Fields = dict[str, object]
Streams = list[tuple[StreamKey, list[Fields]]]


def fields(tenant: str = "t", entity_id: str = "1", seq: int = 1, **more: object) -> Fields:
    return {
        "tenant_id": tenant,
        "entity_type": "Order",
        "entity_id": entity_id,
        "seq": seq,
        "event_type": "paid",
        "payload": {},
        "ts": seq,
        "actor_id": "me",
        **more,
    }


def read(source: object, **options: object) -> Streams:
    """Read a history whole, as the fields of its events by stream."""
    with open_history(source, **options) as history:  # type: ignore[arg-type]
        assert not history.malformed.counts
        return [(key, [event_fields(event) for event in events]) for key, events in history.streams()]


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
