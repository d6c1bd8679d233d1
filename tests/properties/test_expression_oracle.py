"""The compiled expression gives what the interpreter gives, for every expression and environment."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
from hypothesis import given, settings

from cicsc.expression import check_expression, compile_expression
from oracle.expression import ARITHMETIC, interpret
from oracle.expression import CONSTRUCTS as TAGS
from properties.comparison import identical
from properties.strategies import Seeded, cases, draw_case, seeds
from sizes import FULL, size

ENVIRONMENTS_EACH = 10
EXAMPLES = size(250, ci=1_000, full=4_000)
PAIRS_MIN = size(1_000, ci=4_000, full=20_000)
EVERY_TAG = {*TAGS, *ARITHMETIC}


def tags_in(node: object) -> list[str]:
    """Every tag in an expression, found without knowing the grammar: the keys that are tags."""
    if isinstance(node, list):
        return [tag for item in node for tag in tags_in(item)]
    if isinstance(node, dict):
        below = [tag for key, item in node.items() if key != "lit" for tag in tags_in(item)]
        return [key for key in node if key in EVERY_TAG] + below
    return []


class Comparison:
    """Compares one case after another, and remembers how much has been compared."""

    def __init__(self) -> None:
        self.pairs: set[int] = set()
        self.meaningful: Counter[str] = Counter()

    def __call__(self, case: tuple[dict[str, object], list[dict[str, object]]]) -> None:
        node, envs = case
        assert check_expression(node, "$") == []
        compiled = compile_expression(node)
        tags = set(tags_in(node))
        for env in envs:
            before = copy.deepcopy(env)
            expected, found = interpret(node, env), compiled(env)
            assert identical(expected, found), (expected, found)
            assert identical(before, env), "the environment was changed"
            if expected is not None:
                self.meaningful.update(tags)
            self.pairs.add(hash((repr(node), repr(env))))


@given(case=cases(ENVIRONMENTS_EACH))
def test_compiled_equals_interpreted_on_small_expressions(
    case: tuple[dict[str, object], list[dict[str, object]]],
) -> None:
    Comparison()(case)


@given(case=cases(ENVIRONMENTS_EACH))
def test_what_stands_twice_is_computed_once_and_is_the_same(
    case: tuple[dict[str, object], list[dict[str, object]]],
) -> None:
    node, envs = case
    twice = {"arr": {"items": [node, copy.deepcopy(node), {"if": {"cond": node, "then": node, "else": node}}]}}
    Comparison()((twice, envs))


def test_compiled_equals_interpreted_on_many_expressions() -> None:
    comparison = Comparison()

    @settings(max_examples=EXAMPLES)
    @given(seed=seeds())
    def compare(seed: int) -> None:
        comparison(draw_case(Seeded(seed), ENVIRONMENTS_EACH, depth=3 + seed % 4))

    compare()
    assert len(comparison.pairs) >= PAIRS_MIN
    if FULL:  # fewer cases say too little about the rarest constructs
        rare = {tag: comparison.meaningful[tag] for tag in EVERY_TAG if comparison.meaningful[tag] < PAIRS_MIN // 200}
        assert not rare, f"constructs that hardly ever gave a value: {rare}"


def nested(levels: int) -> list[object]:
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ([0] * 49_998, True),
        ([0] * 49_999, False),
        ([[0] * 24_998, [0] * 24_998], True),
        ({"k": ["x" * 63] * 49_997}, True),
        ({"k" * 64: ["x" * 63] * 49_997}, False),
        ("x" * 64 * 49_998, True),
        ("x" * 64 * 49_999, False),
        (nested(99), True),
        (nested(100), False),
    ],
)
def test_a_value_that_an_expression_builds_is_bounded(value: object, fits: bool) -> None:
    read = {"var": {"attrs": {"field": "v"}}}
    for node in ({"arr": {"items": [read, read]}}, {"obj": {"fields": {"a": read, "b": read}}}):
        env = {"attrs": {"v": value}}
        expected, found = interpret(node, env), compile_expression(node)(env)
        assert (expected is not None) is fits
        assert identical(expected, found)
