"""Values and expressions of the oracle on examples worked out by hand: a wrong oracle is worse than none."""

from __future__ import annotations

import math

import pytest

from oracle.expression import interpret
from oracle.spelling import arr, attr, call, n, pay
from oracle.values import MISSING, built, canonical, equal, levels, step, truth, weight

BIG = 10**999


@pytest.mark.parametrize("value", [None, False, 0, 0.0, -0.0, "", [], {}])
def test_truth_has_seven_false_values(value):
    assert truth(value) is False


@pytest.mark.parametrize("value", [True, 1, -1, 0.1, "0", "false", [0], [[]], {"": None}])
def test_truth_everything_else_is_true(value):
    assert truth(value) is True


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (False, 0, False),
        (1, "1", False),
        (None, None, True),
        (None, False, False),
        (0.0, -0.0, True),
        (2**53 + 1, 2.0**53, False),
        ({"a": 1, "b": [2.0]}, {"b": [2], "a": 1.0}, True),
        ({"a": None}, {}, False),
        ([1], [True], False),
        ([1, 2], [1], False),
        ("é", "e\u0301", False),
    ],
)
def test_equality_is_deep_and_without_coercion(a, b, expected):
    assert equal(a, b) is expected
    assert equal(b, a) is expected


@pytest.mark.parametrize(
    ("tag", "a", "b", "expected"),
    [
        ("add", 1, 2, 3),
        ("add", 0.5, 0.5, 1),
        ("add", True, 1, None),
        ("add", "1", 1, None),
        ("add", None, 1, None),
        ("sub", 2, 5, -3),
        ("mul", BIG, 9, 9 * BIG),
        ("mul", BIG, 10, None),
        ("add", 10 * BIG - 1, 1, None),
        ("add", BIG, 0.5, None),
        ("mul", 1e308, 10.0, int(1e308) * 10),
        ("mul", float(10**308), 1.5, 1.5e308),
        ("mul", 1.7e308, 1.5, None),
        ("div", 0.5, 5e-324, None),
        ("add", 2.0**53, 1.0, 2**53 + 1),
        ("sub", 0.5, 2.0**53, -(2**53)),
        ("div", 6, 3, 2),
        ("div", 7, 2, 3.5),
        ("div", 1, 3, 1 / 3),
        ("div", 1, 0, None),
        ("div", 1.0, 0.0, None),
        ("div", 0, 5, 0),
        ("div", 10 * BIG - 2, 2, 5 * BIG - 1),
        ("div", BIG, 3, None),
        ("div", BIG, 0.5, None),
        ("div", 10**400 + 1, 10**399, 10.0),
        ("time_between", 10, 4, -6),
        ("time_between", 0.5, 3, 2),
        ("time_between", 3, 0.5, -2),
        ("time_between", "1", 2, None),
        ("lt", 1, 1.5, True),
        ("lt", 2**53 + 1, 2.0**53, False),
        ("ge", 1, 1.0, True),
        ("le", "a", "b", None),
        ("gt", True, 0, None),
    ],
)
def test_operators_on_two_values(tag, a, b, expected):
    found = interpret({tag: [n(a), n(b)]}, {})
    assert equal(found, expected)


def test_an_integral_result_is_an_integer():
    assert type(interpret({"add": [n(0.5), n(1.5)]}, {})) is int
    assert type(interpret({"div": [n(2.0), n(1.0)]}, {})) is int


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        ("len", "𝄞a", 2),
        ("len", "", 0),
        ("len", None, None),
        ("len", 12, None),
        ("str", None, None),
        ("str", True, "true"),
        ("str", False, "false"),
        ("str", 2.0, "2"),
        ("str", -0.0, "0"),
        ("str", 1e21, "1" + "0" * 21),
        ("str", 0.1, "0.1"),
        ("str", 1e-7, "1e-7"),
        ("str", -1.25e-10, "-1.25e-10"),
        ("str", 0.000001, "0.000001"),
        ("str", "x", "x"),
        ("int", 1.9, 1),
        ("int", -1.9, -1),
        ("int", "1", None),
        ("int", True, None),
        ("float", 3, 3),
        ("float", 2**53 + 1, 2**53),
        ("float", BIG, None),
        ("float", "1.5", None),
    ],
)
def test_functions(function, value, expected):
    assert equal(interpret(call(function, n(value)), {}), expected)


def test_str_of_a_list_and_an_object_is_their_canonical_text():
    node = {"obj": {"fields": {"b": arr(n(1.0), n(None)), "a": n('"')}}}
    assert interpret(call("str", node), {}) == '{"a":"\\"","b":[1,null]}'
    assert interpret(call("len", arr(n(1), n(2))), {}) == 2
    assert interpret(call("len", node), {}) is None


def test_what_an_environment_does_not_hold_is_null_and_the_state_is_empty():
    names = {"input": "field", "attrs": "field", "row": "field", "arg": "name", "agg": "name"}
    for name, key in names.items():
        assert interpret({"var": {name: {key: "x"}}}, {}) is None
    for name in ("now", "actor", "rows_count", "e_type", "e_actor", "e_time"):
        assert interpret({"var": {name: True}}, {}) is None
    for name in ("e_payload", "payload"):
        assert interpret({"var": {name: {"path": "x.y"}}}, {}) is None
    assert interpret({"var": {"state": True}}, {}) == ""


def test_a_field_is_no_path():
    env = {"attrs": {"a.b": 1, "a": {"b": 2}}, "e_payload": {"a.b": 1, "a": {"b": 2}}}
    assert interpret(attr("a.b"), env) == 1
    assert interpret(pay("a.b"), env) == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.l.1", 20),
        ("a..l.0", 10),
        (".a.l.0.", 10),
        ("a.l.2", MISSING),
        ("a.l.-1", MISSING),
        ("a.l.x", MISSING),
        ("a.l.0.x", MISSING),
        ("a.z", None),
        ("a.z.y", MISSING),
        ("a.0", "zero"),
        ("s.0", MISSING),
        ("l." + "9" * 5000, MISSING),
    ],
)
def test_paths(path, expected):
    value = {"a": {"l": [10, 20], "z": None, "0": "zero"}, "s": "text", "l": [1]}
    found = step(value, path)
    assert found is MISSING if expected is MISSING else equal(found, expected)
    env = {"e_payload": value}
    assert interpret({"has": {"expr": pay(""), "path": path}}, env) is (expected is not MISSING)
    assert interpret({"get": {"expr": pay(""), "path": path}}, env) == (None if expected is MISSING else expected)


def test_booleans_are_strict_and_short_circuit():
    assert interpret({"and": []}, {}) is True
    assert interpret({"or": []}, {}) is False
    assert interpret({"and": [n(1), n("x")]}, {}) is True
    assert interpret({"or": [n(0), n("")]}, {}) is False
    assert interpret({"not": n("")}, {}) is True
    assert interpret({"bool": n(3)}, {}) is True


def test_if_coalesce_is_null():
    assert interpret({"if": {"cond": n(""), "then": n(1), "else": n(2)}}, {}) == 2
    assert interpret({"coalesce": [n(None), n(False), n(1)]}, {}) is False
    assert interpret({"coalesce": []}, {}) is None
    assert interpret({"is_null": n(None)}, {}) is True
    assert interpret({"is_null": n(0)}, {}) is False


def test_in_wants_a_list():
    assert interpret({"in": {"needle": n(1), "haystack": arr(n(True), n(1.0))}}, {}) is True
    assert interpret({"in": {"needle": n(1), "haystack": arr(n(True), n("1"))}}, {}) is False
    assert interpret({"in": {"needle": n("a"), "haystack": n("abc")}}, {}) is None


def test_map_enum_maps_strings_only():
    def mapped(value):
        return interpret({"map_enum": {"expr": n(value), "mapping": {"low": 1, "1": 2}}}, {})

    assert [mapped("low"), mapped("other"), mapped(1), mapped(None)] == [1, None, None, None]


def nested(levels_wanted):
    value = []
    for _ in range(levels_wanted - 1):
        value = [value]
    return value


def test_values_that_an_expression_builds_are_bounded():
    assert weight([1, [2, {"a": 3}]]) == 6
    assert weight({"k" * 40: "x" * 64, "l" * 40: "x" * 63}) == 1 + 1 + 2 + 1
    assert levels([1, [2, {"a": []}]]) == 4
    assert built([0] * 99_999) is not None
    assert built([0] * 100_000) is None
    assert built(nested(100)) is not None
    assert built(nested(101)) is None


def test_canonical_text():
    assert canonical({"b": 1, "a": [True, None, -0.0, 1e300, 1.5]}) == f'{{"a":[true,null,0,{int(1e300)},1.5],"b":1}}'
    # By code point U+FF5A stands before U+1D11E; by UTF-16 units, as RFC 8785 sorts, it would not.
    assert canonical({"𝄞": 1, "ｚ": 2}) == '{"ｚ":2,"𝄞":1}'
    assert canonical('\x00\x1f\b\f\n\r\t"\\/\x7f\u2028é') == '"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\/\x7f\u2028é"'
    assert canonical(10**5000) == "1" + "0" * 5000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, "0.5"),
        (123456.789, "123456.789"),
        (1.5e-5, "0.000015"),
        (1e-6, "0.000001"),
        (9.5e-7, "9.5e-7"),
        (5e-324, "5e-324"),
        (-2.2250738585072014e-308, "-2.2250738585072014e-308"),
        (4503599627370495.5, "4503599627370495.5"),
        (math.pi, "3.141592653589793"),
    ],
)
def test_canonical_text_of_fractions(value, expected):
    assert canonical(value) == expected
