"""Checking expressions: every defect with its path."""

import pytest

from cicsc.errors import Problem
from cicsc.expression import check_expression, json_path
from cicsc.expression.check import describe, suggestion
from cicsc.expression.limits import DEPTH_MAX, INTEGER_LIMIT, LITERAL_TEXT_MAX, NODES_MAX

ONE = {"lit": {"int": 1}}


def found(node, **options):
    return [(problem.path, problem.message) for problem in check_expression(node, "$", **options)]


@pytest.mark.parametrize(
    "node",
    [
        {"lit": {"null": True}}, {"lit": {"bool": False}}, {"lit": {"int": 2.0}}, {"lit": {"float": 2}}, {"lit": {"float": 0.5}},
        {"lit": {"string": ""}}, {"lit": {"string": "a" * LITERAL_TEXT_MAX}}, {"lit": {"int": INTEGER_LIMIT - 1}},
        {"lit": {"int": 1 - INTEGER_LIMIT}}, {"and": []}, {"or": [ONE]}, {"coalesce": [ONE, ONE, ONE]}, {"not": ONE},
        {"if": {"cond": ONE, "then": ONE, "else": ONE}}, {"get": {"expr": ONE, "path": "a.b"}}, {"has": {"expr": ONE, "path": ""}},
        {"obj": {"fields": {}}}, {"obj": {"fields": {"a": ONE}}}, {"arr": {"items": []}}, {"in": {"needle": ONE, "haystack": ONE}},
        {"map_enum": {"expr": ONE, "mapping": {"a": 1, "b": 0.5}}}, {"call": {"fn": "len", "args": [ONE]}}, {"eq": [ONE, ONE]},
        *({"var": {name: True}} for name in ("now", "actor", "state", "rows_count", "e_type", "e_actor", "e_time")),
        *({"var": {name: {"field": "a"}}} for name in ("input", "attrs", "row")),
        *({"var": {name: {"name": "a"}}} for name in ("arg", "agg")),
        *({"var": {name: {"path": "a.b"}}} for name in ("payload", "e_payload")),
    ],
)  # fmt: skip
def test_valid(node):
    assert found(node) == []


@pytest.mark.parametrize(
    ("node", "path", "message"),
    [
        (7, "$", 'expected an expression, an object with exactly one key, found the number 7, did you mean {"lit": {"int": 7}}?'),
        ({}, "$", "expected an expression, an object with exactly one key, found an empty object"),
        ({"lit": 1, "var": 2}, "$", "expected an expression, an object with exactly one key, found an object with the keys 'lit', 'var'"),
        ({"eqq": []}, "$.eqq", "unknown expression tag 'eqq', did you mean 'eq'?"),
        ({"__class__": []}, "$.__class__", "unknown expression tag '__class__'"),
        ({"lit": 1}, "$.lit", 'expected a literal, an object with exactly one key, found the number 1, did you mean {"int": 1}?'),
        ({"lit": {}}, "$.lit", "expected a literal, an object with exactly one key, found an empty object"),
        ({"lit": {"null": False}}, "$.lit.null", "expected true, found false"),
        ({"lit": {"date": 1}}, "$.lit.date", "unknown literal kind 'date', expected one of bool, int, float, string, null"),
        ({"lit": {"int": True}}, "$.lit.int", "expected a value of kind int, found true"),
        ({"lit": {"bool": 1}}, "$.lit.bool", "expected a value of kind bool, found the number 1"),
        ({"lit": {"string": None}}, "$.lit.string", "expected a value of kind string, found null"),
        ({"lit": {"int": 1.5}}, "$.lit.int", "expected a whole number, found 1.5"),
        ({"lit": {"int": INTEGER_LIMIT}}, "$.lit.int", "number is too large for the language"),
        ({"lit": {"int": -INTEGER_LIMIT}}, "$.lit.int", "number is too large for the language"),
        ({"lit": {"float": float("inf")}}, "$.lit.float", "number is too large for the language"),
        ({"lit": {"string": "a" * (LITERAL_TEXT_MAX + 1)}}, "$.lit.string", "text is longer than 65536 characters"),
        ({"lit": "open"}, "$.lit", "expected a literal, an object with exactly one key, found the string 'open', did you mean {\"string\": \"open\"}?"),
        ({"lit": None}, "$.lit", 'expected a literal, an object with exactly one key, found null, did you mean {"null": true}?'),
        ({"not": 0.5}, "$.not", 'expected an expression, an object with exactly one key, found the number 0.5, did you mean {"lit": {"float": 0.5}}?'),
        ({"not": True}, "$.not", 'expected an expression, an object with exactly one key, found true, did you mean {"lit": {"bool": true}}?'),
        ({"not": 10**20}, "$.not", "expected an expression, an object with exactly one key, found a number"),
        ({"not": "x" * 41}, "$.not", "expected an expression, an object with exactly one key, found a string of 41 characters"),
        ({"var": "now"}, "$.var", "expected a variable, an object with exactly one key, found the string 'now', did you mean {\"now\": true}?"),
        ({"var": "total"}, "$.var", "expected a variable, an object with exactly one key, found the string 'total'"),
        ({"var": []}, "$.var", "expected a variable, an object with exactly one key, found a list of 0"),
        ({"var": {"a": 1, "b": 2}}, "$.var", "expected a variable, an object with exactly one key, found an object with the keys 'a', 'b'"),
        ({"var": {"now": 1}}, "$.var.now", "expected true, found the number 1"),
        ({"var": {"nov": True}}, "$.var.nov", "unknown variable 'nov', did you mean 'now'?"),
        ({"var": {"attrs": {"name": "a"}}}, "$.var.attrs", "expected an object with exactly the key 'field' and a string, found an object with the keys 'name'"),
        ({"var": {"attrs": {"field": 1}}}, "$.var.attrs", "expected an object with exactly the key 'field' and a string, found an object with the keys 'field'"),
        ({"var": {"row": "a"}}, "$.var.row", "expected an object with exactly the key 'field' and a string, found the string 'a'"),
        ({"var": {"row": {"field": "a" * (LITERAL_TEXT_MAX + 1)}}}, "$.var.row.field", "text is longer than 65536 characters"),
        ({"eq": [ONE]}, "$.eq", "expected a list of exactly 2 expressions, found a list of 1"),
        ({"add": {"a": ONE}}, "$.add", "expected a list of exactly 2 expressions, found an object with the keys 'a'"),
        ({"and": ONE}, "$.and", "expected a list of expressions, found an object with the keys 'lit'"),
        ({"and": [ONE, 1]}, "$.and[1]", 'expected an expression, an object with exactly one key, found the number 1, did you mean {"lit": {"int": 1}}?'),
        ({"not": None}, "$.not", 'expected an expression, an object with exactly one key, found null, did you mean {"lit": {"null": true}}?'),
        ({"if": {"cond": ONE, "then": ONE}}, "$.if", "expected an object with exactly the keys cond, then, else, found an object with the keys 'cond', 'then'"),
        ({"if": []}, "$.if", "expected an object with exactly the keys cond, then, else, found a list of 0"),
        ({"if": {"cond": 1, "then": ONE, "else": ONE}}, "$.if.cond", 'expected an expression, an object with exactly one key, found the number 1, did you mean {"lit": {"int": 1}}?'),
        ({"get": {"expr": ONE, "path": 1}}, "$.get.path", "expected a path, a string, found the number 1"),
        ({"has": {"expr": ONE}}, "$.has", "expected an object with exactly the keys expr, path, found an object with the keys 'expr'"),
        ({"has": {"expr": ONE, "path": "a" * (LITERAL_TEXT_MAX + 1)}}, "$.has.path", "text is longer than 65536 characters"),
        ({"map_enum": {"expr": ONE, "mapping": []}}, "$.map_enum.mapping", "expected an object of numbers, found a list of 0"),
        ({"map_enum": {"expr": ONE, "mapping": {"a b": True}}}, '$.map_enum.mapping["a b"]', "expected a number, found true"),
        ({"map_enum": {"expr": ONE, "mapping": {"a": INTEGER_LIMIT}}}, "$.map_enum.mapping.a", "number is too large for the language"),
        ({"obj": {"fields": []}}, "$.obj.fields", "expected an object of expressions, found a list of 0"),
        ({"obj": {}}, "$.obj", "expected an object with exactly the keys fields, found an empty object"),
        ({"obj": {"fields": {'q"': 1}}}, '$.obj.fields["q\\""]', 'expected an expression, an object with exactly one key, found the number 1, did you mean {"lit": {"int": 1}}?'),
        ({"obj": {"fields": {"k" * (LITERAL_TEXT_MAX + 1): ONE}}}, f'$.obj.fields["{"k" * 120}..."]', "text is longer than 65536 characters"),
        ({"arr": {"items": 1}}, "$.arr.items", "expected a list of expressions, found the number 1"),
        ({"arr": {}}, "$.arr", "expected an object with exactly the keys items, found an empty object"),
        ({"arr": {"items": [ONE, "x"]}}, "$.arr.items[1]", "expected an expression, an object with exactly one key, found the string 'x', did you mean {\"lit\": {\"string\": \"x\"}}?"),
        ({"call": {"fn": "len"}}, "$.call", "expected an object with exactly the keys fn, args, found an object with the keys 'fn'"),
        ({"call": {"fn": "lenn", "args": []}}, "$.call.fn", "unknown function 'lenn', did you mean 'len'?"),
        ({"call": {"fn": 1, "args": []}}, "$.call.fn", "unknown function the number 1"),
        ({"call": {"fn": "len", "args": 1}}, "$.call.args", "expected a list of expressions, found the number 1"),
        ({"call": {"fn": "len", "args": []}}, "$.call.args", "function 'len' takes 1 argument, found 0"),
        ({"call": {"fn": "len", "args": [ONE, ONE]}}, "$.call.args", "function 'len' takes 1 argument, found 2"),
        ({"call": {"fn": "len", "args": [1]}}, "$.call.args[0]", 'expected an expression, an object with exactly one key, found the number 1, did you mean {"lit": {"int": 1}}?'),
        ({"call": {"fn": "uuid", "args": []}}, "$.call.fn", "call of 'uuid' is refused: a replay must not depend on when or where it runs"),
        ({"call": {"fn": "has_role", "args": []}}, "$.call.fn", "function 'has_role' may be called in the guard of a command only"),
    ],
)  # fmt: skip
def test_defects(node, path, message):
    assert found(node) == [(path, message)]


def test_host_functions_are_for_guards():
    assert found({"call": {"fn": "has_role", "args": [ONE, ONE]}}, host_calls=True) == []
    assert len(found({"call": {"fn": "random", "args": []}}, host_calls=True)) == 1


def test_every_defect_is_reported():
    assert [path for path, _ in found({"and": [1, {"eq": []}, {"lit": {}}]})] == [
        "$.and[0]",
        "$.and[1].eq",
        "$.and[2].lit",
    ]


def nots(count):
    node = ONE
    for _ in range(count):
        node = {"not": node}
    return node


def test_depth_limit():
    assert found(nots(DEPTH_MAX - 1)) == []
    ((path, message),) = found(nots(DEPTH_MAX))
    assert message == f"expression is nested deeper than {DEPTH_MAX} levels"
    assert path == "$" + ".not" * DEPTH_MAX


def test_node_limit_is_reported_once():
    assert found({"and": [ONE] * (NODES_MAX - 1)}) == []
    assert found({"and": [ONE] * (NODES_MAX + 5)}) == [
        (f"$.and[{NODES_MAX - 1}]", f"expression has more than {NODES_MAX} nodes")
    ]


def test_problems_are_records():
    assert check_expression(1, "$.x")[0] == Problem("$.x", found(1)[0][1])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"), (True, "true"), (1.5, "the number 1.5"), (10**20, "a number"), (-(10**20), "a number"),
        (10**20 - 1, "the number 99999999999999999999"), (float("inf"), "a number"),
        ("x" * 40, "the string " + repr("x" * 40)), ("x" * 41, "a string of 41 characters"), ([1, 2], "a list of 2"), ({}, "an empty object"),
        (dict.fromkeys("abcd"), "an object with the keys 'a', 'b', 'c', 'd'"),
        (dict.fromkeys("abcde"), "an object with the keys 'a', 'b', 'c', 'd', ..."), (b"x", "a value of type bytes"),
    ],
)  # fmt: skip
def test_describe(value, text):
    assert describe(value) == text


def test_suggestion():
    assert suggestion("stat", ["state", "row"]) == ", did you mean 'state'?"
    assert suggestion("zzz", ["state"]) == ""
    assert suggestion(7, ["state"]) == ""


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ("a", "$.a"),
        ("_A9", "$._A9"),
        (3, "$[3]"),
        ("a b", '$["a b"]'),
        ("9", '$["9"]'),
        ("", '$[""]'),
        ("a\n", '$["a\\n"]'),
    ],
)
def test_json_path(step, path):
    assert json_path("$", step) == path


def test_describe_a_number_that_python_will_not_print():
    assert describe(10**5000) == "a number"


def test_the_last_node_within_the_limit_is_checked():
    assert found({"and": [ONE] * (NODES_MAX - 2) + [1]})[0][0] == f"$.and[{NODES_MAX - 2}]"


def test_a_huge_name_is_shown_in_part():
    huge = "k" * 10_000
    for node in (
        {huge: 1},
        {"lit": {huge: 1}},
        {"var": {huge: 1}},
        {"call": {"fn": huge, "args": []}},
        {huge: 1, "b": 2},
    ):
        ((path, message),) = found(node)
        assert len(path) + len(message) < 500
        assert "k" * 120 in message
