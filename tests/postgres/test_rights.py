"""The rights that docs/postgresql.md gives to each role are enough for all that it says the role does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import cicsc
from cicsc.errors import StoreError
from cicsc.operations.live.change import Terms
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.finalize import finalize_tenant
from cicsc.operations.live.recovery import recover
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.store.check import check_store
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.records import RunPlan
from conformance.operations.application import EVENTS, V2, add
from conformance.runtime.bank import BANK
from conformance.store.history import BUNDLE, event, stored
from postgres_server import PostgresServer

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "postgresql.md"
GRANTS = re.findall(r"^```sql\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
(SHOWN,) = re.findall(
    r"^```sql\n(.*?)^```", (DOCUMENT.parent / "applications.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)
OWNER = "cicsc_owner"
ROLES = tuple(re.findall(r"^create role (\w+) login;", "".join(GRANTS), re.MULTILINE))

As = Callable[[str], PostgresStore]


@pytest.fixture
def opened_as(server: PostgresServer) -> Iterator[As]:
    """Opens a store that an owner without any other rights has made, as one of the roles."""
    name, stores = server.new_database(), []

    def opened(role: str) -> PostgresStore:
        stores.append(PostgresStore(server.url(name, role), wait_s=0.1))
        return stores[-1]

    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute(f"create role {OWNER} login; grant create on database {name} to {OWNER}")
        opened(OWNER).initialise()
        for script in GRANTS:
            connection.execute(script.encode())
        yield opened
        for store in stores:
            store.close()
        for role in (*ROLES, OWNER):
            connection.execute(f"drop owned by {role} cascade; drop role {role}")
    server.drop_database(name)


def test_operator_does_all_but_make_the_schema(opened_as: As) -> None:
    store = opened_as("cicsc_operator")
    forward = Order(target=V2, migration="to_2", operator="ann", execute=True)
    back = RollbackOrder(migration="to_2", operator="ann", execute=True)

    add(store, "t")
    gate = store.pause("t", owner="ann", seconds=60)
    store.resume("t", owner="ann", epoch=gate.epoch)
    assert cut_over(store, "t", forward).ok
    assert roll_back_tenant(store, "t", back).method == "reactivate"
    assert cut_over(store, "t", forward).ok
    store.append("t", [event("9")], generation=store.gate("t").active_generation)
    assert roll_back_tenant(store, "t", back).method == "inverse"
    assert finalize_tenant(store, "t", Terms(operator="ann", execute=True)).ok
    run = store.runs.begin("t", "r", RunPlan("cutover", "bob"), lease_s=60)
    (recovered,) = recover(store, ["t"], actor_id="ann", take_over=(run.run_id, run.epoch))
    assert recovered.outcome == "reopened"
    assert check_store(store).ok


def test_nobody_is_paused_for_a_run_whose_rights_are_missing(opened_as: As) -> None:
    store = opened_as("cicsc_operator")
    add(store, "t")
    with psycopg.connect(opened_as(OWNER).shared_url, autocommit=True) as owner:
        owner.execute("revoke insert, delete on cicsc.snapshot from cicsc_operator")

    report = cut_over(store, "t", Order(target=V2, migration="to_2", operator="ann", execute=True))

    assert (report.outcome, report.error["code"], report.boundaries.paused_at) == ("failed", "STORE_FORBIDDEN", None)
    assert "lacks insert on cicsc.snapshot, delete on cicsc.snapshot" in report.error["message"]
    assert ([run.kind for run in store.runs.of_tenant("t")], store.gate("t").owner) == (["import"], None)


def test_tenant_is_let_go_with_the_one_connection_that_is_left(opened_as: As) -> None:
    store = opened_as("cicsc_operator")
    add(store, "t")
    store.close()
    with psycopg.connect(opened_as(OWNER).shared_url.replace(OWNER, "postgres"), autocommit=True) as connection:
        connection.execute("alter role cicsc_operator connection limit 1")

    store = opened_as("cicsc_operator")
    report = cut_over(store, "t", Order(target=V2, migration="to_2", operator="ann", execute=True))

    assert (report.outcome, report.error["code"]) == ("failed", "STORE_UNREACHABLE")
    assert "too many connections for role" in report.error["message"]
    assert store.gate("t").owner is None


def test_reader_sees_all_and_changes_nothing(opened_as: As, tmp_path: Path) -> None:
    add(opened_as("cicsc_operator"), "t")
    store = opened_as("cicsc_reader")
    source = cicsc.StoreSource(store, ["t"])

    assert check_store(store).ok
    assert len(cicsc.tenant_status(store).tenants) == 1
    assert cicsc.verify_history(source).events == len(EVENTS)
    assert cicsc.dry_run(None, V2, source, "to_2", artifact=tmp_path / "plan.json").ok
    assert cicsc.export_history(source, tmp_path / "events.jsonl").ok
    assert cut_over(store, "t", Order(target=V2, migration="to_2", operator="ann")).outcome == "rehearsed"
    with pytest.raises(StoreError, match="permission denied") as caught:
        store.pause("t", owner="ann", seconds=1)
    assert caught.value.code == "STORE_FORBIDDEN"


def test_application_reads_and_inserts_by_sql(opened_as: As) -> None:
    operator = opened_as("cicsc_operator")
    operator.put_bundle(BUNDLE)
    operator.create_tenant("acme", bundle_digest=BUNDLE.digest, version=1, actor_id="ann")

    with psycopg.connect(opened_as("app_by_sql").shared_url, autocommit=True) as application:
        found = [application.execute(statement.encode()) for statement in SHOWN.split(";\n") if statement.strip()]
        assert [cursor.fetchall() for cursor in found[:-1]] == [[(1, 1)], []]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute("select owner from cicsc.gate")
    assert [(found.entity_id, found.seq, found.payload) for found in stored(operator, "acme")] == [
        ("o7", 1, {"total": 12})
    ]


def test_application_carries_out_commands(opened_as: As) -> None:
    operator = opened_as("cicsc_operator")
    operator.put_bundle(BANK)
    operator.create_tenant("t", bundle_digest=BANK.digest, version=3, actor_id="ann")
    runtime = cicsc.Runtime(opened_as("app_by_runtime"))

    runtime.execute("t", "Account", "1", "open", {"owner": "ann"}, actor="ann", command_id="first")
    runtime.execute("t", "Account", "1", "deposit", {"amount": 5}, actor="ann")

    assert operator.head("t").count == 2
