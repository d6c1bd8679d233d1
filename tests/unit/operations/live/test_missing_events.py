"""A file whose index lacks an event that its table has: what is read by it is not all that was counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from cicsc.operations.live.change import Terms
from cicsc.operations.live.cutover import Order, TenantCutover, cut_over
from cicsc.operations.live.finalize import finalize_tenant
from cicsc.operations.live.rollback import RollbackOrder, TenantRollback, roll_back_tenant
from cicsc.store import open_store
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from conformance.operations.application import V2, add
from conformance.store.history import append, event

ORDER = Order(target=V2, migration="to_2", operator="ann", execute=True)
ROLLBACK = RollbackOrder(operator="ann", migration="to_2", execute=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(file: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{file}") as opened:
        opened.initialise()
        add(opened, "t")
        yield opened


def damage(file: Path) -> None:
    """Put an index that lacks the last event of a stream into the place of the one by key."""
    connection = apsw.Connection(str(file))
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    ((version,),) = connection.execute("pragma schema_version")
    connection.execute(f"""
        create unique index less on event (tenant_id, generation, entity_type, entity_id, seq)
            where not (entity_id = '3' and seq = 2);
        pragma writable_schema = on;
        update sqlite_schema set rootpage = (select rootpage from sqlite_schema where name = 'less')
            where name = 'event_key';
        delete from sqlite_schema where name = 'less';
        pragma schema_version = {version + 2};
    """)
    connection.close()


def damage_before(monkeypatch: pytest.MonkeyPatch, kind: type[TenantCutover | TenantRollback], file: Path) -> None:
    """Damage the index once the tenant is paused, before its history is verified."""

    def verify_and_write(change: TenantCutover | TenantRollback) -> None:
        damage(file)
        kind.verify_and_write(change)

    steps = [verify_and_write if step.__name__ == "verify_and_write" else step for step in kind.steps]
    monkeypatch.setattr(kind, "steps", tuple(steps))


def cut_over_and_write(store: Store) -> None:
    """Cut the tenant over, then write an event, so that the way back leads over the inverse."""
    assert cut_over(store, "t", ORDER).ok
    append(store, event("4", 1), generation=2)


@pytest.mark.parametrize("execute", [True, False])
def test_cutover_is_refused(store: Store, file: Path, execute: bool) -> None:
    damage(file)

    report = cut_over(store, "t", Order(target=V2, migration="to_2", operator="ann", execute=execute))

    assert (report.outcome, report.error["code"], report.boundaries.paused_at) == ("failed", "STORE_DAMAGED", None)
    assert "counted 5 events up to position 5, read 4" in report.error["message"]


def test_cutover_is_not_switched(store: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage_before(monkeypatch, TenantCutover, file)

    report = cut_over(store, "t", ORDER)

    assert (report.outcome, report.error["code"], report.active_version) == ("failed", "STORE_DAMAGED", 1)
    assert (report.tenant_paused, store.gate("t").owner) == (False, None)


def test_rollback_is_refused(store: Store, file: Path) -> None:
    cut_over_and_write(store)
    damage(file)

    report = roll_back_tenant(store, "t", ROLLBACK)

    assert (report.outcome, report.error["code"], report.boundaries.paused_at) == ("failed", "STORE_DAMAGED", None)


def test_rollback_is_not_switched(store: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_over_and_write(store)
    damage_before(monkeypatch, TenantRollback, file)

    report = roll_back_tenant(store, "t", ROLLBACK)

    assert (report.outcome, report.error["code"], report.active_version) == ("failed", "STORE_DAMAGED", 2)
    assert (report.tenant_paused, store.gate("t").owner) == (False, None)


def test_old_generations_are_kept(store: Store, file: Path) -> None:
    cut_over_and_write(store)
    damage(file)

    report = finalize_tenant(store, "t", Terms(operator="bob", execute=True))

    assert (report.outcome, report.error["code"], report.rows_removed) == ("failed", "STORE_DAMAGED", 0)
    assert store.runs.generations("t") == [1, 2]


def test_the_check_of_the_store_finds_it(store: Store, file: Path) -> None:
    damage(file)

    check = check_store(store, ["t"])

    assert check.counts == {"FILE_DAMAGED": 3, "EVENT_UNREADABLE": 1}
    assert any(
        "missing from index" in found.message or "wrong # of entries" in found.message for found in check.findings
    )
    assert "has 5 events, its streams have 4" in check.findings[-1].message
