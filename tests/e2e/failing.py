"""A tenant on version 1 whose cutover or rollback goes wrong, and what must be true of it then."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle
from cicsc.operations.live.change import TenantChange
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from conformance.operations.application import V2, add
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, columns, event

EVENTS = "select * from {event} order by tenant_id, generation, entity_type, entity_id, seq"


@pytest.fixture
def live(desk: Desk) -> Iterator[Store]:
    """A store with a tenant on version 1."""
    with desk.initialised() as store:
        add(store, "t")
        yield store


@pytest.fixture
def plain(desk: Desk, live: Store) -> Iterator[Plain]:
    """A program that knows nothing of this package: it writes, and looks at the tables."""
    with desk.plain() as writer:
        yield writer


def forward(store: Store, target: Bundle = V2, **more: Any) -> Any:
    order = {"migration": "to_2", "operator": "ann", "execute": True} | more
    return cut_over(store, "t", Order(target=target, **order))


def back(store: Store) -> Any:
    return roll_back_tenant(store, "t", RollbackOrder(migration="to_2", operator="bob", execute=True))


def changed(bundle: Bundle, change: Callable[[dict[str, Any]], object]) -> Bundle:
    document = copy.deepcopy(dict(bundle.document))
    change(document["core_ir"])
    return load_bundle(document)


def with_constraint(total: int) -> dict[str, Any]:
    value = {"coalesce": [{"var": {"row": {"field": "total"}}}, {"lit": {"int": 0}}]}
    return {"low": {"kind": "snapshot", "on_type": "Order", "expr": {"le": [value, {"lit": {"int": total}}]}}}


def assert_open(store: Store, plain: Plain, version: int = 1) -> None:
    """The tenant is open on exactly one version, nobody has it, and a plain writer writes into it."""
    gate = store.gate("t")
    assert (gate.is_paused, gate.owner, gate.active_version) == (False, None, version)
    assert plain.execute("select count(*) from {gate} where state = 'paused'") == [(0,)]
    plain.execute(INSERT, *columns(event("after", 1), gate.active_generation))
    check = check_store(store)
    assert check.ok, check.findings


def assert_never_paused(store: Store, report: Any) -> None:
    boundaries = report.boundaries
    assert [getattr(boundaries, name) for name in boundaries.__struct_fields__] == [None] * 4
    assert [entry.action for entry in store.audit("t") if entry.action.endswith(("-fence", "-switch"))] == []
    assert {run.phase for run in store.runs.of_tenant("t") if run.kind == "cutover"} <= {"ABORTED"}


def spoil(
    monkeypatch: pytest.MonkeyPatch,
    kind: type[TenantChange],
    name: str,
    error: BaseException | Callable[[], object],
    *,
    first: bool = False,
) -> None:
    """Let something happen after a step, or before it."""

    def happen() -> None:
        if not isinstance(error, BaseException):
            error()
            return
        raise error

    def spoiled(step: Callable[..., None]) -> Callable[..., None]:
        def both(change: TenantChange) -> None:
            if first:
                happen()
            step(change)
            if not first:
                happen()

        return both

    monkeypatch.setattr(kind, "steps", tuple(spoiled(step) if step.__name__ == name else step for step in kind.steps))
