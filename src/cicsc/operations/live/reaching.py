"""Whether a store can still be used, asked when the work on one of its tenants has failed for want of it.

A tenant's failure is its own. Where the store is gone every other tenant would fail too, each after its own waiting.
"""

from __future__ import annotations

from time import sleep
from typing import TYPE_CHECKING, Final

from cicsc.errors import CicscError

if TYPE_CHECKING:
    from cicsc.store.protocol import Store

LOST: Final = frozenset({"STORE_UNREACHABLE", "STORE_NOT_INITIALISED"})
"""What says that a store that was there is not: no answer, or a file that is gone."""

ATTEMPTS_MAX: Final = 6
FIRST_WAIT_S: Final = 0.1
"""How often a store is asked for, and the wait after the first time; each is twice the last, 3 s in all."""


def lost(store: Store, tenant_id: str) -> CicscError | None:
    """Return why a store cannot be used, None as soon as it answers about a tenant, whatever it says."""
    store.abandon()
    wait_s = FIRST_WAIT_S
    for _ in range(ATTEMPTS_MAX - 1):
        if _absence(store, tenant_id) is None:
            return None
        sleep(wait_s)
        wait_s *= 2
    return _absence(store, tenant_id)


def _absence(store: Store, tenant_id: str) -> CicscError | None:
    try:
        store.gate(tenant_id)
    except CicscError as error:
        return error if error.code in LOST else None
    return None
