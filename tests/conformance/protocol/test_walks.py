"""The rules of the machine called by hand: each can fire, and sees what it is there for. So the machine cannot pass by doing nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.protocol.bench import TENANTS
from conformance.protocol.machine import DEEDS, MEANWHILE, PLACES, Protocol
from conformance.protocol.passers import DISTURBANCES
from conformance.protocol.walk import BEGIN, RECORD
from conformance.store.conftest import KINDS

T, HOSTILE = TENANTS


@pytest.fixture
def walk(machine: type[Protocol]) -> Iterator[Protocol]:
    """A machine; that every tenant is open at last is checked when the test is over."""
    made = machine()
    yield made
    made.teardown()


def outcomes(walk: Protocol, name: str) -> set[str]:
    return {outcome for found, outcome in walk.tally if found == name}


def write(walk: Protocol, tenant_id: str = T, number: int = 0, entity_id: str = "a", total: int = 1) -> None:
    walk.write(tenant_id, entity_id, number, total, "sql")


@pytest.mark.parametrize("tenant_id", TENANTS)
def test_there_and_back_through_all_versions(walk: Protocol, tenant_id: str) -> None:
    for number, way in ((0, "store"), (1, "runtime"), (0, "sql"), (0, "import")):
        walk.write(tenant_id, "a", number, 1, way)
    walk.execute(tenant_id, 1)
    walk.run(tenant_id, "cutover", RECORD)
    walk.execute(tenant_id, 1)
    write(walk, tenant_id, 1)
    walk.run(tenant_id, "rollback", RECORD)  # something was written, so through the inverse
    assert walk.seen[tenant_id].gate.active_generation == 3
    walk.run(tenant_id, "cutover", RECORD)
    write(walk, tenant_id, 2, "b")  # audited: no way back by the inverse
    walk.run(tenant_id, "rollback", RECORD)
    walk.run(tenant_id, "cutover", RECORD)
    assert walk.seen[tenant_id].gate.active_version == 3
    walk.run(tenant_id, "rollback", RECORD)  # nothing was written, so to the generation before
    assert walk.seen[tenant_id].gate.active_generation == 4
    walk.run(tenant_id, "finalize", RECORD)

    assert {"ok", "ROLLBACK_UNSAFE"} <= outcomes(walk, "rollback open_check")
    assert [name for name, _ in walk.tally if name == "command again"] == ["command again"]
    assert outcomes(walk, "cutover switch") == outcomes(walk, "rollback switch") == {"ok"}
    assert sorted(walk.ledgers[tenant_id].histories) == [4]
    methods = [run.method for run in walk.seen[tenant_id].runs.values() if run.switched_at_ms is not None]
    assert sorted(filter(None, methods)) == ["inverse", "migrate", "migrate", "migrate", "reactivate"]


@pytest.mark.parametrize(
    "fault", ["old generation", "next generation", "unknown type", "seq too small", "seq too large"]
)
def test_wrong_writes_are_refused(walk: Protocol, fault: str) -> None:
    write(walk)
    walk.run(T, "cutover", RECORD)
    for way in ("store", "runtime", "sql"):
        walk.write_wrongly(T, fault, way)

    expected = {
        "old generation": "STALE_GENERATION",
        "next generation": "STALE_GENERATION",
        "unknown type": "UNKNOWN_EVENT_TYPE",
    }
    assert outcomes(walk, "write by sql") == {"ok", expected.get(fault, "WRONG_SEQ")}


@pytest.mark.parametrize("way", ["store", "runtime", "sql", "import"])
def test_paused_tenant_takes_nothing(walk: Protocol, way: str) -> None:
    walk.execute(T, 1)
    walk.run(T, "cutover", "pause")
    walk.write(T, "a", 0, 1, way)
    walk.execute(T, 1)
    walk.execute(T, 2)
    walk.write(HOSTILE, "a", 0, 1, way)

    assert "TENANT_PAUSED" in outcomes(walk, f"write by {way}")
    assert (outcomes(walk, "command again"), outcomes(walk, "command")) == ({"ok"}, {"ok", "TENANT_PAUSED"})


@pytest.mark.parametrize("last", [BEGIN, "open_preflight", "pause", "verify_and_write", "read_back", "switch"])
@pytest.mark.parametrize("way", ["lease", "take-over"])
def test_run_that_was_followed_changes_nothing_more(walk: Protocol, last: str, way: str) -> None:
    write(walk)
    walk.start(T, "cutover")
    walk.advance_beyond(0, last)
    if way == "lease":
        walk.let_lease_end(T)
        write(walk)
        walk.recover(T)
    else:
        walk.take_over(T, is_stale=True)
        walk.take_over(T, is_stale=False)
    write(walk)
    for deed in DEEDS:
        walk.act_as_zombie(0, deed)
    walk.renew(0)
    walk.advance_beyond(0, "never")

    assert walk.walks[0] is not None
    assert walk.walks[0].is_lost
    assert walk.ledgers[T].version == (2 if last == "switch" else 1)


def test_zombie_goes_on_while_another_recovers(walk: Protocol) -> None:
    write(walk)
    walk.run(T, "cutover", "read_back")
    walk.let_lease_end(T)
    walk.claim_and_crash(T)
    walk.advance_beyond(0, "never")

    assert walk.seen[T].holder is not None


def test_zombie_of_a_switched_run_leaves_it_to_who_recovers(walk: Protocol) -> None:
    write(walk)
    walk.run(T, "cutover", "switch")
    walk.let_lease_end(T)
    walk.claim_and_crash(T)
    walk.advance_beyond(0, "never")

    assert walk.seen[T].holder is not None


def test_tenant_that_moves_between_the_look_and_the_begin(walk: Protocol) -> None:
    write(walk)
    walk.start(T, "cutover")
    walk.run(T, "cutover", RECORD)
    walk.advance_beyond(0, "never")

    assert walk.ledgers[T].version == 2
    assert outcomes(walk, "cutover switch") == {"ok"}


@pytest.mark.parametrize("step", ["verify_and_write", "read_back"])
def test_crash_in_the_middle_is_recovered(walk: Protocol, step: str) -> None:
    write(walk)
    walk.start(T, "cutover")
    walk.advance_beyond(0, "pause" if step == "verify_and_write" else "verify_and_write")
    walk.crash(0, inside=True)
    assert walk.seen[T].rows(2)
    walk.recover(T)
    walk.let_lease_end(T)
    walk.run(T, "cutover", RECORD)

    assert outcomes(walk, "crash") == {f"inside {step}"}
    assert outcomes(walk, "recover") == {"RUN_HELD"}
    assert walk.ledgers[T].generation == 3


def test_crash_in_finalizing_is_finished_by_the_next(walk: Protocol) -> None:
    write(walk)
    walk.run(T, "cutover", RECORD)
    walk.start(T, "finalize")
    walk.advance_beyond(0, "open_check")
    walk.crash(0, inside=True)
    walk.let_lease_end(T)
    walk.run(T, "finalize", RECORD)

    assert sorted(walk.ledgers[T].histories) == [2]


def test_late_run_switches_never(walk: Protocol) -> None:
    write(walk)
    walk.run(T, "cutover", "read_back")
    walk.let_lease_end(T)
    walk.advance(0)
    assert outcomes(walk, "cutover switch, lost") == {"LEASE_OVER"}
    walk.advance_beyond(0, "never")

    assert walk.ledgers[T].version == 1


def test_clock_that_is_set_back_loses_nothing(walk: Protocol) -> None:
    write(walk)
    walk.run(T, "cutover", "read_back")
    walk.let_lease_end(T)
    write(walk)
    walk.set_clock_back(T)
    walk.advance_beyond(0, "never")

    assert outcomes(walk, "cutover switch") == {"HEAD_MOVED"}


def test_event_that_comes_while_a_rollback_begins_is_kept(walk: Protocol) -> None:
    write(walk)
    walk.run(T, "cutover", RECORD)
    walk.start(T, "rollback")
    walk.advance_beyond(0, "open_check")
    write(walk)
    walk.advance_beyond(0, "never")
    walk.run(T, "rollback", RECORD)

    assert outcomes(walk, "rollback verify_and_write") == {"ROLLBACK_UNSAFE", "ok"}
    assert [event.event_type for event in walk.ledgers[T].active["a"]] == ["created", "created"]


@pytest.mark.parametrize("last", ["pause", "verify_and_write", "read_back"])
def test_staging_that_somebody_spoils_is_not_switched_to(walk: Protocol, last: str) -> None:
    write(walk)
    walk.run(T, "cutover", last)
    walk.spoil(T)
    walk.advance_beyond(0, "never")

    step = "switch" if last == "read_back" else "read_back"
    assert outcomes(walk, f"cutover {step}") == {"STAGING_DIFFERS"}
    assert walk.ledgers[T].version == 1


def test_negative_total_is_no_history_of_version_3(walk: Protocol) -> None:
    walk.run(T, "cutover", RECORD)
    walk.start(T, "cutover")
    walk.advance_beyond(0, "open_preflight")
    write(walk, total=-1)
    walk.advance_beyond(0, "never")
    walk.run(T, "cutover", RECORD)

    assert outcomes(walk, "cutover verify_and_write") == {"ok", "VERIFICATION_FAILED"}
    assert outcomes(walk, "cutover open_preflight") == {"ok", "PREFLIGHT_FAILED"}
    assert walk.ledgers[T].version == 2


def test_two_operators_and_a_pause(walk: Protocol) -> None:
    walk.run(T, "cutover", BEGIN)
    walk.run(T, "finalize", RECORD)
    walk.pause(T)
    walk.resume(T, is_stale=False)
    walk.advance_beyond(0, "never")
    walk.pause(T)
    walk.run(T, "finalize", RECORD)
    walk.resume(T, is_stale=True)
    walk.resume(T, is_stale=False)
    walk.begin_import_and_crash(T)
    walk.run(T, "finalize", RECORD)

    assert outcomes(walk, "finalize begin") == {"RUN_HELD", "GATE_HELD"}
    assert outcomes(walk, "pause") == {"ok", "RUN_HELD"}
    assert outcomes(walk, "resume") == {"ok", "GATE_LOST"}
    assert outcomes(walk, "begin import") == {"ok"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "sqlite"], indirect=True)
@pytest.mark.parametrize("commits", [True, False])
def test_open_transaction_is_waited_for(walk: Protocol, commits: bool) -> None:
    walk.start(T, "cutover")
    walk.advance_beyond(0, "open_preflight")
    walk.begin_to_write(T, 1)
    walk.advance(0)
    assert outcomes(walk, "cutover pause") == {"STORE_LOCKED"}
    walk.end_writing(commits)
    walk.advance_beyond(0, "never")
    walk.run(T, "cutover", RECORD)

    assert walk.ledgers[T].version == 2
    assert bool(walk.ledgers[T].active) == commits


@pytest.mark.parametrize(
    "then", ["go on", *(pytest.param(then, marks=pytest.mark.slow) for then in ("do all", "stop", "renew"))]
)
@pytest.mark.parametrize("what", sorted(set(MEANWHILE)))
def test_whatever_happens_meanwhile(walk: Protocol, what: str, then: str) -> None:
    for last in PLACES:
        walk.meanwhile(T, "cutover", last, what, then)
        if walk.open_event is not None:
            walk.end_writing(commits=True)
        while walk._busy():
            walk.crash(0, inside=False)
        walk.disturb(T, "lease ends")
        walk.disturb(T, "recover")

    happened = {outcome for name, outcome in walk.tally if name == f"meanwhile {what}"}
    assert len(happened) >= 4


def test_every_disturbance_comes(walk: Protocol) -> None:
    for how in DISTURBANCES:
        walk.run(T, "cutover", "pause")
        walk.disturb(T, how)
        walk.disturb(HOSTILE, how)
        while walk._busy():
            walk.crash(0, inside=False)
        walk.disturb(T, "lease ends")
        walk.disturb(T, "recover")

    names = {name for name, _ in walk.tally}
    assert names >= {
        "take over",
        "take over, stale epoch",
        "claim and crash",
        "begin import",
        "pause",
        "resume",
        "lease ends",
    }
