"""Values from memory are held to the rules of decoded JSON."""

from __future__ import annotations

import datetime as dt
import enum
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicsc.decoding import MAX_INTEGER_DIGITS, MAX_NESTING
from cicsc.errors import InputError
from cicsc.history.plain import plain_value


class Level(enum.IntEnum):
    LOW = 1


class Name(str):
    __slots__ = ()


def nested(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_json_values_are_kept(value: object) -> None:
    kept = plain_value(value, "index 0")
    assert kept == value
    assert json.dumps(kept) == json.dumps(value)


def test_tuples_are_arrays() -> None:
    assert plain_value({"a": (1, (2,))}, "index 0") == {"a": [1, [2]]}


@pytest.mark.parametrize("value", [10**MAX_INTEGER_DIGITS - 1, -(10**MAX_INTEGER_DIGITS) + 1, nested(MAX_NESTING)])
def test_values_at_the_limits_are_kept(value: object) -> None:
    assert plain_value(value, "index 0") == value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "index 0: expected a finite number, found nan"),
        ({"a": [1, float("-inf")]}, "index 0 at 'a.1': expected a finite number, found -inf"),
        ({"a": {1}}, "index 0 at 'a': expected a JSON value, found one of type set"),
        ([b"x"], "index 0 at '0': expected a JSON value, found one of type bytes"),
        (Decimal(1), "index 0: expected a JSON value, found one of type Decimal"),
        (dt.date(2020, 1, 1), "index 0: expected a JSON value, found one of type date"),
        (Level.LOW, "index 0: expected a JSON value, found one of type Level"),
        (Name("x"), "index 0: expected a JSON value, found one of type Name"),
        ({1: 2}, "index 0: expected keys that are strings, found one of type int"),
        ({"a": {"\ud800": 1}}, "index 0 at 'a': expected surrogates in pairs, found a lone one"),
        (["é\udfff"], "index 0 at '0': expected surrogates in pairs, found a lone one"),
        (10**MAX_INTEGER_DIGITS, "index 0: expected an integer of at most 1000 digits, found a longer one"),
        (nested(MAX_NESTING + 1), "expected at most 128 levels of nesting, found more"),
    ],
)
def test_anything_else_is_refused(value: object, message: str) -> None:
    with pytest.raises(InputError) as raised:
        plain_value(value, "index 0")
    assert raised.value.code == "VALUE_NOT_JSON"
    assert raised.value.message.endswith(message)
    assert raised.value.message.startswith("cannot read index 0")
