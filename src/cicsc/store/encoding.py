"""Events, snapshots and documents as the columns that stores keep, and back.

Both stores keep the same texts: JSON, verbatim, so that integers of any size and digests survive.
What a writer in another language left is read as strictly as a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import UNSET

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import Bundle
from cicsc.canonical import EVENT_FIELDS, canonical_bytes, sha256_hex
from cicsc.decoding import WatchingDecoder, any_exceeds_cheap_bounds, decode_value, exceeds_cheap_bounds
from cicsc.errors import InputError, StoreError, UsageError
from cicsc.history.model import Event, EventList
from cicsc.history.runs import decode_records
from cicsc.remembered import KEPT_MAX
from cicsc.replay.snapshot import Snapshot
from cicsc.store.records import StagedEvents

EventRow: TypeAlias = tuple[str, str, int, str, str, int, str, str | None]
"""entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra."""

PlacedRow: TypeAlias = tuple[int, int, str, str, int, str, str, int, str, str | None]
"""position, ordinal, then the columns of an event."""

EventColumns: TypeAlias = tuple[
    Sequence[str],
    Sequence[str],
    Sequence[int],
    Sequence[str],
    Sequence[str],
    Sequence[int],
    Sequence[str],
    Sequence[str | None],
]
"""Rows of events, turned on their side."""

SnapshotRow: TypeAlias = tuple[str, str, str, str, str, int | None, int]
"""entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq."""

_encoder: Final = msgspec.json.Encoder()
_encode: Final = _encoder.encode
_encode_rows: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, object]).decode


_FIXED_MAX: Final = 15
_SHORT_MAX: Final = 2**16 - 1


def _array_header_bytes(count: int) -> int:
    """Return how many bytes say in MessagePack that an array of so many values follows."""
    if count <= _FIXED_MAX:
        return 1
    return 3 if count <= _SHORT_MAX else 5


class RowsHasher:
    """The digest of rows in the order in which they are given: what was written is compared by it with what is read.

    It covers every column to the byte, so equal rows are equal events at equal places. Each kind of store has a form in
    which it takes the rows.
    """

    __slots__ = ("_hash", "count")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.count = 0

    def update(self, rows: Sequence[PlacedRow]) -> None:
        """Add the next rows, in MessagePack."""
        data = _encode_rows(rows)
        self.add(memoryview(data)[_array_header_bytes(len(rows)) :], len(rows))

    def add(self, data: bytes | bytearray | memoryview, count: int) -> None:
        """Add so many rows in another form, in which none can be taken for a part of another."""
        self._hash.update(data)
        self.count += count

    def hexdigest(self) -> str:
        """Return the digest of the rows so far."""
        return self._hash.hexdigest()


def encode_text(value: object) -> str:
    """Return a JSON value as text."""
    return _encode(value).decode()


def event_rows(tenant_id: str, events: Iterable[Event]) -> Iterator[EventRow]:
    """Yield the columns of events; raises UsageError for an event of another tenant, or with a field of two values."""
    for event in events:
        if event.tenant_id != tenant_id:
            raise _other_tenant("an event", event.tenant_id, tenant_id)
        if event.extra is not UNSET and not event.extra.keys().isdisjoint(EVENT_FIELDS):
            raise _field_twice(event)
        yield (
            event.entity_type,
            event.entity_id,
            event.seq,
            event.event_type,
            _encode(event.payload).decode(),
            event.ts,
            event.actor_id,
            None if event.extra is UNSET else _encode(event.extra).decode(),
        )


def placed_rows(staged: StagedEvents) -> list[PlacedRow]:
    """Return the columns of events that are to be written, all at once."""
    positions, ordinals, given = staged
    events = decode_records(given) if isinstance(given, bytes) else given
    payloads = _encoder.encode_lines([event.payload for event in events]).decode().split("\n")
    payloads.pop()  # after the last line there is an empty one
    return [
        (
            position,
            ordinal,
            event.entity_type,
            event.entity_id,
            event.seq,
            event.event_type,
            payload,
            event.ts,
            event.actor_id,
            None if event.extra is UNSET else _encode(event.extra).decode(),
        )
        for position, ordinal, event, payload in zip(positions, ordinals, events, payloads, strict=True)
    ]


class EventDecoder:
    """Makes events of columns as `stored_event` does, but many at once, and much faster where none is special.

    Belongs to one thread.
    """

    def __init__(self, tenant_id: str) -> None:
        self._tenant_id = tenant_id
        self._decode_lines = WatchingDecoder(dict[str, object]).decode_lines

    def events(self, columns: EventColumns) -> EventList:
        """Return the events that columns hold; raises InputError EVENT_UNREADABLE."""
        types, ids, seqs, event_types, payloads, times, actors, extras = columns
        decoded = self._decode_all(payloads) if extras.count(None) == len(extras) else None
        if decoded is None:
            rows = zip(*columns, strict=True)
            return EventList([stored_event(self._tenant_id, row) for row in rows], is_plain=False)
        values, is_plain = decoded
        tenants = repeat(self._tenant_id)
        return EventList(map(Event, tenants, types, ids, seqs, event_types, values, times, actors), is_plain=is_plain)

    def _decode_all(self, texts: Sequence[str]) -> tuple[list[dict[str, object]], bool] | None:
        """Decode objects strictly, where each text is what the encoder would write for it; else return None.

        With them comes whether it is known that no float is in them.
        """
        try:
            data = ("\n".join(texts) + "\n").encode()
            values, is_plain = self._decode_lines(data)
            # As many lines as texts, and just these lines again: so no text was taken for a part of another.
            if len(values) == len(texts) and _encoder.encode_lines(values) == data:
                return None if any_exceeds_cheap_bounds(texts, data) else (values, is_plain)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            pass
        return None


def _further(text: str) -> dict[str, object]:
    """Return the further fields of an event that were stored as text.

    One that has the name of a field that all events have is left out, since the column of that name tells the truth:
    written beside it, it would have an export name another seq or tenant.
    """
    found = _decode_object(text)
    return {name: value for name, value in found.items() if name not in EVENT_FIELDS}


def stored_event(tenant_id: str, row: EventRow) -> Event:
    """Return the event that columns hold; raises InputError EVENT_UNREADABLE."""
    entity_type, entity_id, seq, event_type, payload, ts, actor_id, extra = row
    try:
        return Event(
            tenant_id,
            entity_type,
            entity_id,
            seq,
            event_type,
            _decode_object(payload),
            ts,
            actor_id,
            UNSET if extra is None else _further(extra),
        )
    except InputError as error:
        key = (tenant_id, entity_type, entity_id)
        raise InputError(
            "EVENT_UNREADABLE",
            f"cannot read stream {key!r} at seq {seq}: {error.message}",
            hint="a program that writes to the store by itself left it; events are never changed in place",
        ) from error


def snapshot_rows(tenant_id: str, snapshots: Iterable[Snapshot]) -> Iterator[SnapshotRow]:
    """Yield the columns of snapshots; raises UsageError for a snapshot of another tenant."""
    for snapshot in snapshots:
        if snapshot.tenant_id != tenant_id:
            raise _other_tenant("a snapshot", snapshot.tenant_id, tenant_id)
        yield (
            snapshot.entity_type,
            snapshot.entity_id,
            snapshot.state,
            encode_text(snapshot.attrs),
            encode_text(snapshot.shadows),
            snapshot.updated_ts,
            snapshot.last_seq,
        )


def stored_snapshot(tenant_id: str, row: SnapshotRow) -> Snapshot:
    """Return the snapshot that columns hold."""
    entity_type, entity_id, state, attrs, shadows, updated_ts, last_seq = row
    return Snapshot(
        tenant_id,
        entity_type,
        entity_id,
        state,
        decode_document(attrs, "attrs"),
        decode_document(shadows, "shadows"),
        updated_ts,
        last_seq,
    )


def event_types(bundle: Bundle) -> list[tuple[str, str]]:
    """Return (entity type, event type) of everything that the reducers of a bundle know."""
    return [(name, event_type) for name, kind in bundle.types.items() for event_type in kind.reducer]


def decode_document(text: str, what: str) -> dict[str, object]:
    """Return an object that this program stored as text; raises StoreError STORE_DAMAGED when it is none."""
    try:
        return _decode_object(text)
    except InputError as error:
        raise StoreError("STORE_DAMAGED", f"cannot read stored {what}: {error.message}") from error


@lru_cache(KEPT_MAX)
def stored_bundle(digest: str, body: str) -> Bundle:
    """Return the bundle of a stored document; raises StoreError STORE_DAMAGED when it is not the one of the digest.

    The same text is the same object again, so that what was compiled from it is found again.
    """
    bundle, _ = parse_bundle(decode_document(body, f"bundle {digest}"))
    if bundle is None or bundle.digest != digest:
        found = "one that is not valid" if bundle is None else bundle.digest
        raise StoreError("STORE_DAMAGED", f"cannot read stored bundle {digest}: found {found}")
    return bundle


def stored_event_types(digest: str, body: str) -> set[tuple[str, str]]:
    """Return the event types of a stored document; raises as `stored_bundle` does, which takes twenty times as long.

    A tenant waits while a switch asks for those of all bundles. The text that was once written for a
    document of this digest was a valid bundle then, and needs no second look.
    """
    data = body.encode()
    try:
        document: dict[str, Any] = _decode(data)
        if _encode(document) == data and sha256_hex(canonical_bytes(document)) == digest:
            types = document["core_ir"]["types"].items()
            return {(name, event_type) for name, kind in types for event_type in kind["reducer"]}
    except (msgspec.MsgspecError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        pass  # it is no bundle as this program writes one
    return set(event_types(stored_bundle(digest, body)))


def _decode_object(text: str) -> dict[str, object]:
    """Decode strictly; a text that the encoder would write just so is strict, any other is looked at closer."""
    data = text.encode()
    try:
        fast = _decode(data)
        if _encode(fast) == data and not exceeds_cheap_bounds(data):
            return fast
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    value = decode_value(data, "the text")
    if not isinstance(value, dict):
        raise InputError("VALUE_NOT_JSON", "expected an object, found another value")
    return value


def _field_twice(event: Event) -> UsageError:
    key = (event.tenant_id, event.entity_type, event.entity_id)
    return UsageError(
        "FIELD_TWICE",
        f"cannot write stream {key!r} at seq {event.seq}: an extra field has the name of a field of events",
        hint="nothing was written; give the extra field another name",
    )


def _other_tenant(what: str, found: str, expected: str) -> UsageError:
    return UsageError("TENANT_DIFFERS", f"cannot write {what} of tenant {found!r} to tenant {expected!r}")
