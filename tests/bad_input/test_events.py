"""Values that are no events: findings which name every wrong field, and nothing is written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bad_input.desk import Desk, dry_run, preflight, rollback, verify
from e2e.shop import event, history

FIELDS = {
    "tenant_id": "a string",
    "entity_type": "a string",
    "entity_id": "a string",
    "seq": "an integer of at most 64 bits",
    "event_type": "a string",
    "payload": "an object",
    "ts": "an integer of at most 64 bits",
    "actor_id": "a string",
}
VALUES: dict[str, tuple[Any, str]] = {
    "null": (None, "null"),
    "true": (True, "true"),
    "text": ("7", "a string"),
    "list": ([1], "an array"),
    "object": ({"a": 1}, "an object"),
    "integer": (7, "the integer 7"),
    "whole": (7.0, "the number 7.0"),
    "fraction": (7.5, "the number 7.5"),
    "65-bits": (2**63, "an integer beyond 64 bits"),
    "huge": (10**900, "an integer beyond 64 bits"),
    "huge-double": (1e300, "the number 1e+300"),
}
RIGHT = {
    "a string": {"text"},
    "an object": {"object"},
    "an integer of at most 64 bits": {"integer", "whole"},
}
WRONG = [(field, kind) for field, expected in FIELDS.items() for kind in VALUES if kind not in RIGHT[expected]]


def malformed(desk: Desk, *values: object) -> list[dict[str, Any]]:
    """What a history that ends in these values is found to have, the same in each format, and nothing written."""
    rows = [*history(), *values]
    desk.put("e.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    desk.put("e.json", rows)
    reports = [desk.finds(*verify(name))["history_integrity"] for name in ("e.jsonl", "e.json")]
    assert reports[0] == reports[1]
    assert reports[0]["counts"]["MALFORMED_EVENT"] == len(values)
    words = dry_run("--out-events", "o.jsonl", "--out-positions", "p.json", events="e.jsonl")
    checks = desk.finds(*words)["artifact"]["preflight"]["checks"]
    assert checks["history_integrity"] == reports[0]
    return [found for found in reports[0]["findings"] if found["code"] == "MALFORMED_EVENT"]


@pytest.mark.parametrize("field", FIELDS)
def test_field_that_is_missing(desk: Desk, field: str) -> None:
    value = event(9, "noted", {})
    del value[field]
    (finding,) = malformed(desk, value)

    assert finding["message"] == f"malformed event: {field}: expected {FIELDS[field]}, found nothing"
    assert field not in finding


@pytest.mark.parametrize(("field", "kind"), WRONG, ids=lambda value: value)
def test_field_of_another_type(desk: Desk, field: str, kind: str) -> None:
    value, said = VALUES[kind]
    (finding,) = malformed(desk, {**event(9, "noted", {}), field: value})

    assert finding["message"] == f"malformed event: {field}: expected {FIELDS[field]}, found {said}"


@pytest.mark.parametrize("field", ["seq", "ts"])
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 1e19, -0.5, 1e-300])
def test_number_beyond_an_integer_of_64_bits(desk: Desk, field: str, number: float) -> None:
    (finding,) = malformed(desk, {**event(9, "noted", {}), field: number})

    assert f"{field}: expected an integer of at most 64 bits" in finding["message"]


def test_every_wrong_field_is_named_at_once(desk: Desk) -> None:
    (finding,) = malformed(desk, {"tenant_id": "acme", "entity_id": 7, "seq": "1", "payload": []})

    assert finding["tenant_id"] == "acme"
    for field in FIELDS.keys() - {"tenant_id"}:
        assert f"{field}: expected {FIELDS[field]}" in finding["message"]


@pytest.mark.parametrize("kind", [kind for kind in VALUES if kind != "object"])
def test_value_that_is_no_object(desk: Desk, kind: str) -> None:
    value, said = VALUES[kind]
    (finding,) = malformed(desk, value)

    assert finding == {"code": "MALFORMED_EVENT", "message": f"malformed event: expected an object, found {said}"}


def test_empty_object(desk: Desk) -> None:
    assert all(field in malformed(desk, {})[0]["message"] for field in FIELDS)


def test_findings_are_capped_and_counted(desk: Desk) -> None:
    assert len(malformed(desk, *range(1_000))) == 10


def test_long_values_do_not_swell_the_report(desk: Desk) -> None:
    malformed(desk, {**event(9, "noted", {}), "ts": "x" * 1_000_000}, "y" * 1_000_000)

    assert len(desk.call(*verify("e.json")).out) < 10_000


def test_history_with_a_malformed_event_has_no_digest(desk: Desk) -> None:
    malformed(desk, 7)
    found = desk.finds(*verify("e.json"))

    assert found["digest"] is None
    assert found["events"] == len(history())


def test_malformed_event_of_another_tenant_is_no_concern(desk: Desk) -> None:
    malformed(desk, {"tenant_id": "bmart"}, {**event(4, "noted", {}, tenant="bmart"), "ts": "now"})

    assert desk.does(*verify("e.json", "--tenant", "acme"))["events"] == 4
    assert desk.finds(*verify("e.json", "--tenant", "bmart"))["history_integrity"]["counts"] == {"MALFORMED_EVENT": 2}


def test_malformed_event_of_nobody_concerns_everybody(desk: Desk) -> None:
    malformed(desk, {"tenant_id": None}, 7)

    assert desk.finds(*verify("e.json", "--tenant", "acme"))["history_integrity"]["counts"] == {"MALFORMED_EVENT": 2}


def test_malformed_events_are_not_rolled_back(desk: Desk) -> None:
    malformed(desk, 7)
    found = desk.finds(*rollback("--out-events", "back.jsonl", events="e.json"))

    assert any("1 MALFORMED_EVENT" in reason for reason in found["reasons"])


def test_replay_goes_through_and_then_says_so(desk: Desk) -> None:
    malformed(desk, 7)
    said = desk.call("history-replay", "--events", "e.json", "--bundle", "bundle.v0.json")
    *snapshots, last = [json.loads(line) for line in said.out.splitlines()]

    assert (said.code, len(snapshots)) == (1, 3)
    assert (last["ok"], last["error"]["code"]) == (False, "HISTORY_NOT_INTACT")
    assert last["error"]["hint"]


@pytest.mark.parametrize(
    ("seqs", "counts"),
    [
        ([1, 2, 2, 3], {"SEQ_REGRESSION": 1}),
        ([1, 3], {"SEQ_GAP": 1}),
        ([0, 1], {"SEQ_REGRESSION": 1}),
        ([-1, 1, 2], {"SEQ_REGRESSION": 1}),
        ([2, 3], {"SEQ_GAP": 1}),
        ([1, 1, 4, 4], {"SEQ_GAP": 1, "SEQ_REGRESSION": 2}),
        ([2**63 - 1], {"SEQ_GAP": 1}),
        ([-(2**63), 1], {"SEQ_REGRESSION": 1}),
    ],
)
def test_seqs_that_are_not_one_two_three(desk: Desk, seqs: list[int], counts: dict[str, int]) -> None:
    desk.put("e.json", [{**event(1, "noted", {"text": str(place)}), "seq": seq} for place, seq in enumerate(seqs)])
    checks = desk.finds(*preflight(events="e.json"))["checks"]

    assert checks["history_integrity"]["counts"] == counts
    assert "('acme', 'Order', 'o1')" in checks["history_integrity"]["findings"][0]["message"]
    desk.finds(*rollback("--out-events", "back.jsonl", events="e.json"))


def test_id_that_repeats_in_another_tenant_is_another_stream(desk: Desk) -> None:
    rows = [event(seq, "placed", {"total": seq}, tenant=tenant) for seq in (1, 2) for tenant in ("a", "b")]
    desk.put("e.json", rows)
    found = desk.does(*verify("e.json", "--bundle", "bundle.v0.json"))

    assert (found["streams"], found["tenants"], found["verify"]["entities_count"]) == (2, 2, 2)


def test_history_of_one_tenant_into_which_another_slipped(desk: Desk) -> None:
    """The slip shows in the counts and the heads; restricted to the tenant, it is left out."""
    rows = [event(1, "placed", {"total": 1}), event(1, "placed", {"total": 9}, tenant="bmart"), event(2, "paid", {})]
    desk.put("e.json", rows)
    everything = desk.does(*dry_run("--out-events", "all.json", events="e.json"))["artifact"]
    assert {name: head["events"] for name, head in everything["heads"].items()} == {"acme": 2, "bmart": 1}

    only = desk.does(*dry_run("--tenant", "acme", "--out-events", "acme.json", events="e.json"))["artifact"]
    assert only["heads"] == {"acme": everything["heads"]["acme"]}
    assert {row["tenant_id"] for row in json.loads(desk.read("acme.json"))} == {"acme"}
    assert [row["payload"] for row in json.loads(desk.read("acme.json"))] == [{"total": 1}, {}]


def test_event_that_is_too_long(desk: Desk) -> None:
    text = json.dumps(event(1, "noted", {"text": "x" * 17 * 2**20}))
    for name, place in (("e.jsonl", "'e.jsonl' line 1"), ("e.json", "'e.json' index 0 line 1")):
        desk.put(name, f"[{text}]" if name == "e.json" else text)
        desk.refuses(*verify(name), code="TEXT_TOO_LONG", says=(place, "at most 16777216 bytes"))
