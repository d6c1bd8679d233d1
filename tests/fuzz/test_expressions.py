"""No JSON value makes the checker fail; what it accepts compiles, runs, and gives what the interpreter gives."""

from __future__ import annotations

import json
import random
from typing import Any

from cicsc.expression import check_expression, compile_expression, reads
from fuzz.mutation import Pieces, any_json, each_shard, inputs, marks, mutated_document, tried
from oracle.expression import interpret
from properties.comparison import identical
from properties.strategies import Seeded, draw_case, draw_value

pytestmark = marks

EXPRESSIONS = 60_000
ANY_VALUES = 4_000

CASES = [draw_case(Seeded(number), environments=2, depth=4) for number in range(300)]
PIECES = Pieces([node for node, _ in CASES])


def works(node: Any, environments: list[dict[str, Any]]) -> bool:
    """Check an expression and run it if it passes; tell whether it did."""
    problems = check_expression(node, "$")
    for problem in problems:
        assert problem.path.startswith("$")
        assert problem.message
    if problems:
        return False
    reads([node])
    compiled = compile_expression(node)
    for environment in environments:
        found = compiled(environment)
        json.dumps(found, allow_nan=False)
        assert identical(interpret(node, environment), found), environment
    return True


def odd_environment(chance: random.Random) -> dict[str, Any]:
    """An environment that holds anything under the names that are read."""
    names = ("attrs", "row", "input", "arg", "agg", "e_payload", "payload")
    draw = Seeded(chance.getrandbits(32))
    return {name: draw_value(draw, "object") for name in names} | {
        "now": any_json(chance, 0),
        "state": "s",
        "rows_count": 2,
    }


@each_shard
def test_mutated_expressions(shard: int) -> None:
    accepted = 0
    for chance in inputs("expressions", shard, EXPRESSIONS):
        node, environments = chance.choice(CASES)
        mutant = mutated_document(chance, node, PIECES)
        environments = [*environments, odd_environment(chance)]
        verdicts: list[bool] = []
        tried((mutant, environments), lambda m=mutant, e=environments, v=verdicts: v.append(works(m, e)))
        accepted += verdicts[0]
    assert accepted, "no mutated expression was valid, so nothing was run"


@each_shard
def test_any_values(shard: int) -> None:
    for chance in inputs("any values", shard, ANY_VALUES):
        value = any_json(chance, 5)
        tried(value, lambda value=value: works(value, [{}]))
