"""The published JSON Schema: a valid schema, complete, and never stricter than the checks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cicsc.bundle import check_entity, check_query
from cicsc.bundle.check_bundle import OTHER_SECTIONS, parse_bundle
from cicsc.bundle.schema import bundle_schema
from cicsc.expression import grammar
from unit.bundle.documents import MIGRATION, ORDER, PIPELINE, TRANSFORMS, Steps, bundle, changed, without

SCHEMA = bundle_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
DEFINITIONS: dict[str, Any] = SCHEMA["$defs"]  # type: ignore[assignment]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def steps_of(value: object, above: Steps = ()) -> list[Steps]:
    """Return the way to every place of a document."""
    entries: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        entries = list(value.items())
    elif isinstance(value, list):
        entries = list(enumerate(value))
    return [found for step, below in entries for found in [(*above, step), *steps_of(below, (*above, step))]]


PLACES = steps_of(bundle())


def value_at(steps: Steps) -> object:
    value: Any = bundle()
    for step in steps:
        value = value[step]
    return value


@st.composite
def mutated(draw: st.DrawFn) -> object:
    """A bundle with up to three places replaced, moved or removed."""
    document: Any = bundle()
    for _ in range(draw(st.integers(1, 3))):
        steps = draw(st.sampled_from(PLACES))
        parent = document
        for step in steps[:-1]:
            parent = parent[step] if _has(parent, step) else None
        if not _has(parent, steps[-1]):
            continue
        match draw(st.sampled_from(["replace", "move", "add", "remove"])):
            case "replace":
                parent[steps[-1]] = draw(json_values)
            case "move":
                parent[steps[-1]] = copy.deepcopy(value_at(draw(st.sampled_from(PLACES))))
            case "add" if isinstance(parent, dict):
                parent[draw(st.text(max_size=5) | st.sampled_from(["items", "__class__", "drop", "types"]))] = draw(
                    json_values
                )
            case _:
                del parent[steps[-1]]
    return document


def _has(parent: object, step: str | int) -> bool:
    if isinstance(parent, list):
        return isinstance(step, int) and step < len(parent)
    return isinstance(parent, dict) and step in parent


def test_schema_is_a_valid_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schema_is_new_each_time() -> None:
    bundle_schema().clear()
    assert bundle_schema() == SCHEMA


def test_schema_accepts_the_example() -> None:
    assert list(VALIDATOR.iter_errors(bundle())) == []


@pytest.mark.parametrize(
    ("definition", "names"),
    [
        ("expression", grammar.TAGS),
        ("variable", grammar.FLAG_VARIABLES | grammar.FIELD_VARIABLES.keys()),
        ("op", check_entity._OPS.keys()),
        ("step", check_query._STEPS.keys()),
        ("source", check_query._SOURCES.keys()),
        ("aggregate", check_query._AGGREGATES.keys()),
    ],
)
def test_schema_knows_every_variant(definition: str, names: set[str]) -> None:
    assert DEFINITIONS[definition]["properties"].keys() == names


def test_schema_knows_every_literal_function_and_attribute_type() -> None:
    tags = DEFINITIONS["expression"]["properties"]
    assert tags["lit"]["properties"].keys() == grammar.LITERALS.keys() | {"null"}
    assert set(tags["call"]["properties"]["fn"]["enum"]) == grammar.FUNCTIONS | grammar.HOST_FUNCTIONS
    assert DEFINITIONS["attribute"]["properties"]["type"]["enum"] == list(check_entity.ATTRIBUTE_TYPES)


def test_schema_knows_every_section() -> None:
    core: Any = SCHEMA["properties"]["core_ir"]  # type: ignore[index]
    read = {"version", "types", "constraints", "policies", "views", "migrations"}
    assert core["properties"].keys() == read | set(OTHER_SECTIONS)


def test_schema_describes_every_definition() -> None:
    assert [name for name, node in DEFINITIONS.items() if not node.get("description")] == ["attributes"]


@pytest.mark.parametrize(
    "document",
    [
        changed((*TRANSFORMS, "noted", "emitas"), "x"),
        changed((*TRANSFORMS, "closed", "emit_as"), "x"),
        changed((*MIGRATION, "types"), {}),
        changed((*ORDER, "states"), []),
        changed((*PIPELINE, 6, "limit"), -1),
        changed((*ORDER, "reducer", "noted"), [{"set_stat": {}}]),
        changed(("core_ir", "constraints", "few_open", "assert"), {"eqq": []}),
        without((*ORDER, "id_type")),
        without(("core_ir", "constraints", "paid_has_amount", "expr")),
        {},
    ],
)
def test_schema_refuses_what_editors_should_mark(document: object) -> None:
    assert not VALIDATOR.is_valid(document)


@given(mutated())
@settings(max_examples=400, deadline=None)
def test_schema_is_never_stricter_than_the_checks(document: object) -> None:
    parsed, found = parse_bundle(document)
    assert (parsed is None) == bool(found)
    assert all(problem.path.startswith("$") and problem.message for problem in found)
    assert found or VALIDATOR.is_valid(document)


@given(json_values)
@settings(max_examples=300, deadline=None)
def test_parse_bundle_reports_problems_of_any_value(document: object) -> None:
    assert parse_bundle(document)[1]
