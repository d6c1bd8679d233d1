"""Generated applications, each with the tenants of its history in a store."""

from __future__ import annotations

from typing import Any

import cicsc
from cicsc.store.protocol import Store
from properties.strategies import Seeded
from properties.test_migration_oracle import draw_case


def stored_case(store: Store, seed: int) -> tuple[Any, list[dict[str, Any]], list[str]]:
    """Import a generated history into tenants of its own; return the case, its events, and the tenants that took theirs.

    What the store refuses, an event type without a reducer, stays out.
    """
    case = draw_case(Seeded(seed))
    events = [
        {name: text.replace("\0", "0") if isinstance(text, str) else text for name, text in item.items()}
        | {"tenant_id": f"{seed} {item['tenant_id']}"}
        for item in case.events
    ]
    for tenant_id in sorted({item["tenant_id"] for item in events}):
        version = case.migration["from_version"]
        cicsc.create_tenant(store, tenant_id, case.source, version=version, actor_id="ann")
    imported = cicsc.import_history(store, events, actor_id="ann")
    return case, events, [tenant.tenant_id for tenant in imported.tenants if tenant.ok]
