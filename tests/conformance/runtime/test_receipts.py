"""A command with an id is done once, however often it is asked for."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from cicsc.errors import CommandError, FenceError, StoreError
from cicsc.runtime import CommandResult, Runtime
from cicsc.runtime.result import request_digest
from cicsc.store.protocol import Store
from conformance.store.desk import Desk

ASKERS = 4


def deposit(runtime: Runtime, command_id: str = "c1", **more) -> CommandResult:
    given = more.pop("input", {"amount": 5, "note": "é\n𝄞"})
    words = {"actor": "bob", "command_id": command_id} | more
    return runtime.execute("t", "Account", "1", "deposit", given, **words)


def test_repeated_command_answers_what_it_answered(store: Store, runtime: Runtime, account: CommandResult) -> None:
    first = deposit(runtime)
    deposit(runtime, "c2")
    again = deposit(Runtime(store), now=99, expected_seq=1)

    assert (first.repeated, again.repeated) == (False, True)
    assert again == replace(first, repeated=True)
    assert store.head("t").count == 3


def test_receipt_is_given_to_a_program_of_another_version(store: Store, account: CommandResult) -> None:
    old = Runtime(store, version=2)
    first = deposit(Runtime(store, version=3))

    assert deposit(old).events == first.events
    with pytest.raises(FenceError) as caught:
        deposit(old, "c2")
    assert caught.value.code == "STALE_GENERATION"
    assert store.head("t").count == 2


def test_receipt_is_given_while_paused(store: Store, runtime: Runtime, account: CommandResult) -> None:
    first = deposit(runtime)
    store.pause("t", owner="ops", seconds=60)

    assert deposit(runtime).events == first.events


def test_receipt_of_a_command_that_emits_nothing(store: Store, runtime: Runtime, account: CommandResult) -> None:
    words = ("t", "Account", "1", "look", {})
    runtime.execute(*words, actor="ann", command_id="c1")
    again = runtime.execute(*words, actor="ann", command_id="c1")

    assert (again.repeated, again.events, again.snapshot) == (True, (), account.snapshot)
    assert [entry.action for entry in store.audit("t")].count("execute") == 2


@pytest.mark.parametrize("more", [{"input": {"amount": 6}}, {"actor": "ann"}])
def test_id_of_another_request_is_refused(
    store: Store, runtime: Runtime, account: CommandResult, more: dict[str, object]
) -> None:
    deposit(runtime)

    with pytest.raises(CommandError) as caught:
        deposit(runtime, **more)
    assert caught.value.code == "COMMAND_ID_REUSED"
    assert store.head("t").count == 2


def test_receipt_of_another_program_is_refused(store: Store, runtime: Runtime, account: CommandResult) -> None:
    with store.transaction("t") as transaction:
        transaction.put_receipt("c1", {"ok": True})

    with pytest.raises(CommandError) as caught:
        deposit(runtime)
    assert caught.value.code == "COMMAND_ID_REUSED"


def test_receipt_that_cannot_be_read(store: Store, runtime: Runtime, account: CommandResult) -> None:
    digest = request_digest("Account", "1", "look", {}, "ann")
    for number, rest in enumerate(({}, {"events": 1}, {"events": [], "snapshot": []}, {"events": [[1]]})):
        with store.transaction("t") as transaction:
            transaction.put_receipt(f"c{number}", {"request_digest": digest} | rest)

        with pytest.raises(StoreError) as caught:
            runtime.execute("t", "Account", "1", "look", {}, actor="ann", command_id=f"c{number}")
        assert caught.value.code == "STORE_DAMAGED"


def test_deep_payload_comes_back_from_its_receipt(runtime: Runtime) -> None:
    owner: object = 10**30
    for _ in range(126):
        owner = [owner]
    words = ("t", "Account", "deep", "open", {"owner": owner})
    first = runtime.execute(*words, actor="ann", command_id="c1")

    again = runtime.execute(*words, actor="ann", command_id="c1")
    assert again.events == first.events
    assert again.snapshot.attrs["owner"] == owner


def test_same_command_from_several_is_done_once(desk: Desk, store: Store, account: CommandResult) -> None:
    together = threading.Barrier(ASKERS)

    def ask(number: int) -> list[bool]:
        with desk.open() as own:
            runtime, answers = Runtime(own), []
            for turn in range(5):
                together.wait(20)
                expected = {"expected_seq": 1 + turn} if number % 2 else {}
                answers.append(deposit(runtime, f"turn {turn}", **expected).repeated)
            return answers

    with ThreadPoolExecutor(ASKERS) as pool:
        answers = list(pool.map(ask, range(ASKERS)))

    assert [sorted(turn) for turn in zip(*answers, strict=True)] == [[False] + [True] * (ASKERS - 1)] * 5
    assert store.head("t").count == 6


def test_same_silent_command_from_several_is_done_once(desk: Desk, store: Store, account: CommandResult) -> None:
    together = threading.Barrier(ASKERS)

    def ask(_: int) -> bool:
        with desk.open() as own:
            together.wait(20)
            return Runtime(own).execute("t", "Account", "1", "look", {}, actor="ann", command_id="c1").repeated

    with ThreadPoolExecutor(ASKERS) as pool:
        assert sorted(pool.map(ask, range(ASKERS))) == [False] + [True] * (ASKERS - 1)
