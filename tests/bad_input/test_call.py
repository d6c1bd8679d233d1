"""Calls that are wrong in themselves, whatever their files hold."""

from __future__ import annotations

import json

import pytest

from bad_input.desk import Desk, dry_run, preflight, rollback, verify
from e2e.shop import event

VERBS = {
    "bundle-validate": ["BUNDLE"],
    "history-verify": ["--events"],
    "history-replay": ["--events", "--bundle"],
    "migration-preflight": ["--from", "--to", "--events", "--migration"],
    "migration-dry-run": ["--from", "--to", "--events", "--migration"],
    "migration-rollback": ["--to", "--events", "--migration"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_missing_flags_are_all_named(desk: Desk, verb: str) -> None:
    desk.refuses(verb, code="MISSING_FLAG", says=(verb, *VERBS[verb]))


@pytest.mark.parametrize("verb", VERBS)
def test_unknown_flag_is_named(desk: Desk, verb: str) -> None:
    error = desk.refuses(verb, "--evnets", "events.v0.json", code="UNKNOWN_FLAG", says=(verb, "--evnets"))

    assert ("--events" in error["hint"]) is ("--events" in VERBS[verb])


def test_no_verb_and_unknown_verb(desk: Desk) -> None:
    desk.refuses(code="MISSING_COMMAND", says="no command")
    desk.refuses("migrate", code="UNKNOWN_COMMAND", says="'migrate'")


@pytest.mark.parametrize("now", ["tomorrow", "1.5", "1e3", "NaN", "0x10", "2024-01-31", "9" * 30, "٣", "1 000"])
def test_now_that_is_no_integer(desk: Desk, now: str) -> None:
    desk.refuses(*dry_run("--now", now), code="INVALID_VALUE", says=("--now", now, "milliseconds"))


def test_expected_hash_of_another_history_is_a_finding(desk: Desk) -> None:
    found = desk.finds(*verify("events.v0.json", "--expected-hash", "ab" * 32))

    (finding,) = found["history_integrity"]["findings"]
    assert finding["code"] == "HASH_MISMATCH"
    assert "ab" * 32 in finding["message"]
    assert found["digest"] in finding["message"]


def test_expected_hash_in_capitals_is_the_same_hash(desk: Desk) -> None:
    digest = desk.does(*verify("events.v0.json"))["digest"]

    desk.does(*verify("events.v0.json", "--expected-hash", digest.upper()))


@pytest.mark.parametrize("given", ["deadbeef", "zz" * 32, "sha256:" + "0" * 64, "0" * 63, "0" * 65, " " + "0" * 64])
def test_expected_hash_that_is_none(desk: Desk, given: str) -> None:
    for words in (verify("events.v0.json"), preflight(), dry_run(), rollback(events="events.v0.json")):
        desk.refuses(*words, "--expected-hash", given, code="INVALID_VALUE", says=("--expected-hash", given, "64"))


def test_expected_hash_of_a_malformed_history_is_not_met(desk: Desk) -> None:
    desk.put("e.jsonl", b'{"tenant_id": "acme"}\n')
    found = desk.finds(*verify("e.jsonl", "--expected-hash", "0" * 64))

    assert found["digest"] is None
    assert found["history_integrity"]["counts"]["MALFORMED_EVENT"] == 1


@pytest.mark.parametrize("flag", ["--from", "--to"])
def test_standard_input_is_for_events_only(desk: Desk, flag: str) -> None:
    side = {"--from": "source", "--to": "to"}[flag]
    given = desk.read("bundle.v0.json")
    for events in ("-", "events.v0.json"):
        error = desk.refuses(
            *preflight(**{side: "-", "events": events}), code="BUNDLE_NOT_FOUND", says="'-'", stdin=given
        )
        assert "standard input" in error["hint"]


def test_standard_input_for_two_bundles(desk: Desk) -> None:
    desk.refuses("bundle-validate", "-", "-", code="BUNDLE_NOT_FOUND", says="'-'", stdin=desk.read("bundle.v0.json"))


@pytest.mark.parametrize("flag", ["--artifact", "--out-events", "--out-positions"])
def test_standard_output_is_no_output_file(desk: Desk, flag: str) -> None:
    """The report is alone on standard output; a file called - would be no help to anybody."""
    error = desk.refuses(*dry_run(flag, "-"), code="STDOUT_TAKEN", says=(flag, "standard output"))

    assert error["hint"]


EVERY_CALL = {
    "verify": verify("events.v0.json"),
    "verify with a bundle": verify("events.v0.json", "--bundle", "bundle.v0.json"),
    "replay": ("history-replay", "--events", "events.v0.json", "--bundle", "bundle.v0.json"),
    "preflight": preflight(),
    "dry run": dry_run("--artifact", "a.json", "--out-events", "o.json", "--out-positions", "p.csv"),
    "rollback": rollback("--out-events", "back.json", events="events.v0.json"),
}


@pytest.mark.parametrize("words", EVERY_CALL.values(), ids=EVERY_CALL)
def test_tenant_that_does_not_exist(desk: Desk, words: tuple[str, ...]) -> None:
    """A verdict on no events at all would be yes, and would mean nothing."""
    error = desk.refuses(*words, "--tenant", "acne", code="UNKNOWN_TENANT", says="'acne'")

    assert "--tenant" in error["hint"]


def test_tenant_that_does_not_exist_beside_one_that_does(desk: Desk) -> None:
    desk.refuses(*dry_run("--tenant", "bmart", "--tenant", "acne"), code="UNKNOWN_TENANT", says="'acne'")
    files = ("--events", "events.v0.json", "--bundle", "bundle.v0.json")
    said = desk.call("history-replay", *files, "--tenant", "bmart", "--tenant", "acne")
    snapshot, last = [json.loads(line) for line in said.out.splitlines()]

    assert (said.code, snapshot["tenant_id"], last["error"]["code"]) == (2, "bmart", "UNKNOWN_TENANT")


@pytest.mark.parametrize(
    "tenant", ["'; drop table event; --", '"; DROP TABLE event; --', "%", "*", "acme,bmart", "ACME", "acme ", "ac"]
)
def test_tenant_is_compared_and_nothing_else(desk: Desk, tenant: str) -> None:
    desk.refuses(*verify("events.v0.json", "--tenant", tenant), code="UNKNOWN_TENANT", says=repr(tenant))
    rows = [event(1, "placed", {"total": 1}, tenant=name) for name in ("acme", "bmart", tenant)]

    assert desk.does(*verify(desk.put("e.json", rows), "--tenant", tenant))["events"] == 1


def test_migration_that_does_not_exist(desk: Desk) -> None:
    found = desk.finds(*preflight(migration="v0_to_v2"))
    assert "'v0_to_v2'" in found["checks"]["migration_exists"]["detail"]
    assert "did you mean 'v0_to_v1'?" in found["checks"]["migration_exists"]["detail"]

    refused = desk.finds(*rollback(events="events.v0.json", migration="v0_to_v2"))
    assert "'v0_to_v2'" in refused["error"]["message"]


def test_constraint_to_accept_that_does_not_exist(desk: Desk) -> None:
    words = dry_run("--accept-source-violations", "total_is_negative")
    desk.refuses(*words, code="UNKNOWN_CONSTRAINT", says=("'total_is_negative'", "did you mean 'total_is_positive'?"))


@pytest.mark.parametrize("words", [("--type", "Order"), ("--id", "o1"), ("--steps",)])
def test_replay_of_half_an_entity(desk: Desk, words: tuple[str, ...]) -> None:
    files = ("--events", "events.v0.json", "--bundle", "bundle.v0.json")
    desk.refuses("history-replay", *files, *words, code="MISSING_FLAG", says=words[0])


def test_replay_of_an_entity_that_does_not_exist(desk: Desk) -> None:
    words = ("--events", "events.v0.json", "--bundle", "bundle.v0.json", "--type", "Order", "--id", "o3")
    desk.refuses("history-replay", *words, code="NO_SUCH_ENTITY", exit_code=1, says=("'o3'", "'Order'"))
