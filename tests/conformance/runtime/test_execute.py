"""One command: what it writes, when it is refused, and that a refusal leaves nothing."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from cicsc.errors import CicscError, CommandError, CommandInputError, FenceError, HistoryError, InputError, UsageError
from cicsc.history.model import Event
from cicsc.operations.export_history import export_history
from cicsc.operations.history import verify_history
from cicsc.operations.sources import StoreSource
from cicsc.replay.snapshot import Snapshot
from cicsc.runtime import CommandResult, Runtime
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from conformance.runtime.bank import ACTOR, AMOUNT, NUMBER, bank, command, field, text
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, stored

HOSTILE = ("'; drop table event; --", 'a"b', "a\nb", "a\\b", "%s {} ?", "", " ", "../../x", "𝄞", "a::b")


def deposit(runtime: Runtime, amount: object = 5, *, tenant_id: str = "t", **more) -> CommandResult:
    return runtime.execute(tenant_id, "Account", "1", "deposit", {"amount": amount}, **({"actor": "bob"} | more))


def refused(act: Callable[[], object]) -> CicscError:
    with pytest.raises(CicscError) as caught:
        act()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), vars(again)) == (type(caught.value), vars(caught.value))
    return caught.value


def count_of(store: Store) -> tuple[int, int]:
    """How many events and entries of the audit there are."""
    return store.head("t").count, len(list(store.audit("t")))


def test_command_writes_event_snapshot_and_audit(store: Store, runtime: Runtime, account: CommandResult) -> None:
    result = deposit(runtime, now=2_000, command_id="c1")

    fields = {"amount": 5, "by": "bob", "at": 2_000, "note": None, "way": "cash"}
    event = Event("t", "Account", "1", 2, "deposited", fields, 2_000, "bob")
    snapshot = Snapshot("t", "Account", "1", "open", {"owner": "ann", "balance": 5}, {"latest": 5}, 2_000, 2)
    assert result == CommandResult("t", "Account", "1", "deposit", "c1", False, 3, (event,), snapshot, 2)
    assert stored(store)[1:] == [event]
    assert list(store.snapshots("t")) == [snapshot]
    entry = list(store.audit("t"))[-1]
    assert (entry.actor_id, entry.action) == ("bob", "execute")
    assert entry.detail == {
        "entity_type": "Account",
        "entity_id": "1",
        "command": "deposit",
        "command_id": "c1",
        "version": 3,
        "events": 1,
        "last_seq": 2,
    }


def test_now_is_the_clock_of_the_database(store: Store, runtime: Runtime) -> None:
    before = store.gate("t").clock_ms
    result = runtime.execute("t", "Account", "1", "open", {"owner": None}, actor="ann")

    assert before <= result.events[0].ts <= store.gate("t").clock_ms


def test_payloads_see_the_entity_as_it_was_before(runtime: Runtime, account: CommandResult) -> None:
    deposit(runtime, 7)
    result = runtime.execute("t", "Account", "1", "swap", {}, actor="ann")

    assert [event.payload for event in result.events] == [{"amount": 7}, {"amount": 7}]
    assert (result.snapshot.attrs["balance"], result.last_seq) == (7, 4)


def test_command_that_emits_nothing(store: Store, runtime: Runtime, account: CommandResult) -> None:
    result = runtime.execute("t", "Account", "1", "look", {}, actor="ann")

    assert (result.events, result.last_seq, result.snapshot) == ((), 1, account.snapshot)
    assert count_of(store) == (1, 3)


def test_command_on_an_entity_without_events_keeps_no_snapshot(store: Store, runtime: Runtime) -> None:
    ask = bank(ask=command({"is_null": field("row", "updated_ts")}, {}))
    store.put_bundle(ask)
    store.create_tenant("u", bundle_digest=ask.digest, version=4, actor_id="ann")
    result = runtime.execute("u", "Account", "1", "ask", {}, actor="ann")

    assert result.snapshot == Snapshot("u", "Account", "1", "new", {}, {}, None, 0)
    assert list(store.snapshots("u")) == []


def test_tail_that_another_program_wrote_is_folded(
    store: Store, runtime: Runtime, account: CommandResult, plain: Plain
) -> None:
    plain.execute(INSERT, "t", 1, "Account", "1", 2, "deposited", '{"amount": 40}', 5, "mallory")

    assert deposit(runtime).snapshot.attrs["balance"] == 45
    assert check_store(store).ok


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (("Account", "1", "deposit", {"amount": -1}), CommandError, "GUARD_REFUSED"),
        (("Account", "2", "deposit", {"amount": 1}), CommandError, "GUARD_REFUSED"),
        (("Account", "1", "withdraw", {"amount": 1}), CommandError, "CONSTRAINT_VIOLATED"),
        (("Account", "1", "rob", {}), CommandError, "UNKNOWN_COMMAND_OF_TYPE"),
        (("Konto", "1", "open", {}), CommandError, "UNKNOWN_ENTITY_TYPE"),
        (("Account", "1", "deposit", {}), CommandInputError, "INPUT_INVALID"),
        (("Account", "1", "deposit", {"amount": float("nan")}), InputError, "VALUE_NOT_JSON"),
        (("Account", "1", "deposit", {"amount": {1, 2}}), InputError, "VALUE_NOT_JSON"),
        (("Account", "1", "deposit", [1]), UsageError, "INVALID_VALUE"),
        (("Account", 1, "deposit", {}), UsageError, "INVALID_VALUE"),
        (("Account", "\ud800", "open", {}), InputError, "VALUE_NOT_JSON"),
    ],
)
def test_refusals_leave_nothing(
    store: Store, runtime: Runtime, account: CommandResult, words, kind: type[CicscError], code: str
) -> None:
    error = refused(lambda: runtime.execute("t", *words, actor="ann", command_id="c1"))

    assert (type(error), error.code) == (kind, code)
    assert count_of(store) == (1, 2)
    assert list(store.snapshots("t")) == [account.snapshot]
    assert not deposit(runtime, command_id="c1").repeated


def test_unknown_tenant(runtime: Runtime) -> None:
    assert refused(lambda: deposit(runtime, tenant_id="nobody")).code == "UNKNOWN_TENANT"


@pytest.mark.parametrize(
    "more", [{"now": 2**63}, {"now": True}, {"now": 1.0}, {"expected_seq": -1}, {"command_id": ""}, {"actor": None}]
)
def test_wrong_calls(runtime: Runtime, account: CommandResult, more: dict[str, object]) -> None:
    assert refused(lambda: deposit(runtime, **more)).code == "INVALID_VALUE"


def test_expected_seq(store: Store, runtime: Runtime, account: CommandResult) -> None:
    assert deposit(runtime, expected_seq=1).last_seq == 2
    error = refused(lambda: deposit(runtime, expected_seq=1))

    assert isinstance(error, FenceError)
    assert error.code == "WRONG_SEQ"
    assert "is at seq 2" in error.message
    assert store.head("t").count == 2


def test_expected_seq_of_an_entity_that_is_not_there(runtime: Runtime) -> None:
    opened = runtime.execute("t", "Account", "9", "open", {"owner": 1}, actor="ann", expected_seq=0)

    assert opened.last_seq == 1
    words = ("t", "Account", "9", "deposit", {"amount": 1})
    assert refused(lambda: runtime.execute(*words, actor="ann", expected_seq=0)).code == "WRONG_SEQ"


def test_paused_tenant(store: Store, runtime: Runtime, account: CommandResult) -> None:
    store.pause("t", owner="ops", seconds=60)
    error = refused(lambda: deposit(runtime))
    silent = refused(lambda: runtime.execute("t", "Account", "1", "look", {}, actor="ann"))

    assert (error.code, silent.code) == ("TENANT_PAUSED", "TENANT_PAUSED")
    assert "'ops'" in error.message


def test_host_answers_guards(store: Store, account: CommandResult) -> None:
    asked: list[tuple[object, ...]] = []

    def has_role(*arguments: object) -> bool:
        asked.append(arguments)
        return arguments[0] == "boss"

    runtime = Runtime(store, host={"has_role": has_role})
    error = refused(lambda: runtime.execute("t", "Account", "1", "close", {}, actor="bob"))
    result = runtime.execute("t", "Account", "1", "close", {}, actor="boss")

    assert error.code == "GUARD_REFUSED"
    assert asked == [("bob", "manager"), ("boss", "manager")]
    assert (result.snapshot.state, result.snapshot.attrs) == ("closed", {})


def test_without_a_host_its_functions_are_null(runtime: Runtime, account: CommandResult) -> None:
    assert refused(lambda: runtime.execute("t", "Account", "1", "close", {}, actor="boss")).code == "GUARD_REFUSED"


def test_host_that_fails_leaves_nothing(store: Store, account: CommandResult) -> None:
    def broken(*_: object) -> object:
        raise LookupError("no directory")

    with pytest.raises(LookupError, match="no directory"):
        Runtime(store, host={"has_role": broken}).execute("t", "Account", "1", "close", {}, actor="ann")

    assert count_of(store) == (1, 2)
    assert deposit(Runtime(store)).last_seq == 2


def test_bundle_that_is_active_decides(store: Store, runtime: Runtime) -> None:
    generous = bank(withdraw=command({"eq": [ACTOR, text("ann")]}, {"withdrawn": {"amount": AMOUNT}}, amount=NUMBER))
    store.put_bundle(generous)
    store.create_tenant("u", bundle_digest=generous.digest, version=4, actor_id="ann")
    runtime.execute("t", "Account", "1", "open", {"owner": 1}, actor="ann")
    words = ("Account", "1", "withdraw", {"amount": 0})

    assert runtime.execute("u", *words, actor="ann").version == 4
    assert refused(lambda: runtime.execute("u", *words, actor="bob")).code == "GUARD_REFUSED"
    assert runtime.execute("t", *words, actor="bob").version == 3


def test_stream_that_cannot_be_replayed_is_refused(
    store: Store, runtime: Runtime, account: CommandResult, desk: Desk, plain: Plain
) -> None:
    desk.drop_trigger(plain, "fence_insert") if "postgres" in desk.url else drop_all(plain)
    plain.execute(INSERT, "t", 1, "Account", "1", 2, "vanished", "{}", 5, "mallory")
    unknown = refused(lambda: deposit(runtime))
    plain.execute(INSERT, "t", 1, "Account", "2", 2, "deposited", "{}", 5, "mallory")
    gap = refused(lambda: runtime.execute("t", "Account", "2", "open", {"owner": 1}, actor="ann"))

    assert isinstance(unknown, HistoryError)
    assert (unknown.code, gap.code) == ("NOT_REPLAYABLE", "HISTORY_NOT_INTACT")


def drop_all(plain: Plain) -> None:
    names = plain.execute("select name from sqlite_schema where type = 'trigger' and tbl_name = 'event'")
    for (name,) in names:
        plain.execute(f"drop trigger {name}")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(store: Store, runtime: Runtime, account: CommandResult, name: str) -> None:
    store.create_tenant(name, bundle_digest=store.gate("t").active_bundle, version=3, actor_id=name or "ann")
    runtime.execute(name, "Account", name, "open", {"owner": name}, actor=name)
    result = runtime.execute(
        name, "Account", name, "deposit", {"amount": 1, "note": name}, actor=name, command_id=f"c{name}"
    )
    again = runtime.execute(
        name, "Account", name, "deposit", {"amount": 1, "note": name}, actor=name, command_id=f"c{name}"
    )

    assert (result.entity_id, result.events[0].payload["note"], result.events[0].actor_id) == (name, name, name)
    assert (again.repeated, again.events) == (True, result.events)
    assert stored(store, name)[-1:] == list(result.events)
    assert store.head("t").count == 1
    assert check_store(store).ok


def test_guards_and_payloads_see_shadows_as_attributes(store: Store, runtime: Runtime) -> None:
    seen = {"ge": [field("attrs", "latest"), field("row", "latest")]}
    bundle = bank(again=command(seen, {"deposited": {"amount": field("attrs", "latest")}}))
    store.put_bundle(bundle)
    store.create_tenant("u", bundle_digest=bundle.digest, version=4, actor_id="ann")
    runtime.execute("u", "Account", "1", "open", {"owner": 1}, actor="ann")
    deposit(runtime, 4, tenant_id="u")

    assert runtime.execute("u", "Account", "1", "again", {}, actor="ann").snapshot.attrs["balance"] == 8


def test_payload_that_could_not_be_read_again(store: Store, runtime: Runtime, tmp_path: Path) -> None:
    deepest: object = 0
    for _ in range(126):
        deepest = [deepest]
    runtime.execute("t", "Account", "1", "open", {"owner": deepest}, actor="ann")
    error = refused(lambda: runtime.execute("t", "Account", "2", "open", {"owner": [deepest]}, actor="ann"))

    assert (type(error), error.code) == (CommandError, "PAYLOAD_TOO_LARGE")
    assert "expected a payload of 'opened' with at most 126 levels of nesting in a value" in error.message
    assert count_of(store) == (1, 2)
    export_history(StoreSource(store, ["t"]), tmp_path / "t.jsonl")
    assert verify_history(tmp_path / "t.jsonl").ok


def test_event_that_is_longer_than_a_file_may_hold(store: Store, runtime: Runtime) -> None:
    longest = "n" * (16 * 2**20)
    error = refused(lambda: runtime.execute("t", "Account", "1", "open", {"owner": longest}, actor="ann"))

    assert (type(error), error.code) == (CommandError, "PAYLOAD_TOO_LARGE")
    assert "expected an event 'opened' of at most 16777216 bytes of text, found 167" in error.message
    assert count_of(store) == (0, 1)


def test_payload_that_would_double_with_each_command(store: Store, runtime: Runtime, account: CommandResult) -> None:
    owner = field("attrs", "owner")
    open_account = command({"lit": {"bool": True}}, {"opened": {"owner": field("input", "owner")}}, owner={})
    copy = command(
        {"lit": {"bool": True}}, {"opened": {"owner": {"coalesce": [field("attrs", "owner")]}, "other": owner}}
    )
    growing = bank(start=open_account, double=copy)
    store.put_bundle(growing)
    store.create_tenant("u", bundle_digest=growing.digest, version=4, actor_id="ann")
    runtime.execute("u", "Account", "1", "start", {"owner": [0] * 100_000}, actor="ann")
    error = refused(lambda: runtime.execute("u", "Account", "1", "double", {}, actor="ann"))

    assert error.code == "PAYLOAD_TOO_LARGE"
    assert "a weight of 100,000 beside that of the input" in error.message
    runtime.execute("u", "Account", "2", "start", {"owner": [0] * 40_000}, actor="ann")
    assert runtime.execute("u", "Account", "2", "double", {}, actor="ann").last_seq == 2


def test_bundles_that_were_used_last_are_kept(store: Store, runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.runtime.runtime.BUNDLES_MAX", 2)
    digests = {}
    for tenant_id in ("a", "b", "c"):
        bundle = bank(**{f"look_{tenant_id}": command({"lit": {"bool": True}}, {})})
        store.put_bundle(bundle)
        store.create_tenant(tenant_id, bundle_digest=bundle.digest, version=3, actor_id="ann")
        digests[tenant_id] = bundle.digest

    for tenant_id in ("a", "b", "a", "c"):
        runtime.execute(tenant_id, "Account", "1", f"look_{tenant_id}", {}, actor="ann")

    assert list(runtime._applications) == [digests["a"], digests["c"]]
