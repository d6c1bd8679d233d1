"""An application in three versions: the second renames an event and a state, the third also maps a payload."""

from __future__ import annotations

import copy
from typing import Any

from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle
from cicsc.history.model import Event
from cicsc.store.protocol import Store
from conformance.store.history import event

READ_TOTAL = {"var": {"e_payload": {"path": "total"}}}


def literal(text: str) -> dict[str, Any]:
    return {"lit": {"string": text}}


def version(number: int, paid: str, *, more: tuple[str, ...] = (), transforms: dict[str, Any] | None = None) -> Bundle:
    order = {
        "id_type": "string",
        "states": ["new", paid],
        "initial_state": "new",
        "attrs": {"total": {"type": "json"}},
        "commands": {},
        "reducer": {
            "created": [{"set_attr": {"name": "total", "expr": READ_TOTAL}}],
            paid: [{"set_state": {"expr": literal(paid)}}],
            **{name: [] for name in more},
        },
    }
    core: dict[str, Any] = {"version": 0, "types": {"Order": order}}
    if transforms is not None:
        core["migrations"] = {
            f"to_{number}": {
                "from_version": number - 1,
                "to_version": number,
                "on_type": "Order",
                "event_transforms": transforms,
                "state_map": {"paid": paid} if paid != "paid" else {},
            }
        }
    return load_bundle({"bundle_version": number, "core_ir": core})


V1 = version(1, "paid")
V2 = version(2, "settled", more=("audited",), transforms={"paid": {"emit_as": "settled"}})
MAPPED = version(2, "paid", transforms={"created": {"payload_map": {"total": READ_TOTAL}}})
"""A second version that cannot be taken back: a payload is mapped."""


def _declared() -> Bundle:
    document = copy.deepcopy(dict(MAPPED.document))
    transforms = {"created": {"payload_map": {"total": READ_TOTAL}}}
    document["core_ir"]["migrations"]["to_2"]["inverse"] = {"event_transforms": transforms}
    return load_bundle(document)


DECLARED = _declared()
"""The same with a declared inverse, which loses what a payload holds beside its total."""

EVENTS = [
    event("1", 1, payload={"total": 10**30}, extra={"source": "web"}),
    event("1", 2, "paid", ts=2_000),
    event("2", 1, payload={"total": 2, "note": 'a "quoted" \\ line\n'}),
    event("3", 1, ts=-5),
    event("3", 2, "paid"),
]


def add(store: Store, tenant_id: str, bundle: Bundle = V1, number: int = 1, events: list[Event] | None = None) -> None:
    """Create a tenant with a history of its own."""
    store.put_bundle(bundle)
    store.create_tenant(tenant_id, bundle_digest=bundle.digest, version=number, actor_id="ann")
    chosen = EVENTS if events is None else events
    written = [Event(tenant_id, *(getattr(one, name) for name in Event.__struct_fields__[1:])) for one in chosen]
    store.import_events(tenant_id, written, generation=1, actor_id="ann")
