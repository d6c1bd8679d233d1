"""Documents that are no bundles, or bundles with defects: every defect with its path, none with a traceback."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from bad_input.desk import Desk, dry_run, preflight, rollback, verify
from e2e.shop import source, target


def defective() -> Any:
    """A bundle with several defects, in its types, reducers and constraints."""
    document = source()
    core = document["core_ir"]
    core["types"]["Order"]["initial_state"] = "lost"
    core["types"]["Order"]["reducer"]["paid"] = [{"set_attr": {"name": "totl", "expr": {"lit": {"int": 1}}}}]
    core["constraints"]["total_is_positive"]["expr"] = {"call": {"fn": "now", "args": []}}
    return document


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ([], "$", "expected a bundle, an object, found a list of 0"),
        ([source()], "$", "found a list of 1"),
        (None, "$", "found null"),
        (7, "$", "found the number 7"),
        ('"core_ir"', "$", "found the string 'core_ir'"),
        ({}, "$", "core_ir"),
        ({"core_ir": []}, "$.core_ir", "found a list of 0"),
        ({"core_ir": {}}, "$.core_ir", "missing key 'version'"),
        ({"core_ir": {"version": 1, "types": {}}}, "$.core_ir.version", "1"),
        ({**source(), "bundle_version": "1"}, "$.bundle_version", "'1'"),
    ],
)
def test_document_that_is_no_bundle(desk: Desk, document: object, path: str, message: str) -> None:
    name = desk.put("b.json", document)
    report = desk.finds("bundle-validate", name)["bundles"][0]
    problem = report["problems"][0]

    assert problem["path"] == path
    assert message in problem["message"]
    checks = desk.finds(*preflight(source=name))["checks"]
    assert checks["from_bundle_valid"]["problems"] == report["problems"]
    assert desk.finds(*verify("events.v0.json", "--bundle", name))["bundle_valid"]["problems"] == report["problems"]


def test_every_defect_is_named_at_once(desk: Desk) -> None:
    report = desk.finds("bundle-validate", desk.put("b.json", defective()))["bundles"][0]
    paths = [problem["path"] for problem in report["problems"]]

    assert report["problems_total"] == len(paths) == 3
    assert sorted(paths) == [
        "$.core_ir.constraints.total_is_positive.expr.call.fn",
        "$.core_ir.types.Order.initial_state",
        "$.core_ir.types.Order.reducer.paid[0].set_attr.name",
    ]
    assert "did you mean 'total'?" in next(p["message"] for p in report["problems"] if "totl" in p["message"])


@pytest.mark.parametrize("side", ["source", "to"])
def test_defects_block_a_migration_and_write_no_events(desk: Desk, side: str) -> None:
    name = desk.put("b.json", defective())
    words = dry_run("--out-events", "o.jsonl", "--out-positions", "p.csv", **{side: name})
    checks = desk.finds(*words)["artifact"]["preflight"]["checks"]
    other = {"source": "to_bundle_valid", "to": "from_bundle_valid"}[side]

    assert [name for name, check in checks.items() if check["ok"]] == [
        other,
        *(["migration_exists", "version_forward"] if side == "source" else []),
        "history_integrity",
    ]
    assert checks["replay_verification"]["skipped"]


def test_defects_refuse_a_rollback(desk: Desk) -> None:
    name = desk.put("b.json", defective())
    for words in (rollback(to=name, events="events.v0.json"), rollback("--from", name, events="events.v0.json")):
        before = desk.state()
        said = desk.call(*words, "--out-events", "back.jsonl")
        desk.refused(said, before, code="BUNDLE_INVALID", exit_code=1, says=("'b.json'", "$.core_ir"))
        assert said.report["problems_total"] == 3


def test_defects_refuse_a_replay(desk: Desk) -> None:
    name = desk.put("b.json", defective())
    desk.refuses(
        "history-replay",
        "--events",
        "events.v0.json",
        "--bundle",
        name,
        code="BUNDLE_INVALID",
        exit_code=1,
        says="'b.json'",
    )


def test_many_defects_are_capped_and_counted(desk: Desk) -> None:
    document = source()
    document["core_ir"]["types"]["Order"]["states"] = list(range(5_000))
    said = desk.call("bundle-validate", desk.put("b.json", document))
    report = said.report["bundles"][0]

    assert said.code == 1
    assert (len(report["problems"]), report["problems_total"]) == (100, 5_000)
    assert len(said.out) < 30_000


def test_bundle_of_20_megabytes(desk: Desk) -> None:
    document = source()
    document["note"] = "x" * 20 * 2**20
    name = desk.put("b.json", document)
    for words in (preflight(source=name), preflight(to=name), verify("events.v0.json", "--bundle", name)):
        desk.refuses(*words, code="BUNDLE_TOO_LARGE", says=("'b.json'", "larger than 8388608 bytes"))


@pytest.mark.parametrize("size", [8 * 2**20, 8 * 2**20 + 1])
def test_bundle_of_the_largest_size(desk: Desk, size: int) -> None:
    text = json.dumps(source())
    name = desk.put("b.json", text + " " * (size - len(text)))
    if size > 8 * 2**20:
        desk.refuses("bundle-validate", name, code="BUNDLE_TOO_LARGE")
    else:
        desk.does("bundle-validate", name)


def test_bundle_of_many_small_parts_is_read_in_time(desk: Desk) -> None:
    """Two megabytes of event types, and one wrong name: suggestions must not compare each with each."""
    document = source()
    reducer = document["core_ir"]["types"]["Order"]["reducer"]
    reducer.update({f"happened {number}": [{"clear_attr": {"name": f"attr {number}"}}] for number in range(20_000)})
    report = desk.finds("bundle-validate", desk.put("b.json", document))["bundles"][0]

    assert report["problems_total"] == 20_000


def test_decodable_bundles_are_judged_beside_undecodable_ones(desk: Desk) -> None:
    desk.put("broken.json", b"{")
    before = desk.state()
    said = desk.call(
        "bundle-validate", "broken.json", "bundle.v0.json", desk.put("defects.json", defective()), "gone.json"
    )
    before["defects.json"] = desk.state()["defects.json"]

    assert said.code == 2
    assert [(entry["bundle"], entry["ok"]) for entry in said.report["bundles"]] == [
        ("broken.json", False),
        ("bundle.v0.json", True),
        ("defects.json", False),
        ("gone.json", False),
    ]
    assert said.error["code"] in {"JSON_INVALID", "BUNDLE_NOT_FOUND"}
    assert desk.state() == before


def nested(depth: int) -> Any:
    node: Any = {"lit": {"bool": True}}
    for _ in range(depth):
        node = {"not": node}
    return node


@pytest.mark.parametrize("depth", [120, 100_000])
def test_expressions_nested_too_deep(desk: Desk, depth: int) -> None:
    document = source()
    if depth == 120:
        document["core_ir"]["constraints"]["total_is_positive"]["expr"] = nested(depth - 10)
        problems = desk.finds("bundle-validate", desk.put("b.json", document))["bundles"][0]["problems"]
        assert "deeper than" in problems[0]["message"]
        return
    text = json.dumps(document).replace(
        '"expr": {"ge"', '"deep": ' + '{"not": ' * depth + "1" + "}" * depth + ', "expr": {"ge"'
    )
    desk.refuses("bundle-validate", desk.put("b.json", text), code="JSON_NESTING", says="at most 128 levels")


def test_expression_of_too_many_nodes(desk: Desk) -> None:
    document = source()
    document["core_ir"]["constraints"]["total_is_positive"]["expr"] = {"and": [nested(1)] * 50_000}
    report = desk.finds("bundle-validate", desk.put("b.json", document))["bundles"][0]

    assert (report["problems_total"], "nodes" in report["problems"][0]["message"]) == (1, True)


@pytest.mark.parametrize(
    ("versions", "detail"),
    [
        ((1, 0), "from_version < to_version"),
        ((1, 1), "from_version < to_version"),
        ((0, 7), "version 1, the migration expects 7"),
    ],
)
def test_versions_that_do_not_fit(desk: Desk, versions: tuple[int, int], detail: str) -> None:
    document = copy.deepcopy(target())
    migration = document["core_ir"]["migrations"]["v0_to_v1"]
    migration["from_version"], migration["to_version"] = versions
    report = desk.finds(*preflight(to=desk.put("b.json", document)))

    assert detail in json.dumps(report["checks"])


def test_bundles_the_wrong_way_round(desk: Desk) -> None:
    checks = desk.finds(*preflight(source="bundle.v1.json", to="bundle.v0.json"))["checks"]

    assert (checks["from_bundle_valid"]["ok"], checks["migration_exists"]["ok"]) == (True, False)


@pytest.mark.parametrize("place", ["tag", "variable", "type", "attribute", "constraint", "migration"])
def test_long_names_do_not_swell_the_report(desk: Desk, place: str) -> None:
    document, name = target(), "k" * 1_000_000
    core = document["core_ir"]
    match place:
        case "tag":
            core["constraints"]["total_is_positive"]["expr"] = {name: 1}
        case "variable":
            core["constraints"]["total_is_positive"]["expr"] = {"var": {name: {"field": "total"}}}
        case "attribute":
            core["types"]["Order"]["reducer"]["noted"] = [{"clear_attr": {"name": name}}]
        case _:
            core[f"{place}s"][name] = 7
    desk.finds("bundle-validate", desk.put("b.json", document))

    assert len(desk.call("bundle-validate", "b.json").out) < 10_000
