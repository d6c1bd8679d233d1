"""The application and the events that the suite works with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import UNSET

from cicsc.bundle.load import load_bundle
from cicsc.canonical import LeafHasher
from cicsc.history.model import Event, StreamKey
from cicsc.store.protocol import Store
from digests import history_root

INSERT = (
    "insert into {event} (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _bundle(paid: str) -> Any:
    total = {"set_attr": {"name": "total", "expr": {"var": {"e_payload": {"path": "total"}}}}}
    order = {
        "id_type": "string",
        "states": ["new", paid],
        "initial_state": "new",
        "attrs": {"total": {"type": "json"}},
        "commands": {},
        "reducer": {"created": [total], paid: [{"set_state": {"expr": {"lit": {"string": paid}}}}]},
    }
    customer = order | {"reducer": {"registered": []}}
    return load_bundle({"core_ir": {"version": 0, "types": {"Order": order, "Customer": customer}}})


BUNDLE = _bundle("paid")
NEXT_BUNDLE = _bundle("settled")


def event(
    entity_id: str = "1",
    seq: int = 1,
    event_type: str = "created",
    *,
    tenant_id: str = "t",
    entity_type: str = "Order",
    payload: dict[str, object] | None = None,
    ts: int = 1_000,
    extra: dict[str, object] | None = None,
) -> Event:
    return Event(
        tenant_id,
        entity_type,
        entity_id,
        seq,
        event_type,
        {"total": 1} if payload is None else payload,
        ts,
        "ann",
        UNSET if extra is None else extra,
    )


def columns(written: Event, generation: int = 1, *, payload: str = "{}") -> tuple[object, ...]:
    """The parameters of INSERT."""
    return (
        written.tenant_id,
        generation,
        written.entity_type,
        written.entity_id,
        written.seq,
        written.event_type,
        payload,
        written.ts,
        written.actor_id,
    )


def add_tenant(store: Store, tenant_id: str) -> None:
    store.create_tenant(tenant_id, bundle_digest=BUNDLE.digest, version=3, actor_id="ann")


def append(store: Store, *events: Event, generation: int = 1) -> None:
    store.append(events[0].tenant_id, events, generation=generation)


def stored(store: Store, tenant_id: str = "t", generation: int | None = None) -> list[Event]:
    return [found for _, events in store.streams(tenant_id, generation) for found in events]


def digest(streams: Iterable[tuple[StreamKey, Iterable[Event]]]) -> str:
    leaves = []
    for key, events in streams:
        leaf = LeafHasher()
        for found in events:
            leaf.update(found)
        leaves.append((key, leaf.count, leaf.hexdigest()))
    return history_root(leaves)
