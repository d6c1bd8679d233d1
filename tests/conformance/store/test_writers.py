"""Several writers at once: nothing acknowledged is lost, and a pause waits for who is writing."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cicsc.errors import FenceError
from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, append, columns, event, stored

WRITERS = 4
EVENTS = 25
WAIT_S_MAX = 20


def write_own_stream(desk: Desk, name: str) -> list[int]:
    with desk.open() as store:
        for seq in range(1, EVENTS + 1):
            append(store, event(name, seq, payload={"by": name}))
    return list(range(1, EVENTS + 1))


def write_shared_stream(desk: Desk, name: str) -> list[int]:
    """Append to one stream that all write to; return the seqs that were acknowledged."""
    done: list[int] = []
    seq = 1
    with desk.open() as store:
        while len(done) < EVENTS:
            try:
                append(store, event("shared", seq, payload={"by": name}))
                done.append(seq)
            except FenceError as error:
                if error.code != "WRONG_SEQ":
                    raise
            with store.reading("t") as reading:
                seq = 1 + max(
                    (found.seq for found in reading.events("Order", "shared", after_seq=seq - 1)), default=seq
                )
    return done


@pytest.mark.parametrize("work", [write_own_stream, write_shared_stream])
def test_writers_lose_nothing(desk: Desk, store: Store, work) -> None:
    names = [f"w{number}" for number in range(WRITERS)]
    with ThreadPoolExecutor(WRITERS) as pool:
        acknowledged = dict(zip(names, pool.map(work, [desk] * WRITERS, names), strict=True))

    found: dict[str, list[int]] = {name: [] for name in names}
    for one in stored(store):
        found[str(one.payload["by"])].append(one.seq)
    assert found == acknowledged
    for _, events in store.streams("t"):
        seqs = [one.seq for one in events]
        assert seqs == list(range(1, len(seqs) + 1))


def test_of_two_writers_of_one_seq_one_is_refused(desk: Desk, store: Store) -> None:
    with desk.open() as other:
        append(store, event(seq=1))
        with pytest.raises(FenceError) as caught:
            append(other, event(seq=1))
        append(other, event(seq=2))

    assert caught.value.code == "WRONG_SEQ"
    assert store.head("t").count == 2


def test_pause_waits_for_who_is_writing(desk: Desk, store: Store, plain: Plain) -> None:
    plain.begin()
    plain.execute(INSERT, *columns(event()))
    began, seen = threading.Event(), []

    def pause() -> None:
        with desk.open() as other:
            began.set()
            other.pause("t", owner="ann", seconds=60)
            seen.append(other.head("t").count)

    runner = threading.Thread(target=pause)
    runner.start()
    assert began.wait(WAIT_S_MAX)
    runner.join(0.3)
    assert runner.is_alive()
    assert seen == []
    plain.commit()
    runner.join(WAIT_S_MAX)

    assert seen == [1]
    with pytest.raises(FenceError):
        append(store, event("2"))


def test_open_transaction_holds_the_pause_back(desk: Desk, store: Store) -> None:
    seen = []

    def pause() -> None:
        with desk.open() as other:
            other.pause("t", owner="ann", seconds=60)
            seen.append(other.head("t").count)

    runner = threading.Thread(target=pause)
    with store.transaction("t") as transaction:
        runner.start()
        runner.join(0.3)
        transaction.append([event()])
        assert seen == []
    runner.join(WAIT_S_MAX)

    assert seen == [1]


def test_writer_that_is_undone_leaves_nothing(store: Store, plain: Plain) -> None:
    plain.begin()
    plain.execute(INSERT, *columns(event()))
    plain.rollback()

    append(store, event())

    assert stored(store) == [event()]


def test_of_several_who_pause_one_holds_the_gate(desk: Desk, store: Store) -> None:
    def pause(name: str) -> str:
        with desk.open() as other:
            try:
                return str(other.pause("t", owner=name, seconds=60).owner)
            except FenceError as error:
                return error.code

    with ThreadPoolExecutor(WRITERS) as pool:
        answers = list(pool.map(pause, [f"w{number}" for number in range(WRITERS)]))

    assert sorted(answers)[: WRITERS - 1] == ["GATE_HELD"] * (WRITERS - 1)
    assert store.gate("t").owner == max(answers)
    assert store.gate("t").epoch == 2
