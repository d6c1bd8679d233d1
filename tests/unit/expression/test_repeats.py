"""Which expressions stand several times in others."""

import ast

from cicsc.expression import FunctionBuilder
from cicsc.expression.repeats import repeated


def lit(kind, value):
    return {"lit": {kind: value}}


def attr(name):
    return {"var": {"attrs": {"field": name}}}


def cents(name):
    return {"call": {"fn": "int", "args": [{"mul": [attr(name), lit("int", 100)]}]}}


def test_nothing_is_repeated():
    assert repeated([]) == []
    assert repeated([cents("a"), cents("b"), lit("int", 1), lit("int", 1)]) == []


def test_what_stands_inside_of_a_repetition_counts_once():
    assert repeated([cents("a"), cents("a"), cents("b")]) == [[cents("a")] * 2]


def test_inner_ones_come_first():
    total = {"add": [cents("a"), cents("b")]}
    assert repeated([total, total, cents("b"), attr("b")]) == [[attr("b")] * 2, [cents("b")] * 2, [total] * 2]
    assert repeated([cents("b"), total, total]) == [[cents("b")] * 2, [total] * 2]


def test_numbers_that_are_written_differently_are_different():
    assert repeated([{"add": [lit("float", 1), attr("a")]}, {"add": [lit("float", 1.0), attr("a")]}]) == [
        [attr("a")] * 2
    ]


def test_what_is_no_operand_tells_expressions_apart():
    looked_up = [{"get": {"expr": attr("a"), "path": path}} for path in ("x", "y", "x")]
    assert repeated(looked_up) == [[attr("a")] * 2, [looked_up[0]] * 2]
    called = [{"call": {"fn": function, "args": [lit("int", 1)]}} for function in ("int", "str", "str")]
    assert repeated(called) == [[called[1]] * 2]


def test_a_field_that_is_named_like_a_tag_is_none():
    field = {"mul": lit("int", 2)}
    assert repeated([{"obj": {"fields": field}}, {"obj": {"fields": field}}]) == []


def test_no_list_and_no_object_is_kept():
    built = {"arr": {"items": [{"obj": {"fields": {"a": attr("a")}}}]}}
    assert repeated([built, built]) == [[attr("a")] * 2]


def test_a_function_reads_what_is_kept():
    nodes = [cents("a"), {"add": [cents("a"), cents("a")]}]
    read = []

    def variable(builder, name, argument):
        read.append((name, argument))
        return builder.method(builder.name("attrs"), "get", builder.constant(argument))

    builder = FunctionBuilder(("attrs",), variable)
    before = builder.keep_repeated(nodes)
    function = builder.build_expression(ast.Tuple(list(map(builder.expression, nodes)), ast.Load()), before)
    assert function({"a": 1.25}) == (125, 250)
    assert read == [("attrs", "a")]
