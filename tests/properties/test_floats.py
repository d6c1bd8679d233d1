"""A payload map of which that is said never makes a float of a payload that holds none."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings

from cicsc.bundle.model import Transform, TypeMigration
from cicsc.history.model import Event
from cicsc.migration.transform import compile_rules, successors
from properties.applications import draw_payload_map
from properties.strategies import NAMES, Seeded, draw_value, seeds
from sizes import size

EXAMPLES = size(300, ci=1_000, full=20_000)


def without_floats(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(without_floats, value))
    return int(value) if isinstance(value, float) else value


def has_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(has_float, value.values()))
    return any(map(has_float, value)) if isinstance(value, list) else isinstance(value, float)


def test_floats_come_only_where_they_are_expected() -> None:
    found: Counter[tuple[bool, bool]] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(seed=seeds())
    def compare(seed: int) -> None:
        draw = Seeded(seed)
        payload_map = draw_payload_map(draw)
        rules = compile_rules(TypeMigration({"made": Transform(None, payload_map, drop=False, fan_out=None)}, {}, {}))
        rule = rules["made"]
        assert rule.always is not None
        for _ in range(5):
            payload = {name: without_floats(draw_value(draw)) for name in NAMES}
            event = Event("t", "Order", "1", 1, "made", payload, draw.index(9), "me")
            ((_, became),) = successors(rule, event)
            is_made = has_float(became)
            assert rule.always.makes_floats or not is_made, payload_map
            found[rule.always.makes_floats, is_made] += 1

    compare()
    assert all(found[case] for case in ((True, True), (True, False), (False, False))), found
