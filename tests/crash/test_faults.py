"""Every call of the driver is made to fail in turn, in every way; the tenant stays whole, and the report says what is true.

In the full run (`make crash`) every call of a cutover fails in every way, on SQLite and on one version of PostgreSQL; on the
other, and during a rollback, a finalize, an import and a recovery, every call fails in one way and every commit in all. CI has
time for a part of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from typing import Any

import apsw
import pytest

from cicsc.errors import CicscError
from cicsc.operations.live import run as live_run
from cicsc.operations.live.cutover import Order, TenantCutover
from cicsc.operations.live.recovery import recover_tenant
from cicsc.operations.live.run import Timing
from cicsc.report.live.models import Cutover, StoreRollback
from crash import scenarios
from crash.application import OPERATOR, TARGET
from crash.conftest import RUNS
from crash.driver import Call, Watcher
from crash.faults import POSTGRES_FAULTS, SQLITE_FAULTS, Fault, Spoiler
from crash.ground import Ground, Tenant

LEASE_S = 60.0

EVERY = {("sqlite", "cutover"), ("postgres-18", "cutover")}
"""Where every call fails in every way."""


UNHEARD = (
    "ignore:.*was deleted while still open:ResourceWarning",  # a cursor whose end failed
    # rows that nobody asks for any more end with an error, which nobody hears
    r"ignore:Exception ignored in. <generator object Database\.(rows|batches):pytest.PytestUnraisableExceptionWarning",
)


@pytest.fixture
def spoiler(monkeypatch: pytest.MonkeyPatch) -> Spoiler:
    """Stands in front of the drivers."""
    made = Spoiler()
    made.watch(monkeypatch.setattr)
    monkeypatch.setattr(live_run, "FIRST_WAIT_S", 0.0005)  # nobody repairs the line in the meantime
    return made


def _places(calls: list[Call], faults: tuple[Fault, ...], *, every: bool) -> Iterator[tuple[int, Fault]]:
    """Which call is to fail, and how; those around a commit tell the most."""
    for number, call in enumerate(calls):
        for place, fault in enumerate(faults):
            is_its_turn = number % len(faults) == place
            if RUNS:
                chosen = every or call.is_commit or is_its_turn
            else:
                chosen = (call.is_commit and every and (number + place) % 2 == 0) or (
                    is_its_turn and number % (4 if every else 8) == 0
                )
            if chosen:
                yield number, fault


def _carry_out(ground: Ground, change: str, tenant: Tenant) -> Any:
    with ground.desk.open() as store:
        return scenarios.SCENARIOS[change](store, tenant.tenant_id, migration="rename", lease_s=LEASE_S)


def _prepare(ground: Ground, change: str) -> Tenant:
    tenant = ground.add_tenant()
    if change == "rollback":
        assert _carry_out(ground, "cutover", tenant).ok
        assert ground.write(tenant) is None
    return tenant


def _require_true(
    report: Cutover | StoreRollback, ground: Ground, tenant: Tenant, before: int, *, may_not_know: bool
) -> None:
    """Require that a report says what is so; what it could not find out it leaves open."""
    gate = ground.gate(tenant)
    assert report.tenant_paused in {None, gate.is_paused}
    assert report.active_version in {None, gate.active_version}
    assert report.mutated in {None, gate.active_generation != before}
    assert (report.exit_code == 0) == report.ok
    assert report.ok or report.error
    if report.ok:
        assert report.outcome == "switched"
        assert report.mutated
    assert report.mutated is not None or may_not_know


def _recover(ground: Ground, tenant: Tenant) -> None:
    """Follow whoever has the tenant, as an operator does who knows that it is dead."""
    run = ground.store.runs.holder(tenant.tenant_id)
    if run is not None:
        recover_tenant(ground.store, tenant.tenant_id, actor_id=OPERATOR, take_over=(run.run_id, run.epoch))


def _fail(ground: Ground, spoiler: Spoiler, change: str, fault: Fault, at: int) -> None:
    tenant = _prepare(ground, change)
    before = ground.gate(tenant).active_generation
    spoiler.arm(fault, at)
    try:
        report = _carry_out(ground, change, tenant)
    finally:
        struck = spoiler.disarm()
    if not struck:
        return
    _require_true(report, ground, tenant, before, may_not_know=fault.lasting)
    _recover(ground, tenant)
    version = ground.require_whole(tenant, "rename")
    assert (version == {"cutover": 2, "rollback": 1}[change]) == (ground.gate(tenant).active_generation != before)
    if at % 3 == 0 and ground.gate(tenant).active_generation == before:
        assert _carry_out(ground, change, tenant).ok
        ground.require_whole(tenant, "rename")
    ground.require_settled(tenant)


@pytest.mark.filterwarnings(*UNHEARD)
@pytest.mark.slow
@pytest.mark.parametrize("change", ["cutover", "rollback"])
def test_any_failing_call_leaves_a_whole_tenant(
    ground: Ground, spoiler: Spoiler, change: str, record_property: Any, request: pytest.FixtureRequest
) -> None:
    faults = SQLITE_FAULTS if ground.is_file else POSTGRES_FAULTS
    tenant = _prepare(ground, change)
    spoiler.arm(None, 0)
    assert _carry_out(ground, change, tenant).ok
    calls = list(spoiler.calls)
    done = 0
    for number, fault in _places(calls, faults, every=(ground.kind, change) in EVERY):
        try:
            _fail(ground, spoiler, change, fault, number)
        except BaseException as error:
            error.add_note(
                f"call {number} of {len(calls)}, {calls[number].what} {calls[number].statement[:80]!r}: {fault.name}"
            )
            raise
        done += 1
    record_property("crash", f"{request.node.name}: {done} failures at {len(calls)} calls")


# ------------------------------------------------------------------------------------------ what is no move of a tenant


def _die(ground: Ground, tenant: Tenant, *, switched: bool) -> None:
    """Leave a cutover as one does that died, before its switch or after it, with its lease over."""
    with ground.desk.open() as store:
        order = Order(
            target=TARGET, migration="rename", operator=OPERATOR, execute=True, timing=Timing(LEASE_S, LEASE_S)
        )
        change = TenantCutover(store, tenant.tenant_id, order)
        change.look()
        change._live = change._begin()
        for step in change.steps if switched else change.steps[:-1]:
            step(change)
    for table, condition in (("cutover", "tenant_id = ?"), ("gate", "state = 'paused' and tenant_id = ?")):
        ground.plain.execute(f"update {{{table}}} set lease_until_ms = 1 where {condition}", tenant.tenant_id)


def _made(ground: Ground, work: str) -> Tenant:
    """A tenant on which there is such work."""
    if work == "import":
        return ground.add_empty_tenant()
    tenant = ground.add_tenant()
    if work == "finalize":
        tenant.may_lose_old = True
        assert _carry_out(ground, "cutover", tenant).ok
    else:
        _die(ground, tenant, switched=work == "recover what switched")
    return tenant


def _work(ground: Ground, work: str, tenant: Tenant) -> bool:
    """Do it; tell whether it says that all went well."""
    name, options = work.partition(" ")[0], {} if work == "import" else {"lease_s": LEASE_S}
    try:
        with ground.desk.open() as store:
            report = scenarios.SCENARIOS[name](store, tenant.tenant_id, **options)
    except (CicscError, KeyboardInterrupt, MemoryError):
        return False
    return name == "recover" or report.ok


def _require_done(ground: Ground, work: str, tenant: Tenant) -> None:
    """Require what is true when it was done."""
    if work == "import":
        assert ground.store.head(tenant.tenant_id).count == len(tenant.source())
        tenant.before = ground.generation(tenant, 1)
    if work == "finalize":
        assert ground.generation(tenant, 1) == []
    assert ground.store.runs.holder(tenant.tenant_id) is None


@pytest.mark.filterwarnings(*UNHEARD)
@pytest.mark.slow
@pytest.mark.parametrize("work", ["finalize", "import", "recover what staged", "recover what switched"])
def test_any_failing_call_beside_a_move_leaves_a_whole_tenant(
    ground: Ground, spoiler: Spoiler, work: str, record_property: Any, request: pytest.FixtureRequest
) -> None:
    tenant = _made(ground, work)
    spoiler.arm(None, 0)
    assert _work(ground, work, tenant)
    calls, done = list(spoiler.calls), 0
    _require_done(ground, work, tenant)
    version = 1 if work in {"import", "recover what staged"} else 2
    for number, fault in _places(calls, SQLITE_FAULTS if ground.is_file else POSTGRES_FAULTS, every=False):
        tenant, where = _made(ground, work), f"call {number} of {len(calls)}, {calls[number]}: {fault.name}"
        spoiler.arm(fault, number)
        is_done = _work(ground, work, tenant)
        if not spoiler.disarm():
            continue
        if is_done:
            _require_done(ground, work, tenant)
        _recover(ground, tenant)
        if work == "import":
            assert ground.store.head(tenant.tenant_id).count in {0, len(tenant.source())}, where
        assert _work(ground, work, tenant), where
        _require_done(ground, work, tenant)
        assert ground.require_whole(tenant, "rename") == version, where
        ground.require_settled(tenant)
        done += 1
    assert done
    record_property("crash", f"{request.node.name}: {done} failures at {len(calls)} calls")


# ------------------------------------------------------------------------------------------------------- a full disk


class _PageLimit(Watcher):
    """Lets a file grow by so many pages and no more, as a full disk would."""

    def __init__(self) -> None:
        self.pages: int | None = None

    def call(self, call: Call, carry_out: Any) -> Any:
        made = carry_out()
        if call.what == "connect" and self.pages is not None:
            made.execute(f"pragma max_page_count = {self.pages}").fetchall()
        return made


@pytest.mark.parametrize("ground", ["sqlite"], indirect=True)
def test_a_disk_that_fills_up_leaves_a_whole_tenant(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_run, "FIRST_WAIT_S", 0.0005)
    limit = _PageLimit()
    limit.watch(monkeypatch.setattr)
    codes = set()
    for room in count(step=2):
        tenant = _prepare(ground, "cutover")
        ground.grow(tenant, 300)
        with closing(apsw.Connection(str(ground.desk.path))) as connection:
            connection.execute("vacuum")  # so that no page is free
            ((used,),) = connection.execute("pragma page_count").fetchall()
        limit.pages = used + room
        report = _carry_out(ground, "cutover", tenant)
        limit.pages = None
        _require_true(report, ground, tenant, 1, may_not_know=False)
        _recover(ground, tenant)
        assert ground.require_whole(tenant, "rename") == (2 if report.mutated else 1)
        ground.require_settled(tenant)
        if report.ok:
            break
        codes.add(report.error["code"])
    assert room > 8
    assert codes == {"STORE_FULL"}
