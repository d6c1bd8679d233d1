"""What an event is: its record, the key of its stream, and the check that a decoded value is one.

Knows nothing of files, order or digests. Values come decoded from `reading`; events go on to
`sorting`, and from there to replay and migration.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from cicsc.canonical import EVENT_FIELDS

StreamKey: TypeAlias = tuple[str, str, str]
"""``(tenant_id, entity_type, entity_id)``; compared as a tuple, by code point."""

INTEGER_MIN: Final = -(2**63)
INTEGER_MAX: Final = 2**63 - 1
"""Bounds of `seq` and `ts`, both included; payloads hold integers of any size."""

Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=INTEGER_MIN, le=INTEGER_MAX)]
"""An integer of 64 bits; checked where events are decoded."""

_FIELDS: Final = frozenset(EVENT_FIELDS)
_INTEGERS: Final = frozenset({"seq", "ts"})


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event. `ts` is in milliseconds since the epoch; `extra` holds further fields, by name.

    `gc=False` is safe since a decoded JSON value cannot hold itself, and saves a tenth of the time.
    """

    tenant_id: str
    entity_type: str
    entity_id: str
    seq: Integer
    event_type: str
    payload: dict[str, object]
    ts: Integer
    actor_id: str
    extra: dict[str, object] | UnsetType = UNSET


class EventList(list[Event]):
    """Events in memory, with what is known of them.

    `is_plain` tells that there is no float in any, nor an extra field; `is_intact` that their seqs are 1, 2, 3 and so
    on. What is not known may be so all the same. `records` are their records as lines, of which the last may lack its
    line feed, where they are at hand; else it is empty.
    """

    __slots__ = ("is_intact", "is_plain", "records")

    def __init__(
        self, events: Iterable[Event], *, is_plain: bool, is_intact: bool = False, records: bytes = b""
    ) -> None:
        super().__init__(events)
        self.is_plain = is_plain
        self.is_intact = is_intact
        self.records = records

    @property
    def lines(self) -> bytes:
        """The records, with a line feed after each."""
        records = self.records
        return records if not records or records.endswith(b"\n") else records + b"\n"


def known_plain(events: Iterable[Event]) -> bool:
    """Tell whether events come with the knowledge that they are plain, as `EventList` says."""
    return isinstance(events, EventList) and events.is_plain


def stream_key(event: Event) -> StreamKey:
    """Return the key of the stream that the event belongs to."""
    return (event.tenant_id, event.entity_type, event.entity_id)


def event_fields(event: Event) -> dict[str, object]:
    """Return the event as one JSON object: the eight fields, then the extra ones beside them."""
    fields: dict[str, object] = {name: getattr(event, name) for name in EVENT_FIELDS}
    if event.extra is not UNSET:
        fields.update(event.extra)
    return fields


def event_from_value(value: object) -> Event | tuple[str, ...]:
    """Return the event that a decoded JSON value describes, or what is wrong with every wrong field."""
    if not isinstance(value, dict):
        return (f"expected an object, found {describe(value)}",)
    wrong = tuple(fault for name in EVENT_FIELDS if (fault := _fault(value, name)))
    if wrong:
        return wrong
    extra = {name: item for name, item in value.items() if name not in _FIELDS}
    return Event(
        tenant_id=value["tenant_id"],
        entity_type=value["entity_type"],
        entity_id=value["entity_id"],
        seq=int(value["seq"]),
        event_type=value["event_type"],
        payload=value["payload"],
        ts=int(value["ts"]),
        actor_id=value["actor_id"],
        extra=extra or UNSET,
    )


def describe(value: object) -> str:
    """Name a JSON value for a message: its kind, and itself where it is a short number or boolean."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if not INTEGER_MIN <= value <= INTEGER_MAX:
            return "an integer beyond 64 bits"
        case int():
            return f"the integer {value}"
        case float():
            return f"the number {value!r}"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def integer_or_none(value: object) -> int | None:
    """Return the 64-bit integer that a decoded value is, if any; ``3.0`` is one, ``true`` is not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not INTEGER_MIN <= value <= INTEGER_MAX or value != int(value):
        return None
    return int(value)


def _fault(value: dict[str, object], name: str) -> str | None:
    if name not in value:
        return f"{name}: expected {_expected(name)}, found nothing"
    item = value[name]
    right = (
        integer_or_none(item) is not None if name in _INTEGERS else isinstance(item, dict if name == "payload" else str)
    )
    return None if right else f"{name}: expected {_expected(name)}, found {describe(item)}"


def _expected(name: str) -> str:
    match name:
        case "seq" | "ts":
            return "an integer of at most 64 bits"
        case "payload":
            return "an object"
        case _:
            return "a string"
