"""What a process that is about to die does. Each scenario is a function of a store, by its name; one more is one line more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from cicsc.errors import CicscError
from cicsc.operations.import_history import import_history
from cicsc.operations.live.change import Terms
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.finalize import finalize_tenant
from cicsc.operations.live.recovery import recover_tenant
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.operations.live.run import Timing
from cicsc.store.protocol import Store
from crash.application import OPERATOR, TARGET, events_of

MAX_PAUSE_S = 60.0

Scenario = Callable[..., Any]


def cutover(store: Store, tenant_id: str, *, migration: str, lease_s: float, operator: str = OPERATOR) -> Any:
    """Move a tenant to version 2."""
    timing = Timing(lease_s, MAX_PAUSE_S)
    return cut_over(
        store, tenant_id, Order(target=TARGET, migration=migration, operator=operator, execute=True, timing=timing)
    )


def rollback(store: Store, tenant_id: str, *, migration: str, lease_s: float, operator: str = OPERATOR) -> Any:
    """Take a tenant back to version 1."""
    timing = Timing(lease_s, MAX_PAUSE_S)
    return roll_back_tenant(
        store, tenant_id, RollbackOrder(migration=migration, operator=operator, execute=True, timing=timing)
    )


def finalize(store: Store, tenant_id: str, *, lease_s: float, operator: str = OPERATOR) -> Any:
    """Drop what a tenant has left behind."""
    return finalize_tenant(
        store, tenant_id, Terms(operator=operator, execute=True, timing=Timing(lease_s, MAX_PAUSE_S))
    )


def recover(store: Store, tenant_id: str, *, lease_s: float, take_over: tuple[str, int] | None = None) -> Any:
    """Bring the run that died to its end."""
    named = None if take_over is None else (take_over[0], take_over[1])
    return recover_tenant(store, tenant_id, actor_id="bob", take_over=named, lease_s=lease_s)


def bring_in(store: Store, tenant_id: str, *, operator: str = OPERATOR) -> Any:
    """Import the history of a tenant that has none."""
    return import_history(store, events_of(tenant_id), actor_id=operator)


SCENARIOS: dict[str, Scenario] = {
    "cutover": cutover,
    "recover": recover,
    "rollback": rollback,
    "finalize": finalize,
    "import": bring_in,
}


def carry_out(name: str, store: Store, tenant_id: str, options: dict[str, Any]) -> dict[str, Any]:
    """Carry a scenario out, and return its report, or the error that it raised, as a JSON object."""
    try:
        report = SCENARIOS[name](store, tenant_id, **options)
    except CicscError as error:
        return {"raised": error.code, "message": error.message}
    return {} if report is None else dict(msgspec.to_builtins(report))
