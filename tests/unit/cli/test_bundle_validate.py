"""bundle-validate: all bundles are looked at, the highest exit code wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.shop import source, write
from unit.cli.calling import Call


def test_valid_bundles(call: Call, shop: Path) -> None:
    said = call("bundle-validate", "bundle.v0.json", "bundle.v1.json")

    assert (said.code, said.report["ok"]) == (0, True)
    assert [entry["bundle"] for entry in said.report["bundles"]] == ["bundle.v0.json", "bundle.v1.json"]
    assert all(
        entry["ok"] and entry["problems"] == [] and len(entry["digest"]) == 64 for entry in said.report["bundles"]
    )


def test_a_bundle_with_problems(call: Call, shop: Path) -> None:
    document = source()
    document["core_ir"]["types"]["Order"]["initial_state"] = "elsewhere"
    write(shop / "bad.json", document)
    said = call("bundle-validate", "bad.json", "--summary", "always")

    assert (said.code, said.report["ok"]) == (1, False)
    assert "error" not in said.report
    assert said.report["bundles"][0]["problems_total"] == 1
    assert said.err.startswith("bundle bad.json: 1 problem\n")
    assert "$.core_ir.types.Order.initial_state" in said.err


def test_a_valid_bundle_with_a_warning(call: Call, shop: Path) -> None:
    document = source()
    document["core_ir"]["constraints"]["total_is_positive"]["expr"] = {"var": {"attrs": {"field": "totl"}}}
    write(shop / "odd.json", document)
    said = call("bundle-validate", "odd.json", "--summary", "always")
    entry = said.report["bundles"][0]

    assert (said.code, entry["ok"], entry["problems"], entry["warnings_total"]) == (0, True, [], 1)
    assert entry["warnings"][0]["path"] == "$.core_ir.constraints.total_is_positive.expr.var.attrs.field"
    assert said.err.startswith("bundle odd.json: valid, 1 warning\n")
    assert "there is no attribute 'totl' to read here, so this is null, did you mean" in " ".join(said.err.split())


def test_a_deep_place_does_not_hide_the_message(call: Call, shop: Path) -> None:
    document, expression = source(), {"lit": {"bool": True}}
    for _ in range(70):
        expression = {"is_null": expression}
    document["core_ir"]["constraints"]["total_is_positive"]["expr"] = expression
    write(shop / "bad.json", document)
    validated = call("bundle-validate", "bad.json", "--summary", "always")
    verified = call("history-verify", "--events", "events.v0.json", "--bundle", "bad.json", "--summary", "always")

    for said in (validated, verified):
        assert "$.core_ir.constraints.total_is_positive.expr.is_null" in said.err
        assert "expression is nested deeper than 64 levels" in " ".join(said.err.split())


def test_an_unreadable_bundle_does_not_hide_the_others(call: Call, shop: Path) -> None:
    said = call("bundle-validate", "nowhere.json", "bundle.v0.json")

    assert (said.code, said.error["code"]) == (2, "BUNDLE_NOT_FOUND")
    assert [entry["ok"] for entry in said.report["bundles"]] == [False, True]
    assert "nowhere.json" in said.err


@pytest.mark.parametrize("summary", ["always", "auto"])
def test_what_cannot_be_read_says_what_to_do(call: Call, shop: Path, summary: str) -> None:
    said = call("bundle-validate", "nowhere.json", "--summary", summary)

    assert said.error["hint"] == "check the path, and the current folder"
    assert "hint: check the path, and the current folder\n" in said.err


def test_schema_is_one_object(call: Call) -> None:
    said = call("bundle-schema")

    assert said.code == 0
    assert said.report["type"] == "object"
