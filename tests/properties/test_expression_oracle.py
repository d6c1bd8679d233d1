"""The compiled expression gives what the interpreter gives, for every expression and environment."""

from __future__ import annotations

import copy
import os
from collections import Counter

from hypothesis import HealthCheck, given, settings
from oracle.expression import CONSTRUCTS as TAGS
from oracle.expression import interpret

from cicsc.expression import check_expression, compile_expression
from properties.comparison import identical
from properties.strategies import cases

CI = bool(os.environ.get("CI"))
ENVIRONMENTS_EACH = 10
EXAMPLES = 2_500 if CI else 250


def tags_in(node: object) -> list[str]:
    """Every tag in an expression, found without knowing the grammar: the keys that are tags."""
    if isinstance(node, list):
        return [tag for item in node for tag in tags_in(item)]
    if isinstance(node, dict):
        return [key for key in node if key in TAGS] + [tag for item in node.values() for tag in tags_in(item)]
    return []


def test_compiled_equals_interpreted() -> None:
    pairs = 0
    meaningful: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=cases(ENVIRONMENTS_EACH))
    def compare(case: tuple[dict[str, object], list[dict[str, object]]]) -> None:
        nonlocal pairs
        node, envs = case
        assert check_expression(node, "$") == []
        compiled = compile_expression(node)
        for env in envs:
            before = copy.deepcopy(env)
            expected, found = interpret(node, env), compiled(env)
            assert identical(expected, found), (expected, found)
            assert identical(before, env), "the environment was changed"
            if expected is not None:
                meaningful.update(set(tags_in(node)))
            pairs += 1

    compare()
    assert pairs >= EXAMPLES * ENVIRONMENTS_EACH
    if CI:
        assert pairs >= 20_000
        rare = [tag for tag in {*TAGS, "add", "sub", "mul", "div"} if meaningful[tag] < 50]
        assert not rare, f"constructs that hardly ever gave a value: {rare}"
