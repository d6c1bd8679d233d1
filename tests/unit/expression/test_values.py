"""What values mean: the functions that compiled expressions call."""

import math

import pytest

from cicsc.expression import values
from cicsc.expression.limits import INTEGER_LIMIT, VALUE_DEPTH_MAX, VALUE_WEIGHT_MAX

LARGEST = INTEGER_LIMIT - 1
HUGE_INTEGER = int(1.7976931348623157e308)
HUGE = 1.7976931348623157e308


def same(found, expected):
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (1, 1.0, True), (1, True, False), (0, False, False), (True, True, True), (True, False, False),
        (None, None, True), (None, False, False), (None, 0, False), ("1", 1, False), ("a", "a", True), ("", None, False),
        ([], {}, False), ([1, 2], [1.0, 2], True), ([1], [True], False), ([1, 2], [1], False), ([1], [1, 2], False),
        ({"a": 1, "b": 2}, {"b": 2.0, "a": 1}, True), ({"a": 1}, {"a": True}, False), ({"a": 1}, {"b": 1}, False),
        ({"a": None}, {}, False), ({"a": None}, {"b": None}, False), ([[{"x": [0]}]], [[{"x": [False]}]], False),
        (2**53 + 1, float(2**53), False), (-0.0, 0, True),
    ],
)  # fmt: skip
def test_equal(left, right, expected):
    assert values.equal(left, right) is expected
    assert values.equal(right, left) is expected
    assert values.not_equal(left, right) is not expected


@pytest.mark.parametrize(
    ("left", "right", "is_less", "is_less_or_equal"),
    [
        (1, 2, True, True),
        (2, 1, False, False),
        (1, 1.0, False, True),
        (1.5, 2, True, True),
        (2**53, 2.0**53 + 2, True, True),
    ],
)
def test_order_of_numbers(left, right, is_less, is_less_or_equal):
    assert values.less(left, right) is is_less
    assert values.less_or_equal(left, right) is is_less_or_equal
    assert values.greater(left, right) is not is_less_or_equal
    assert values.greater_or_equal(left, right) is not is_less


@pytest.mark.parametrize("compare", [values.less, values.less_or_equal, values.greater, values.greater_or_equal])
@pytest.mark.parametrize("other", [None, True, "1", [1], {}])
def test_order_of_anything_else_is_null(compare, other):
    assert compare(other, 1) is None
    assert compare(1, other) is None


def test_contains_compares_deeply_without_coercion():
    assert values.contains(1.0, ["1", 1]) is True
    assert values.contains(True, [1, "true"]) is False
    assert values.contains({"a": [1]}, [{"a": [1.0]}]) is True
    assert values.contains(1, []) is False
    assert values.contains("a", "abc") is None
    assert values.contains("a", {"a": 1}) is None


@pytest.mark.parametrize(
    ("function", "left", "right", "expected"),
    [
        (values.add, 1, 2, 3), (values.add, 0.5, 0.5, 1), (values.add, 1, 0.5, 1.5), (values.add, 0.1, 0.2, 0.1 + 0.2),
        (values.add, LARGEST, 0, LARGEST), (values.add, LARGEST, 1, None), (values.add, -LARGEST, -1, None),
        (values.add, -LARGEST, 0, -LARGEST), (values.add, HUGE, HUGE, 2 * int(HUGE)), (values.add, 1e21, -3, 10**21 - 3), (values.add, HUGE, 0.5, HUGE_INTEGER), (values.add, 10**400, 0.5, None),
        (values.add, 2.0**53 - 1, 2.0, 2**53 + 1), (values.subtract, 1 - 2.0**53, 2.0, -(2**53) - 1), (values.multiply, 2.0**52 + 1, 3.0, 3 * (2**52 + 1)),
        (values.subtract, 1, 2, -1), (values.subtract, 1.5, 0.5, 1), (values.subtract, -LARGEST, 1, None),
        (values.subtract, -LARGEST, 0, -LARGEST), (values.subtract, LARGEST, -1, None), (values.subtract, LARGEST, 0, LARGEST),
        (values.subtract, -HUGE, HUGE, -2 * int(HUGE)), (values.subtract, 0.5, 10**400, None),
        (values.multiply, 3, 4, 12), (values.multiply, 0.5, 4, 2), (values.multiply, 1.5, 1.5, 2.25),
        (values.multiply, LARGEST, 1, LARGEST), (values.multiply, LARGEST, -1, -LARGEST), (values.multiply, 10**999, 10, None),
        (values.multiply, -(10**999), 10, None), (values.multiply, HUGE, 2, 2 * int(HUGE)), (values.multiply, HUGE, 1.5, None), (values.multiply, 1e21, 1e21, 10**42), (values.multiply, 10**400, 0.5, None),
        (values.divide, 6, 3, 2), (values.divide, -6, 3, -2), (values.divide, 7, 2, 3.5), (values.divide, 1, 3, 1 / 3),
        (values.divide, -7, 2, -3.5), (values.divide, 7.0, 3.5, 2), (values.divide, 1.5, 3, 0.5), (values.divide, 3, 1.5, 2),
        (values.divide, 1, 0, None), (values.divide, 1, 0.0, None), (values.divide, 0, 5, 0), (values.divide, HUGE, 0.5, None),
        (values.divide, 10**600, 10**300, 10**300), (values.divide, 10**900 + 1, 2, None), (values.divide, 10**400, 0.5, None),
        (values.divide, 3 * 10**400, 2 * 10**400, 1.5),
    ],
)  # fmt: skip
def test_arithmetic(function, left, right, expected):
    assert same(function(left, right), expected)


@pytest.mark.parametrize("function", [values.add, values.subtract, values.multiply, values.divide, values.time_between])
@pytest.mark.parametrize("other", [None, True, "1", [1], {"a": 1}])
def test_arithmetic_on_anything_else_is_null(function, other):
    assert function(other, 1) is None
    assert function(1, other) is None
    assert function(1.5, other) is None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(1000, 2500, 1500), (5, 3, -2), (0.5, 3, 2), (3, 0.5, -2), (-HUGE, HUGE, 2 * int(HUGE)), (10**400, 0.5, None)],
)
def test_time_between_truncates_towards_zero(start, end, expected):
    assert same(values.time_between(start, end), expected)


def test_number_normalises():
    assert same(values.number(2.0), 2)
    assert same(values.number(-0.0), 0)
    assert same(values.number(2.5), 2.5)
    assert values.number(math.inf) is None
    assert values.number(math.nan) is None
    assert same(values.number(LARGEST), LARGEST)
    assert same(values.number(-LARGEST), -LARGEST)
    assert values.number(INTEGER_LIMIT) is None
    assert values.number(-INTEGER_LIMIT) is None


@pytest.mark.parametrize(
    ("value", "integer", "double"),
    [
        (2.9, 2, 2.9), (-2.9, -2, -2.9), (7, 7, 7), (2**53 + 1, 2**53 + 1, 2**53), (10**400, 10**400, None),
        ("7", None, None), (True, None, None), (None, None, None), ([], None, None),
    ],
)  # fmt: skip
def test_conversions_take_numbers_only(value, integer, double):
    assert same(values.to_integer(value), integer)
    assert same(values.to_float(value), double)


def test_length_counts_code_points_and_items():
    assert values.length("a\U0001f600") == 2
    assert values.length([1, [2, 3]]) == 2
    assert values.length("") == 0
    assert values.length({"a": 1}) is None
    assert values.length(12) is None
    assert values.length(None) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", "a"), (None, None), (2.0, "2"), (0.1, "0.1"), (True, "true"), (False, "false"), (-0.0, "0"),
        ([1.0, "x"], '[1,"x"]'), ({"b": 1, "a": None}, '{"a":null,"b":1}'), (1e-7, "1e-7"), (0.00001, "0.00001"),
    ],
)  # fmt: skip
def test_text_is_canonical(value, expected):
    assert values.text(value) == expected


def test_mapped_takes_text_only():
    assert values.mapped("low", {"low": 1}) == 1
    assert values.mapped("high", {"low": 1}) is None
    assert values.mapped(1, {"1": 1}) is None
    assert values.mapped(None, {"": 1}) is None
    assert values.mapped(["low"], {"low": 1}) is None


@pytest.mark.parametrize(
    ("value", "path", "found", "exists"),
    [
        ({"a": {"b": 1}}, "a.b", 1, True), ({"a": None}, "a", None, True), ({"a": None}, "a.b", None, False),
        ({}, "a", None, False), ([5, 6], "1", 6, True), ([5, 6], "2", None, False), ([5, 6], "-1", None, False),
        ([5, 6], "01", 6, True), ([5], "x", None, False), ([5], "\u0661", None, False), ([5], "0000000000", None, False),
        ({"0": "zero"}, "0", "zero", True), ({"a": [{"b": 2}]}, ".a..0.b.", 2, True), (7, "a", None, False),
        ("text", "0", None, False), (7, "", 7, True), (None, "", None, True), (None, "a", None, False), ([5], "000000000", 5, True),
    ],
)  # fmt: skip
def test_paths(value, path, found, exists):
    steps = values.path_steps(path)
    assert values.get_path(value, steps) == found
    assert values.has_path(value, steps) is exists


def test_lookup_reads_objects_only():
    assert values.lookup({"attrs": {"a": 1}}, "attrs", "a") == 1
    assert values.lookup({"attrs": {"a": 1}}, "attrs", "b") is None
    assert values.lookup({"attrs": [1]}, "attrs", "a") is None
    assert values.lookup({}, "attrs", "a") is None


def nested(depth):
    value = 0
    for _ in range(depth):
        value = [value]
    return value


def test_bounded_limits_depth():
    assert values.bounded(nested(VALUE_DEPTH_MAX)) == nested(VALUE_DEPTH_MAX)
    assert values.bounded(nested(VALUE_DEPTH_MAX + 1)) is None
    assert values.bounded({"a": nested(VALUE_DEPTH_MAX)}) is None


def test_bounded_limits_weight():
    assert values.bounded([0] * (VALUE_WEIGHT_MAX - 1)) is not None
    assert values.bounded([0] * VALUE_WEIGHT_MAX) is None
    assert values.bounded([[0] * (VALUE_WEIGHT_MAX // 2)] * 2) is None
    assert values.bounded({str(n): 0 for n in range(100)}) is not None


def test_bounded_counts_text_by_64_characters():
    assert values.bounded(["a" * (64 * (VALUE_WEIGHT_MAX - 2))]) is not None
    assert values.bounded(["a" * (64 * (VALUE_WEIGHT_MAX - 1))]) is None
    assert values.bounded({"k" * (64 * (VALUE_WEIGHT_MAX - 2)): 0}) is not None
    assert values.bounded({"k" * (64 * (VALUE_WEIGHT_MAX - 1)): 0}) is None


def test_bounded_stops_counting_where_a_shared_value_would_explode():
    value = [0]
    for _ in range(90):
        value = [value, value]
    assert values.bounded(value) is None


def test_is_heavier_tells_of_depth_and_weight():
    assert not values.is_heavier(nested(3), 3, 4)
    assert values.is_heavier(nested(3), 2, 4)
    assert values.is_heavier(nested(3), 3, 3)
    assert values.is_heavier("x" * 128, 0, 2)


def test_weight_of_a_value_is_what_bounds_it():
    for value in (None, 1.5, "x" * 200, [1, [2, {}]], {"k" * 64: [0] * 9}):
        weight = values.weight_of(value)
        assert not values.is_heavier(value, 9, weight)
        assert values.is_heavier(value, 9, weight - 1)


def test_is_deeper_counts_lists_and_objects():
    assert not values.is_deeper({"a": [1, {"b": []}]}, 4)
    assert values.is_deeper({"a": [1, {"b": []}]}, 3)
    assert not values.is_deeper("[[[[", 0)
