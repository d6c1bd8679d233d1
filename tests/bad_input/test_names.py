"""Names and ids are data: separators, quotes, control characters and names of Python attributes mean nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bad_input.desk import Desk, dry_run, preflight, rollback, verify
from e2e.shop import bundle, event, order, payload

ODD = [
    "a::b",
    "a|b",
    "it's",
    'say "hi"',
    "back\\slash",
    "line\nbreak",
    "tab\tand\rreturn",
    "nul\0nul",
    "\x1b[31mred",
    "\x7f\x85\u2028",
    "\u202eright to left",
    "'; drop table event; --",
    "${HOME} $(id) `id` %s {0}",
    "../../etc/passwd",
    "",
    " ",
    "é",
    "e\u0301",
    "\U0001f600\U0010ffff\ufffe",
    "null",
    "0",
    "-",
    "--events",
    "x" * 10_000,
]
DUNDER = [
    "__class__",
    "__init__",
    "__dict__",
    "__builtins__",
    "__import__",
    "items",
    "get",
    "keys",
    "pop",
    "copy",
    "mro",
    "environment",
    "_constant_1",
    "_temporary_1",
    "lambda",
    "None",
    "True",
    "self",
    "compiled",
    "exec('x')",
    "f{__class__}",
]
OUTPUTS = ("--artifact", "a.json", "--out-events", "v1.jsonl", "--out-positions", "p.json")


def application(names: list[str]) -> tuple[Any, Any]:
    """Two versions of an application whose states, event types, attributes and constraints carry these names."""

    def entity(prefix: str) -> Any:
        def ops(name: str) -> list[Any]:
            state = {"set_state": {"expr": {"lit": {"string": prefix + name}}}}
            return [state, {"set_attr": {"name": name, "expr": payload("n")}}]

        made = order([prefix + name for name in names], {prefix + name: ops(name) for name in names})
        return {**made, "attrs": {name: {"type": "json"} for name in names}}

    def never(name: str) -> Any:
        return {"ne": [{"var": {"row": {"field": name}}}, {"lit": {"string": "no"}}]}

    old, new = bundle(0, entity("")), bundle(1, entity("new "))
    for document in (old, new):
        rules = {name: {"kind": "snapshot", "on_type": "Order", "expr": never(name)} for name in names}
        document["core_ir"]["constraints"] = rules
    migration = {
        "from_version": 0,
        "to_version": 1,
        "on_type": "Order",
        "event_transforms": {name: {"emit_as": "new " + name} for name in names},
        "state_map": {name: "new " + name for name in names},
    }
    new["core_ir"]["migrations"] = {"v0_to_v1": migration}
    return old, new


def rows_of(lines: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


@pytest.mark.parametrize(
    "names", [[name for name in ODD if name], DUNDER, ["", "a"]], ids=["odd", "attributes", "empty"]
)
def test_names_of_everything_survive_a_migration_and_its_rollback(desk: Desk, names: list[str]) -> None:
    old, new = application(names)
    desk.put("bundle.v0.json", old)
    desk.put("bundle.v1.json", new)
    rows = [
        event(seq, event_type, {"n": seq, event_type: {event_type: seq}}, tenant=tenant, entity=entity)
        for tenant, entity in zip(names, reversed(names), strict=True)
        for seq, event_type in enumerate(names, 1)
    ]
    desk.put("events.v0.json", [{**row, "x_" + row["event_type"]: row["tenant_id"]} for row in rows])
    artifact = desk.does(*dry_run(*OUTPUTS))["artifact"]
    assert (artifact["source_events"], artifact["migrated_events"]) == (len(rows), len(rows))
    assert artifact["heads"].keys() == set(names)
    assert {row["event_type"] for row in rows_of(desk.read("v1.jsonl"))} == {"new " + name for name in names}

    back = desk.does(*rollback("--from", "bundle.v0.json", "--out-events", "back.json", events="v1.jsonl"))
    assert back["rolled_back_digest"] == artifact["source_digest"]
    given = json.loads(desk.read("events.v0.json"))
    key = lambda row: (row["tenant_id"], row["seq"])  # noqa: E731 (one line, used twice)
    assert sorted(json.loads(desk.read("back.json")), key=key) == sorted(given, key=key)


@pytest.mark.parametrize("name", ODD)
def test_tenant_of_any_name_can_be_chosen(desk: Desk, name: str) -> None:
    desk.put("e.json", [event(1, "placed", {"total": 1}, tenant=tenant) for tenant in ODD])
    if name == "":
        desk.refuses(*verify("e.json", "--tenant", name), code="EMPTY_FLAG", says="--tenant")
    else:
        assert desk.does("history-verify", "--events", "e.json", f"--tenant={name}")["events"] == 1


def test_streams_are_tuples_and_never_joined_strings(desk: Desk) -> None:
    """Each row would be the same stream as another one if parts were joined by a separator."""
    parts = [
        ("a::b", "Order", "c"),
        ("a", "Order", "b::c"),
        ("a|Order", "Order", "x"),
        ("a", "Order", "Order|x"),
        ("a\0b", "Order", ""),
        ("a", "Order", "b\0"),
    ]
    desk.put("e.json", [event(1, "placed", {"total": 1}, tenant=tenant, entity=entity) for tenant, _, entity in parts])

    assert desk.does(*verify("e.json", "--bundle", "bundle.v0.json"))["streams"] == len(parts)


@pytest.mark.parametrize("name", ODD)
def test_odd_ids_are_named_in_findings_and_do_not_reach_the_terminal(desk: Desk, name: str) -> None:
    desk.put("e.json", [event(2, "placed", {"total": 1}, tenant=name, entity=name)])
    said = desk.call(*verify("e.json", "--summary", "always"))
    (finding,) = said.report["history_integrity"]["findings"]

    assert said.code == 1
    assert (finding["tenant_id"], finding["entity_id"]) == (name, name)
    assert not set("\x1b\0\r\t\x7f\x85\u2028\u202e") & set(said.err)


@pytest.mark.parametrize("name", DUNDER)
@pytest.mark.parametrize("field", ["event_type", "entity_type"])
def test_types_that_the_bundle_does_not_have(desk: Desk, field: str, name: str) -> None:
    """A name that every Python object knows must not pass for one that the bundle knows."""
    rows = [event(1, "placed", {"total": 1}), {**event(1, "placed", {"total": 1}, entity="o9"), field: name}]
    if field == "event_type":
        rows[1:] = [{**event(2, "placed", {}), field: name}]
    verified = desk.finds(*preflight(events=desk.put("e.json", rows)))["verify"]["source_verify"]

    assert verified["violations_total"] == 1
    assert verified["violations"][0]["kind"] == "replay"
    assert repr(name) in verified["violations"][0]["message"]


@pytest.mark.parametrize("name", DUNDER)
def test_migrations_and_constraints_that_no_bundle_has(desk: Desk, name: str) -> None:
    checks = desk.finds(*preflight(migration=name))["checks"]
    assert repr(name) in checks["migration_exists"]["detail"]
    desk.refuses(*preflight(), "--accept-source-violations", name, code="UNKNOWN_CONSTRAINT", says=repr(name))


@pytest.mark.parametrize("field", ["__class__", "__dict__", "items", "get", "a.__class__", "0.__len__"])
def test_payload_paths_reach_keys_only(desk: Desk, field: str) -> None:
    old, new = json.loads(desk.read("bundle.v0.json")), json.loads(desk.read("bundle.v1.json"))
    old["core_ir"]["types"]["Order"]["reducer"]["noted"][0]["set_attr"]["expr"] = payload(field)
    new["core_ir"]["types"]["Order"]["reducer"]["noted"][0]["set_attr"]["expr"] = payload(field)
    desk.put("bundle.v0.json", old)
    desk.put("bundle.v1.json", new)
    desk.does(*preflight())
    words = (
        "--events",
        "events.v0.json",
        "--bundle",
        "bundle.v0.json",
        "--tenant",
        "acme",
        "--type",
        "Order",
        "--id",
        "o1",
    )

    assert json.loads(desk.call("history-replay", *words).out)["attrs"].get("note") is None
