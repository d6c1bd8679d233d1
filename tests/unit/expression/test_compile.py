"""Compiled expressions: what each tag gives, and what a compiled function can be made of."""

import ast

import pytest

from cicsc.expression import FunctionBuilder, compile_expression, reads
from cicsc.expression.compile import host_call

NULL = {"lit": {"null": True}}


def lit(value):
    if value is None:
        return NULL
    return {"lit": {{bool: "bool", int: "int", float: "float", str: "string"}[type(value)]: value}}


def var(name, argument=True):
    return {"var": {name: argument}}


def run(node, **environment):
    return compile_expression(node)(environment)


def same(found, expected):
    return type(found) is type(expected) and found == expected


LIST = {"arr": {"items": [lit(1), lit("a")]}}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (lit(None), None), (lit(True), True), (lit(2.0), 2), (lit(0.5), 0.5), (lit("a"), "a"), ({"lit": {"int": 3.0}}, 3),
        ({"not": lit(0)}, True), ({"not": LIST}, False), ({"bool": lit("")}, False), ({"bool": lit("0")}, True), ({"bool": {"bool": lit(3)}}, True),
        ({"is_null": lit(None)}, True), ({"is_null": lit(0)}, False),
        ({"and": []}, True), ({"or": []}, False), ({"and": [lit(1)]}, True), ({"or": [lit("")]}, False), ({"and": [lit(1), lit("")]}, False),
        ({"or": [lit(0), lit("x")]}, True), ({"and": [lit(True), lit(True)]}, True), ({"and": [{"not": lit(0)}, {"bool": lit(1)}]}, True),
        ({"or": [{"not": lit(1)}, {"is_null": NULL}]}, True), ({"or": [{"not": lit(1)}, lit(7)]}, True), ({"not": {"and": [lit(1), lit(2)]}}, False),
        ({"if": {"cond": lit(""), "then": lit(1), "else": lit(2)}}, 2), ({"if": {"cond": lit("x"), "then": lit(1), "else": lit(2)}}, 1),
        ({"if": {"cond": {"or": [lit(0), lit(3)]}, "then": lit(1), "else": lit(2)}}, 1),
        ({"coalesce": []}, None), ({"coalesce": [NULL]}, None), ({"coalesce": [lit(False)]}, False), ({"coalesce": [NULL, lit(0), lit(1)]}, 0),
        ({"eq": [lit(1), lit(1.0)]}, True), ({"eq": [lit(1), lit(True)]}, False), ({"ne": [lit(1), lit(2)]}, True),
        ({"eq": [lit("a"), lit("a")]}, True), ({"ne": [lit("a"), lit("b")]}, True), ({"eq": [NULL, NULL]}, True), ({"ne": [lit(0), NULL]}, True),
        ({"eq": [NULL, lit(0)]}, False), ({"ne": [lit("a"), lit("a")]}, False), ({"eq": [LIST, LIST]}, True),
        ({"lt": [lit(1), lit(2)]}, True), ({"le": [lit(2), lit(2)]}, True), ({"gt": [lit(1), lit(2)]}, False), ({"ge": [lit(2), lit(2)]}, True),
        ({"lt": [lit("a"), lit(2)]}, None), ({"add": [lit(1), lit(2)]}, 3), ({"sub": [lit(1), lit(2)]}, -1), ({"mul": [lit(3), lit(2)]}, 6),
        ({"div": [lit(3), lit(2)]}, 1.5), ({"time_between": [lit(1), lit(4)]}, 3), ({"in": {"needle": lit("a"), "haystack": LIST}}, True),
        ({"map_enum": {"expr": lit("b"), "mapping": {"a": 1, "b": 2}}}, 2), ({"get": {"expr": LIST, "path": "1"}}, "a"),
        ({"has": {"expr": LIST, "path": "2"}}, False), ({"has": {"expr": LIST, "path": "0"}}, True), (LIST, [1, "a"]),
        ({"obj": {"fields": {"a": LIST, "b": NULL}}}, {"a": [1, "a"], "b": None}), ({"obj": {"fields": {}}}, {}), ({"arr": {"items": []}}, []),
        ({"call": {"fn": "len", "args": [LIST]}}, 2), ({"call": {"fn": "str", "args": [lit(2.5)]}}, "2.5"),
        ({"call": {"fn": "int", "args": [lit(2.5)]}}, 2), ({"call": {"fn": "float", "args": [lit(2)]}}, 2),
    ],
)  # fmt: skip
def test_tags(node, expected):
    assert same(run(node), expected)


@pytest.mark.parametrize(
    ("name", "argument", "environment", "expected"),
    [
        ("now", True, {"now": 5}, 5), ("actor", True, {"actor": "a"}, "a"), ("state", True, {"state": "open"}, "open"),
        ("rows_count", True, {"rows_count": 3}, 3), ("e_type", True, {"e_type": "t"}, "t"), ("e_actor", True, {"e_actor": "b"}, "b"),
        ("e_time", True, {"e_time": 9}, 9), ("input", {"field": "x"}, {"input": {"x": 1}}, 1), ("attrs", {"field": "x"}, {"attrs": {"x": 2}}, 2),
        ("row", {"field": "x.y"}, {"row": {"x.y": 3}}, 3), ("arg", {"name": "x"}, {"arg": {"x": 4}}, 4), ("agg", {"name": "x"}, {"agg": {"x": 5}}, 5),
        ("payload", {"path": "x.0"}, {"payload": {"x": [6]}}, 6), ("e_payload", {"path": "x.y"}, {"e_payload": {"x": {"y": 7}}}, 7),
    ],
)  # fmt: skip
def test_variables(name, argument, environment, expected):
    assert run(var(name, argument), **environment) == expected
    missing = run(var(name, argument))
    assert missing == ("" if name == "state" else None)


def test_short_circuit_and_laziness():
    calls = []
    host = {"has_role": lambda: calls.append(1)}
    boom = {"call": {"fn": "has_role", "args": []}}
    run({"and": [lit(0), boom]}, host=host)
    run({"or": [lit(1), boom]}, host=host)
    run({"if": {"cond": lit(1), "then": lit(1), "else": boom}}, host=host)
    run({"coalesce": [lit(1), boom]}, host=host)
    assert calls == []
    run({"and": [lit(1), boom]}, host=host)
    assert calls == [1]


def test_host_functions_get_their_arguments():
    assert run({"call": {"fn": "has_role", "args": [lit("a"), lit(2)]}}, host={"has_role": lambda *a: list(a)}) == [
        "a",
        2,
    ]
    assert run({"call": {"fn": "has_role", "args": []}}) is None
    assert host_call({"host": {"f": 7}}, "f", []) is None
    assert host_call({"host": 7}, "f", []) is None


def test_a_built_value_is_bounded():
    wide = {"arr": {"items": [var("row", {"field": "x"})] * 2}}
    assert run(wide, row={"x": [0] * 60_000}) is None
    assert run({"obj": {"fields": {"a": wide}}}, row={"x": [0] * 10}) == {"a": [[0] * 10, [0] * 10]}
    text = {"call": {"fn": "str", "args": [var("row", {"field": "x"})]}}
    assert run({"arr": {"items": [text]}}, row={"x": "a" * 7_000_000}) is None
    assert run({"arr": {"items": [text]}}, row={"x": "a" * 64}) == ["a" * 64]


def test_a_built_value_of_long_literals_is_bounded():
    long = lit("a" * 64_000)
    assert run({"arr": {"items": [long] * 90}}) == ["a" * 64_000] * 90
    assert run({"arr": {"items": [long] * 110}}) is None
    assert run({"obj": {"fields": {"k" * 64_000 + str(n): lit(1) for n in range(110)}}}) is None
    assert run({"arr": {"items": [lit("a" * 63)] * 9_000}}) == ["a" * 63] * 9_000


def test_long_chains_do_not_nest():
    assert run({"coalesce": [NULL] * 5_000 + [lit(1)]}) == 1
    assert run({"and": [lit(1)] * 5_000}) is True


def test_bundle_text_never_becomes_a_name():
    hostile = "__import__('os').system('true')"
    assert run({"get": {"expr": var("row", {"field": hostile}), "path": hostile}}, row={hostile: 1}) is None
    assert run({"obj": {"fields": {hostile: lit(hostile)}}}) == {hostile: hostile}
    function = compile_expression({"obj": {"fields": {hostile: lit(hostile)}}})
    assert hostile not in function.__code__.co_names + function.__code__.co_varnames
    assert function.__globals__["__builtins__"] == {}


@pytest.mark.parametrize(
    "tree",
    [
        ast.Lambda(ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[]), ast.Constant(1)),
        ast.Name("open", ast.Load()),
        ast.Attribute(ast.Constant(1), "__class__", ast.Load()),
        ast.Call(ast.Call(ast.Name("environment", ast.Load()), [], []), [], []),
    ],
)
def test_a_tree_outside_the_allow_list_is_not_compiled(tree):
    builder = FunctionBuilder(("environment",), lambda *_: ast.Constant(None))
    with pytest.raises(AssertionError):
        builder.build_expression(tree)


def test_reads_collects_every_variable_once():
    node = {
        "and": [
            var("now"),
            {"eq": [var("row", {"field": "b"}), var("row", {"field": "a"})]},
            {"obj": {"fields": {"x": var("e_payload", {"path": "p.q"})}}},
        ]
    }
    found = reads([lit(1), node, {"call": {"fn": "len", "args": [var("row", {"field": "a"})]}}])
    assert found.flags == {"now"}
    assert found.of("row") == ("a", "b")
    assert found.of("e_payload") == ("p.q",)
    assert found.of("attrs") == ()


def test_null_checks_of_what_is_no_constant():
    value = var("row", {"field": "x"})
    assert run({"is_null": value}, row={"x": None}) is True
    assert run({"is_null": value}, row={"x": 0}) is False
    assert run({"ne": [value, NULL]}, row={"x": 0}) is True
    assert run({"eq": [NULL, value]}, row={}) is True


def test_builders_name_each_temporary_and_constant_apart():
    pick = {"coalesce": [var("row", {"field": "x"}), lit(1)]}
    both = {"sub": [{"coalesce": [pick, pick]}, {"coalesce": [lit(None), pick]}]}
    assert run(both, row={"x": 5}) == 0
    enums = [{"map_enum": {"expr": lit("a"), "mapping": {"a": number}}} for number in (1, 2, 3)]
    assert run({"arr": {"items": enums}}) == [1, 2, 3]
