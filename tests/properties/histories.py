"""What the properties draw of histories: the streams of a few entities and tenants, in no order."""

from __future__ import annotations

from typing import Any

from properties.applications import ENTITIES, STATES, Document, some
from properties.strategies import (
    NAMES_BY_KIND,
    ODD_NAMES,
    Draw,
    chance,
    draw_field,
    draw_text,
    draw_value,
    pick,
)

TENANTS = ("t1", "t2", "t1|Order", "ténant 😀")

Event = dict[str, Any]


def draw_history(draw: Draw, bundle: Document) -> list[Event]:
    """A history of intact streams, in no particular order of streams and events."""
    events: list[Event] = []
    for tenant in some(draw, TENANTS, least=1, most=3):
        for name, entity_type in bundle["core_ir"]["types"].items():
            for entity in some(draw, ENTITIES, most=3):
                events += draw_stream(draw, (tenant, name, entity), list(entity_type["reducer"]))
    if chance(draw, 10):
        events += draw_stream(draw, ("t1", "Unknown", "1"), ["made"])
    for index in range(len(events) - 1, 0, -1):
        other = draw.index(index + 1)
        events[index], events[other] = events[other], events[index]
    return events


def draw_stream(draw: Draw, key: tuple[str, str, str], event_types: list[str]) -> list[Event]:
    """The events of one stream; now and then one of a type that nothing handles."""
    tenant, name, entity = key
    ts = draw.index(2000) - 1000
    events = []
    for seq in range(1, 1 + draw.index(6)):
        ts += draw.index(50)
        event: Event = {
            "tenant_id": tenant,
            "entity_type": name,
            "entity_id": entity,
            "seq": seq,
            "event_type": "unheard of" if chance(draw, 60) or not event_types else pick(draw, event_types),
            "payload": draw_payload(draw),
            "ts": ts,
            "actor_id": draw_text(draw),
        }
        if chance(draw, 5):
            event["note"] = draw_value(draw)
        events.append(event)
    return events


def draw_payload(draw: Draw) -> Document:
    """A payload over the pool of names; texts are often states, so that set_state finds some."""
    names = some(draw, (*NAMES_BY_KIND["number"], *NAMES_BY_KIND["text"], "b", "l", "o", *ODD_NAMES[:3]), most=6)
    return {name: pick(draw, STATES) if name == "s" and draw.index(2) else draw_field(draw, name) for name in names}
