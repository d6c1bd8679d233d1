"""The canonical encoding against RFC 8785's rules, and the digest against its definition."""

from __future__ import annotations

import hashlib
import json
import random
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cicsc.canonical import (
    EVENT_FIELDS,
    LeafHasher,
    RootHasher,
    canonical_bytes,
    canonical_event,
    sha256_hex,
)
from cicsc.history.model import Event

texts = st.text(st.characters(exclude_categories=("Cs",)))
numbers = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
KEY = ("t", "Order", "1")


def number_text(value: float) -> str:
    """Write a double as ECMA-262 says (Number::toString), from its shortest decimal digits."""
    sign, digit_tuple, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    digits = "".join(map(str, digit_tuple))
    count, point = len(digits), len(digits) + exponent
    minus = "-" if sign else ""
    if Fraction(value).denominator == 1:
        return str(int(Fraction(value)))
    if 0 < point <= 21:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = "." + digits[1:] if count > 1 else ""
    return f"{minus}{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def string_text(value: str) -> str:
    short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
    return '"' + "".join(short.get(ord(c), f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'


def slow_text(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return number_text(value)
        case str():
            return string_text(value)
        case list():
            return "[" + ",".join(map(slow_text, value)) + "]"
        case dict():
            return "{" + ",".join(f"{string_text(key)}:{slow_text(value[key])}" for key in sorted(value)) + "}"
    raise AssertionError(value)


@given(values)
@example([1e16, 1e21, 1e22, -0.0, 5e-324, 1.7976931348623157e308])
@example({"\U0001f600": 1, "￿": 2, "": 3})
def test_encoding_agrees_with_an_independent_one(value: object) -> None:
    assert canonical_bytes(value) == slow_text(value).encode()


@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e-3, 1e-3))
def test_a_bare_number_agrees_with_an_independent_encoding(value: float) -> None:
    assert canonical_bytes(value) == number_text(value).encode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.0, "2"),
        (-0.0, "0"),
        (-2.5, "-2.5"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (1.5e-6, "0.0000015"),
        (-1.5e-6, "-0.0000015"),
        (1e-7, "1e-7"),
        (-1.25e-10, "-1.25e-10"),
        (1e21, "1000000000000000000000"),
        (10**400, "1" + "0" * 400),
        (True, "true"),
        ("e1,", '"e1,"'),
        (["0.0", "1e5", 0.5], '["0.0","1e5",0.5]'),
        ("\x7f\u2028/", '"\x7f\u2028/"'),
        ("\b\t\n\f\r\x1b", '"\\b\\t\\n\\f\\r\\u001b"'),
    ],
)
def test_value_is_encoded_as(value: object, text: str) -> None:
    assert canonical_bytes(value) == text.encode()


def test_doubles_of_every_size_agree_with_an_independent_encoding() -> None:
    draw = random.Random(8785)
    for exponent in range(-330, 308):
        value = float(f"{draw.choice(['', '-'])}{draw.randrange(1, 10)}.{draw.randrange(10**6)}e{exponent}")
        assert canonical_bytes([value]) == f"[{number_text(value)}]".encode()


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_number_outside_json_is_our_own_bug(value: float) -> None:
    with pytest.raises(ValueError, match="is not a JSON number"):
        canonical_bytes([1.0, value])


@given(values)
def test_encoding_is_stable_under_its_own_decoding(value: object) -> None:
    once = canonical_bytes(value)
    assert canonical_bytes(json.loads(once)) == once


@given(st.dictionaries(texts, values, max_size=5), st.randoms(use_true_random=False))
def test_key_order_is_irrelevant(value: dict[str, object], draw: random.Random) -> None:
    keys = list(value)
    draw.shuffle(keys)
    assert canonical_bytes({key: value[key] for key in keys}) == canonical_bytes(value)


def event(seq: int = 1, **changes: object) -> Event:
    return msgspec.structs.replace(Event(*KEY, seq, "paid", {"sum": 1}, -5, "me"), **changes)


@given(st.dictionaries(texts, values, max_size=3))
def test_event_is_encoded_as_its_eight_fields(payload: dict[str, object]) -> None:
    paid = event(payload=payload)
    assert canonical_event(paid) == canonical_bytes({name: getattr(paid, name) for name in EVENT_FIELDS})


def test_extra_fields_are_not_part_of_the_canonical_event() -> None:
    assert canonical_event(event(extra={"trace": "x"})) == canonical_event(event())


def test_integral_payload_numbers_do_not_change_the_canonical_event() -> None:
    assert canonical_event(event(payload={"sum": 1.0})) == canonical_event(event())


def test_leaf_is_the_hash_that_the_format_defines() -> None:
    leaf = LeafHasher()
    for seq in (1, 2):
        leaf.update(event(seq))
    expected = hashlib.sha256(b"\0" + b"".join(canonical_event(event(seq)) + b"\n" for seq in (1, 2)))
    assert (leaf.hexdigest(), leaf.count) == (expected.hexdigest(), 2)


def test_leaf_of_an_event_is_pinned() -> None:
    leaf = LeafHasher()
    leaf.update(event())
    text = (
        b'\0{"actor_id":"me","entity_id":"1","entity_type":"Order","event_type":"paid",'
        b'"payload":{"sum":1},"seq":1,"tenant_id":"t","ts":-5}\n'
    )
    assert leaf.hexdigest() == hashlib.sha256(text).hexdigest()


def test_root_is_the_hash_that_the_format_defines() -> None:
    root = RootHasher()
    root.update(("t", "Order", '"2'), 1, "bb")
    root.update(("t", "Order", "1"), 2, "aa")
    text = b'\x01["t","Order","\\"2",1,"bb"]\n["t","Order","1",2,"aa"]\n'
    assert root.hexdigest() == hashlib.sha256(text).hexdigest()


def test_root_of_nothing_is_the_hash_of_its_prefix() -> None:
    assert RootHasher().hexdigest() == sha256_hex(b"\x01")


@pytest.mark.parametrize("second", [("t", "Order", "1"), ("t", "Order", "0"), ("s", "Order", "2")])
def test_root_refuses_keys_that_do_not_ascend(second: tuple[str, str, str]) -> None:
    root = RootHasher()
    root.update(KEY, 1, "aa")
    with pytest.raises(ValueError, match="leaves must ascend by key"):
        root.update(second, 1, "bb")
