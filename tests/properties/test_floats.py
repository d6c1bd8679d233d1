"""A payload map of which that is said never makes a float of a payload that holds none."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings

from cicsc.bundle.model import Transform, TypeMigration
from cicsc.history.model import Event
from cicsc.migration.transform import Rule, compile_rules, successors
from properties.applications import draw_payload_map
from properties.comparison import has_float
from properties.strategies import NAMES, Seeded, draw_value, seeds
from sizes import size

EXAMPLES = size(300, ci=1_000, full=20_000)


def without_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(without_floats, value))
    return int(value) if isinstance(value, float) else value


def rule_of(payload_map: dict[str, Any]) -> Rule:
    transform = Transform(None, payload_map, drop=False, fan_out=None)
    return compile_rules(TypeMigration({"made": transform}, {}, {}))["made"]


def made_of(rule: Rule, payload: dict[str, Any]) -> dict[str, Any]:
    ((_, became),) = successors(rule, Event("t", "Order", "1", 1, "made", payload, 5, "me"))
    return became


SEVEN: dict[str, Any] = {"lit": {"int": 7}}
MAKERS: list[dict[str, Any]] = [
    {"div": [SEVEN, {"lit": {"int": 2}}]},
    {"lit": {"float": 0.5}},
    {"map_enum": {"expr": {"lit": {"string": "a"}}, "mapping": {"a": 0.5}}},
    {"coalesce": [{"lit": {"null": True}}, {"arr": {"items": [{"mul": [SEVEN, {"lit": {"float": 0.5}}]}]}}]},
]


@pytest.mark.parametrize("maker", MAKERS)
def test_what_makes_a_float_is_known(maker: dict[str, Any]) -> None:
    rule = rule_of({"n": SEVEN, "x": maker})
    assert has_float(made_of(rule, {}))
    assert rule.always is not None
    assert rule.always.makes_floats


def test_floats_come_only_where_they_are_expected() -> None:
    found: Counter[bool] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(seed=seeds())
    def compare(seed: int) -> None:
        draw = Seeded(seed)
        payload_map = draw_payload_map(draw)
        rule = rule_of(payload_map)
        assert rule.always is not None
        found[rule.always.makes_floats] += 1
        for _ in range(5):
            payload = {name: without_floats(draw_value(draw)) for name in NAMES}
            assert rule.always.makes_floats or not has_float(made_of(rule, payload)), payload_map

    compare()
    assert min(found[True], found[False]) > EXAMPLES // 20, found
