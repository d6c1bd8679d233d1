"""The whole document: sections, constraints, policies, views, and what is kept and ignored."""

from __future__ import annotations

import pytest

from cicsc.bundle.check_bundle import OTHER_SECTIONS, parse_bundle
from cicsc.bundle.model import QueryConstraint, SnapshotConstraint
from cicsc.canonical import canonical_bytes, sha256_hex
from unit.bundle.documents import ORDER, Steps, bundle, changed, paid_has_amount, problems, row, text, without

CONSTRAINTS = ("core_ir", "constraints")
SNAPSHOT = (*CONSTRAINTS, "paid_has_amount")
POLICY = ("core_ir", "policies", "clerk")
VIEW = ("core_ir", "views", "board")

CHANGES: list[tuple[Steps, object, str, str]] = [
    (("bundle_version",), "2", "$.bundle_version", "expected an integer, found the string '2'"),
    (("bundle_version",), None, "$.bundle_version", "expected an integer, found null"),
    (("bundle_version",), True, "$.bundle_version", "expected an integer, found true"),
    (("bundle_version",), 1.5, "$.bundle_version", "expected an integer, found the number 1.5"),
    (("core_ir", "version"), 1, "$.core_ir.version", "expected 0, the version of this format, found the number 1"),
    (("core_ir", "version"), False, "$.core_ir.version", "expected 0, the version of this format, found false"),
    (CONSTRAINTS, [], "$.core_ir.constraints", "expected an object, found a list of 0"),
    (("core_ir", "migrations"), None, "$.core_ir.migrations", "expected an object, found null"),
    (("core_ir", "policies"), 3, "$.core_ir.policies", "expected an object, found the number 3"),
    (("core_ir", "views"), "x", "$.core_ir.views", "expected an object, found the string 'x'"),
    (SNAPSHOT, None, "$.core_ir.constraints.paid_has_amount", "expected a constraint, an object, found null"),
    (
        (*SNAPSHOT, "kind"),
        "snapshots",
        "$.core_ir.constraints.paid_has_amount.kind",
        "expected one of 'snapshot', 'bool_query', found the string 'snapshots'",
    ),
    (
        (*SNAPSHOT, "on_type"),
        "Ordr",
        "$.core_ir.constraints.paid_has_amount.on_type",
        "no entity type 'Ordr' is declared, did you mean 'Order'?",
    ),
    (
        (*SNAPSHOT, "expr"),
        {"is_null": row("amuont")},
        "$.core_ir.constraints.paid_has_amount.expr.is_null.var.row.field",
        "the row here has no field 'amuont', did you mean 'amount'?",
    ),
    (
        (*SNAPSHOT, "expr"),
        {"call": {"fn": "auth_ok", "args": []}},
        "$.core_ir.constraints.paid_has_amount.expr.call.fn",
        "function 'auth_ok' may be called in the guard of a command only",
    ),
    (
        (*CONSTRAINTS, "few_open", "args"),
        [],
        "$.core_ir.constraints.few_open.args",
        "expected an object of attributes, found a list of 0",
    ),
    (
        (*CONSTRAINTS, "few_open", "assert"),
        {"is_null": {"var": {"arg": {"name": "mots"}}}},
        "$.core_ir.constraints.few_open.assert.is_null.var.arg.name",
        "the constraint declares no argument 'mots', did you mean 'most'?",
    ),
    (
        (*CONSTRAINTS, "few_open", "assert"),
        row("state"),
        "$.core_ir.constraints.few_open.assert.var.row.field",
        "the row here has no field 'state'",
    ),
    (POLICY, [], "$.core_ir.policies.clerk", "expected a policy, an object, found a list of 0"),
    (
        (*POLICY, "params"),
        "who",
        "$.core_ir.policies.clerk.params",
        "expected a list of strings, found the string 'who'",
    ),
    ((*POLICY, "params"), ["a", "a"], "$.core_ir.policies.clerk.params[1]", "'a' is repeated"),
    (VIEW, 1, "$.core_ir.views.board", "expected a view, an object, found the number 1"),
    (
        (*VIEW, "kind"),
        "lane",
        "$.core_ir.views.board.kind",
        "expected one of 'lanes', 'metric', found the string 'lane'",
    ),
    ((*VIEW, "on_type"), "", "$.core_ir.views.board.on_type", "no entity type '' is declared"),
    ((*VIEW, "query"), None, "$.core_ir.views.board.query", "expected a query, an object, found null"),
]

MISSING: list[tuple[Steps, str, str]] = [
    (SNAPSHOT, "kind", "'on_type', 'expr'"),
    (SNAPSHOT, "on_type", "'kind', 'expr'"),
    (SNAPSHOT, "expr", "'kind', 'on_type'"),
    ((*CONSTRAINTS, "few_open"), "args", "'kind', 'on_type', 'query', 'assert'"),
    ((*CONSTRAINTS, "few_open"), "query", "'kind', 'on_type', 'args', 'assert'"),
    ((*CONSTRAINTS, "few_open"), "assert", "'kind', 'on_type', 'args', 'query'"),
    (POLICY, "params", "'expr'"),
    (POLICY, "expr", "'params'"),
    (VIEW, "kind", "'on_type', 'query', 'lanes'"),
    (VIEW, "on_type", "'kind', 'query', 'lanes'"),
    (VIEW, "query", "'kind', 'on_type', 'lanes'"),
]


def test_parse_bundle_accepts_the_example() -> None:
    assert problems(bundle()) == []


@pytest.mark.parametrize(("steps", "value", "path", "message"), CHANGES)
def test_parse_bundle_reports_each_defect(steps: Steps, value: object, path: str, message: str) -> None:
    assert problems(changed(steps, value)) == [(path, message)]


@pytest.mark.parametrize(("steps", "key", "found"), MISSING)
def test_parse_bundle_reports_each_missing_key(steps: Steps, key: str, found: str) -> None:
    path = ".".join(("$", *map(str, steps)))
    assert problems(without((*steps, key))) == [(path, f"missing key {key!r}, found an object with the keys {found}")]


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (None, "$", "expected a bundle, an object, found null"),
        ([], "$", "expected a bundle, an object, found a list of 0"),
        ({}, "$", "missing key 'core_ir', found an empty object"),
        ({"core_ir": "x"}, "$.core_ir", "expected an object, found the string 'x'"),
        ({"core_ir": {"version": 0}}, "$.core_ir", "missing key 'types', found an object with the keys 'version'"),
        ({"core_ir": {"types": {}}}, "$.core_ir", "missing key 'version', found an object with the keys 'types'"),
    ],
)
def test_parse_bundle_reports_a_document_of_another_shape(document: object, path: str, message: str) -> None:
    assert problems(document) == [(path, message)]


@pytest.mark.parametrize("section", OTHER_SECTIONS)
def test_parse_bundle_expects_an_object_in_every_other_section(section: str) -> None:
    assert problems(changed(("core_ir", section), [])) == [
        (f"$.core_ir.{section}", "expected an object, found a list of 0")
    ]


def test_parse_bundle_reports_every_problem_in_one_run() -> None:
    document = changed((*SNAPSHOT, "on_type"), "Ordr")
    document["bundle_version"] = None
    document["core_ir"]["ui"] = 1
    assert [path for path, _ in problems(document)] == [
        "$.core_ir.constraints.paid_has_amount.on_type",
        "$.core_ir.ui",
        "$.bundle_version",
    ]


def test_parse_bundle_reports_no_consequences_of_unreadable_types() -> None:
    assert problems(changed(("core_ir", "types"), None)) == [
        ("$.core_ir.types", "expected an object of entity types, found null")
    ]


@pytest.mark.parametrize("part", ["attrs", "shadows"])
def test_parse_bundle_reports_no_consequences_of_unreadable_fields(part: str) -> None:
    found = problems(changed((*ORDER, part), 1))
    assert [path for path, _ in found] == [f"$.core_ir.types.Order.{part}"]


def test_parse_bundle_reports_no_consequences_of_absent_attrs() -> None:
    assert [path for path, _ in problems(without((*ORDER, "attrs")))] == ["$.core_ir.types.Order"]


def test_parse_bundle_lets_a_policy_call_the_host() -> None:
    assert problems(changed((*POLICY, "expr"), {"call": {"fn": "role_of", "args": [text("x")]}})) == []


def test_parse_bundle_without_optional_parts_is_valid() -> None:
    parsed, _ = parse_bundle({"core_ir": {"version": 0.0, "types": {}}})
    assert parsed is not None
    assert (parsed.version, parsed.types, parsed.constraints, parsed.migrations) == (None, {}, {}, {})


def test_parse_bundle_keeps_the_document_and_its_digest() -> None:
    document = bundle()
    parsed, _ = parse_bundle(document)
    assert parsed is not None
    assert parsed.document == bundle()
    assert parsed.digest == sha256_hex(canonical_bytes(bundle()))
    assert parsed.version == 2


def test_parse_bundle_digest_covers_keys_that_nobody_knows() -> None:
    first, second = parse_bundle(bundle())[0], parse_bundle(changed(("note",), "changed"))[0]
    assert first is not None
    assert second is not None
    assert first.digest != second.digest


def test_parse_bundle_reads_the_constraints() -> None:
    parsed, _ = parse_bundle(bundle())
    assert parsed is not None
    snapshot, query = parsed.constraints.values()
    assert snapshot == SnapshotConstraint("paid_has_amount", "Order", paid_has_amount()["expr"])
    assert isinstance(query, QueryConstraint)
    assert (query.id, query.on_type, list(query.args)) == ("few_open", "Order", ["most"])


@pytest.mark.parametrize("name", ["", "__class__", "items", "a'b\"c", "line\nbreak", "nul\0", "Ünïcode", "a.b", "[0]"])
def test_parse_bundle_accepts_any_text_as_a_name(name: str) -> None:
    document = changed((*ORDER, "reducer", name), [{"set_attr": {"name": name, "expr": row(name)}}])
    document["core_ir"]["types"]["Order"]["attrs"][name] = {}
    document["core_ir"]["types"][name] = document["core_ir"]["types"]["Order"]
    document["core_ir"]["constraints"][name] = {"kind": "snapshot", "on_type": name, "expr": row(name)}
    parsed, found = parse_bundle(document)
    assert found == ()
    assert parsed is not None
    assert parsed.types[name].reducer[name][0].name == name  # type: ignore[union-attr]
