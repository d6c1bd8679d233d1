"""The write path of the runtime: snapshot, tail, events, receipt and audit in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from cicsc.errors import CicscError, FenceError, UsageError
from cicsc.replay.snapshot import Snapshot
from cicsc.store.base import SqlStore
from cicsc.store.protocol import Store, TenantTransaction
from cicsc.store.views import Transaction
from conformance.store.history import add_tenant, append, event, stored


def snapshot(entity_id: str = "1", last_seq: int = 1, *, tenant_id: str = "t", state: str = "new") -> Snapshot:
    return Snapshot(tenant_id, "Order", entity_id, state, {"total": 10**30}, {"late": None}, 1_000, last_seq)


def kept(store: Store, entity_id: str = "1") -> Snapshot | None:
    with store.reading("t") as reading:
        return reading.snapshot("Order", entity_id)


def test_everything_of_a_command_is_kept(store: Store) -> None:
    with store.transaction("t") as transaction:
        assert transaction.gate.active_generation == 1
        assert transaction.snapshot("Order", "1") is None
        assert list(transaction.events("Order", "1")) == []
        assert transaction.receipt("c1") is None
        transaction.append([event()])
        transaction.put_snapshots([snapshot()])
        transaction.put_receipt("c1", {"ok": True})
        transaction.record(actor_id="bob", action="execute", detail={"command": "create"})

    assert stored(store) == [event()]
    assert kept(store) == snapshot()
    assert [(entry.actor_id, entry.action) for entry in store.audit("t")][-1] == ("bob", "execute")
    with store.transaction("t") as transaction:
        receipt = transaction.receipt("c1")
    assert receipt is not None
    assert (receipt.tenant_id, receipt.command_id, receipt.result) == ("t", "c1", {"ok": True})
    assert abs(receipt.at_ms - store.gate("t").clock_ms) < 60_000


def test_transaction_sees_what_it_wrote(store: Store) -> None:
    with store.transaction("t") as transaction:
        transaction.append([event(seq=1)])
        transaction.append([event(seq=2, event_type="paid")])
        transaction.put_snapshots([snapshot(last_seq=2)])

        assert [found.seq for found in transaction.events("Order", "1", after_seq=1)] == [2]
        assert transaction.snapshot("Order", "1") == snapshot(last_seq=2)


def test_error_undoes_everything(store: Store) -> None:
    def broken() -> None:
        with store.transaction("t") as transaction:
            transaction.append([event()])
            transaction.put_snapshots([snapshot()])
            transaction.put_receipt("c1", {})
            transaction.record(actor_id="bob", action="execute", detail={})
            raise LookupError

    with pytest.raises(LookupError):
        broken()

    assert stored(store) == []
    assert kept(store) is None
    assert [entry.action for entry in store.audit()] == ["tenant-create"]
    with store.transaction("t") as transaction:
        assert transaction.receipt("c1") is None


@pytest.mark.parametrize(
    ("write", "code"),
    [
        (lambda transaction: transaction.append([event("2"), event("3", seq=7)]), "WRONG_SEQ"),
        (lambda transaction: transaction.put_snapshots([snapshot(tenant_id="u")]), "TENANT_DIFFERS"),
        (lambda transaction: transaction.put_receipt("c1", {}), "COMMAND_REPEATED"),
        (lambda transaction: transaction.record(actor_id="\ud800", action="execute", detail={}), "TEXT_NOT_STORABLE"),
    ],
    ids=["append", "put_snapshots", "put_receipt", "record"],
)
def test_refused_write_cannot_be_passed_over(
    store: Store, write: Callable[[TenantTransaction], None], code: str
) -> None:
    with store.transaction("t") as transaction:
        transaction.put_receipt("c1", {})

    def careless(*later: str) -> None:
        with store.transaction("t") as transaction:
            transaction.append([event("1")])
            with suppress(CicscError):
                write(transaction)
            for command_id in later:
                transaction.put_receipt(command_id, {})

    for later in ((), ("c2",)):
        with pytest.raises(CicscError) as caught:
            careless(*later)
        assert caught.value.code == code

    assert stored(store) == []
    assert [entry.action for entry in store.audit()] == ["tenant-create"]
    with store.transaction("t") as transaction:
        assert transaction.receipt("c2") is None


def test_receipt_is_given_once(store: Store) -> None:
    with store.transaction("t") as transaction:
        transaction.put_receipt("c1", {"first": 1})

    def again() -> None:
        with store.transaction("t") as transaction:
            transaction.append([event()])
            transaction.put_receipt("c1", {"second": 2})

    with pytest.raises(FenceError) as caught:
        again()

    assert caught.value.code == "COMMAND_REPEATED"
    assert stored(store) == []
    with store.transaction("t") as transaction:
        receipt = transaction.receipt("c1")
    assert receipt is not None
    assert receipt.result == {"first": 1}


def test_receipts_are_of_one_tenant(store: Store) -> None:
    add_tenant(store, "u")
    with store.transaction("t") as transaction:
        transaction.put_receipt("c1", {})

    with store.transaction("u") as transaction:
        assert transaction.receipt("c1") is None
        transaction.put_receipt("c1", {"other": 1})


def test_receipt_is_given_out_while_paused(store: Store) -> None:
    with store.transaction("t") as transaction:
        transaction.put_receipt("c1", {"done": True})
    store.pause("t", owner="ann", seconds=60)

    with store.transaction("t") as transaction:
        assert transaction.receipt("c1") is not None
        assert transaction.gate.is_paused

    with pytest.raises(FenceError) as caught, store.transaction("t") as transaction:
        transaction.append([event()])
    assert caught.value.code == "TENANT_PAUSED"


def test_transaction_is_of_one_tenant(store: Store) -> None:
    add_tenant(store, "u")

    with pytest.raises(UsageError), store.transaction("t") as transaction:
        transaction.append([event(tenant_id="u")])
    with pytest.raises(UsageError), store.transaction("t") as transaction:
        transaction.put_snapshots([snapshot(tenant_id="u")])

    assert (stored(store, "t"), stored(store, "u")) == ([], [])


def test_transactions_do_not_nest(store: Store) -> None:
    with pytest.raises(ValueError, match="transaction"), store.transaction("t"), store.transaction("t"):
        pytest.fail("the inner transaction began")


def test_reading_inside_a_transaction_sees_what_is_committed(store: Store) -> None:
    with store.transaction("t") as transaction:
        transaction.append([event()])
        with store.reading("t") as reading:
            assert reading.head().count == 0


# -------------------------------------------------------------------------------------------- snapshots


def test_snapshots_are_written_with_the_events(store: Store) -> None:
    store.append("t", [event("1"), event("2")], generation=1, snapshots=[snapshot("2"), snapshot("1")])

    assert list(store.snapshots("t")) == [snapshot("1"), snapshot("2")]


def test_snapshots_of_refused_events_are_not_written(store: Store) -> None:
    with pytest.raises(FenceError):
        store.append("t", [event(seq=2)], generation=1, snapshots=[snapshot()])

    assert list(store.snapshots("t")) == []


def test_snapshot_goes_forward_only(store: Store) -> None:
    store.put_snapshots("t", [snapshot(last_seq=5, state="five")], generation=1)
    store.put_snapshots("t", [snapshot(last_seq=4, state="four")], generation=1)
    store.put_snapshots("t", [snapshot(last_seq=5, state="another five")], generation=1)
    assert kept(store) == snapshot(last_seq=5, state="five")

    store.put_snapshots("t", [snapshot(last_seq=6, state="six")], generation=1)

    assert kept(store) == snapshot(last_seq=6, state="six")


def test_snapshots_of_another_generation_are_refused(store: Store) -> None:
    with pytest.raises(FenceError) as caught:
        store.put_snapshots("t", [snapshot()], generation=2)

    assert caught.value.code == "STALE_GENERATION"
    assert list(store.snapshots("t", 2)) == []


def test_snapshots_are_of_one_tenant(store: Store) -> None:
    add_tenant(store, "u")
    store.put_snapshots("u", [snapshot(tenant_id="u")], generation=1)

    assert list(store.snapshots("t")) == []
    assert list(store.snapshots("u")) == [snapshot(tenant_id="u")]


def test_snapshots_come_in_order_of_code_points(store: Store) -> None:
    names = ["b", "a", "B", "\U0001d54f", "\uffff", ""]
    store.put_snapshots("t", [snapshot(name) for name in names], generation=1)

    assert [found.entity_id for found in store.snapshots("t")] == sorted(names)


def test_snapshot_without_a_time(store: Store) -> None:
    empty = Snapshot("t", "Order", "1", "", {}, {}, None, 0)

    store.put_snapshots("t", [empty], generation=1)

    assert kept(store) == empty


def test_writer_that_keeps_no_snapshots_leaves_a_tail(store: Store) -> None:
    store.append("t", [event()], generation=1, snapshots=[snapshot()])
    append(store, event(seq=2, event_type="paid"))

    with store.reading("t") as reading:
        found = reading.snapshot("Order", "1")
        assert found is not None
        tail = list(reading.events("Order", "1", after_seq=found.last_seq))

    assert tail == [event(seq=2, event_type="paid")]


def test_what_a_signal_left_open_is_given_up_and_ends_no_later_transaction(store: Store) -> None:
    left = store.transaction("t")
    left.__enter__().append([event()])  # a signal may come before the block is entered, so nobody leaves it

    store.abandon()

    with store.transaction("t") as later:
        later.append([event(entity_id="2")])
        left.gen.close()  # as when it is collected at last
        later.append([event(entity_id="3")])
    assert [found.entity_id for found in stored(store)] == ["2", "3"]


def test_where_nothing_was_left_open_nothing_is_given_up(store: Store) -> None:
    store.abandon()
    append(store, event())
    store.abandon()

    assert stored(store) == [event()]


class _Signalled:
    """A connection on which a signal comes just when a transaction has begun."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str | bytes, *rest: Any) -> Any:
        found = self._connection.execute(statement, *rest)
        if statement[:5] in ("begin", b"begin"):
            raise KeyboardInterrupt
        return found


def test_signal_just_when_a_transaction_has_begun_leaves_none_open(
    store: SqlStore[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = store.asking()
    with monkeypatch.context() as patched:
        patched.setattr(database, "_connection", _Signalled(database._connection))
        with pytest.raises(KeyboardInterrupt):
            append(store, event())

    append(store, event())

    assert stored(store) == [event()]


def test_another_thread_stays_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that looked just before this thread began, and so saw no transaction."""

    def write() -> None:
        with store.transaction("t") as transaction:
            transaction.append([event("2")])

    with store.transaction("t") as transaction:
        transaction.append([event()])
        assert isinstance(transaction, Transaction)
        kind = type(transaction.database)
        with monkeypatch.context() as before:
            for name, seen in (("in_transaction", False), ("is_idle", True)):
                if hasattr(kind, name):
                    before.setattr(kind, name, seen)
            with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="another thread uses the store"):
                pool.submit(write).result()

    assert stored(store) == [event()]
    write()
    assert len(stored(store)) == 2


def test_forked_process_stays_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    append(store, event())
    with monkeypatch.context() as forked:
        forked.setattr("cicsc.store.user.os.getpid", lambda: 0)
        with pytest.raises(ValueError, match="before this process was forked"), store.transaction("t"):
            pass
        with pytest.raises(ValueError, match="before this process was forked"):
            store.gate("t")

    assert stored(store) == [event()]


def test_forked_process_ends_no_connection_of_its_parent(store: Store) -> None:
    with store.transaction("t") as transaction:
        transaction.append([event()])
        assert isinstance(transaction, Transaction)
        with pytest.MonkeyPatch.context() as forked:
            forked.setattr("cicsc.store.user.os.getpid", lambda: 0)
            transaction.database.close()

    assert stored(store) == [event()]
