"""Live tenants of the shop in a SQLite store, for the commands that work on stores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cicsc.bundle.load import load_bundle
from cicsc.history.model import Event
from cicsc.store import open_store
from cicsc.store.protocol import Store
from e2e.shop import event, lay_out, source

STORE = "sqlite:///store.db"
CUTOVER = ("migration-cutover", "--store", STORE, "--to", "bundle.v1.json", "--migration", "v0_to_v1")


def fill(store: Store, tenants: Iterable[str], entities: int = 2) -> None:
    """Create tenants of version 0, each with some orders of three events."""
    bundle = load_bundle(source())
    store.put_bundle(bundle)
    for tenant in tenants:
        store.create_tenant(tenant, bundle_digest=bundle.digest, version=0, actor_id="ann")
        store.import_events(tenant, orders(tenant, entities), generation=1, actor_id="ann")


def orders(tenant: str, entities: int) -> list[Event]:
    steps: list[tuple[int, str, dict[str, Any]]] = [
        (1, "placed", {"total": 12}),
        (2, "noted", {"text": "call first"}),
        (3, "paid", {}),
    ]
    return [
        Event(**event(seq, event_type, fields, tenant=tenant, entity=f"o{number:06}"))
        for number in range(entities)
        for seq, event_type, fields in steps
    ]


def violate(store: Store, tenant: str) -> None:
    """Give a tenant an order that violates the rules of its own version."""
    wrong = Event(**event(1, "placed", {"total": -5}, tenant=tenant, entity="wrong"))
    store.append(tenant, [wrong], generation=store.gate(tenant).active_generation)


def lay_out_store(folder: Path, *tenants: str, entities: int = 2) -> str:
    """Write the shop's files and its store with some tenants; return the URL of the store, as from anywhere."""
    lay_out(folder)
    url = f"sqlite:///{folder / 'store.db'}"
    with open_store(url) as store:
        store.initialise()
        fill(store, tenants, entities)
    return url
