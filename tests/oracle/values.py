"""JSON values: truth, equality, numbers, paths, and the one canonical text."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

DIGITS_MAX = 1000
WEIGHT_MAX = 100_000
DEPTH_MAX = 100
PAYLOAD_VALUE_DEPTH_MAX = 126
CHARACTERS_PER_WEIGHT = 64
INTEGER_LIMIT = 10**DIGITS_MAX

ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def is_number(value: object) -> bool:
    """Say whether the value is a number; true and false are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def truth(value: object) -> bool:
    """Null, false, 0, "", [] and {} are false; everything else is true."""
    if value is None or value is False:
        return False
    if is_number(value):
        return value != 0
    if isinstance(value, (str, list, dict)):
        return len(value) > 0
    return True


def equal(a: object, b: object) -> bool:
    """Deep equality without coercion: 1 is 1.0, true is not 1, the order of keys is irrelevant."""
    if is_number(a) and is_number(b):
        return a == b
    if isinstance(a, bool) and isinstance(b, bool):
        return a is b
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(equal(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(equal(a[key], b[key]) for key in a)
    return a is None and b is None


def number(value: object) -> object:
    """The result of arithmetic as a value: an integral one is an integer, one that is too large is null."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value == int(value) else value
    assert isinstance(value, int)
    return value if abs(value) < INTEGER_LIMIT else None


def nearest_double(value: int | Fraction) -> float | None:
    """The double closest to an exact value, or none when it is beyond the range."""
    try:
        return float(value)
    except OverflowError:
        return None


def same_value(value: float) -> float:
    """2.0 is the value 2, so it must count as 2 does wherever the two could be told apart."""
    return int(value) if value == int(value) else value


def add(a: object, b: object) -> object:
    """Exact for two integral numbers, in doubles as soon as one operand has a fraction."""
    return _calculated("add", a, b)


def sub(a: object, b: object) -> object:
    """a minus b."""
    return _calculated("sub", a, b)


def mul(a: object, b: object) -> object:
    """a times b."""
    return _calculated("mul", a, b)


def div(a: object, b: object) -> object:
    """a by b: exact where two integers divide, else the nearest double; by zero: null."""
    return _calculated("div", a, b)


def _calculated(operation: str, a: Any, b: Any) -> object:
    if not is_number(a) or not is_number(b):
        return None
    if operation == "div" and b == 0:
        return None
    a, b = same_value(a), same_value(b)
    if isinstance(a, int) and isinstance(b, int):
        return _exact(operation, a, b)
    x, y = nearest_double(a), nearest_double(b)
    if x is None or y is None:
        return None
    if operation == "add":
        return number(x + y)
    if operation == "sub":
        return number(x - y)
    if operation == "mul":
        return number(x * y)
    # A divisor that is no zero as an integer is none as a double either, so this cannot fail.
    return number(x / y)


def _exact(operation: str, a: int, b: int) -> object:
    if operation == "add":
        return number(a + b)
    if operation == "sub":
        return number(a - b)
    if operation == "mul":
        return number(a * b)
    quotient = Fraction(a, b)
    if quotient.denominator == 1:
        return number(quotient.numerator)
    double = nearest_double(quotient)
    return None if double is None else number(double)


def truncated(value: Any) -> object:
    """The number without its fraction, else null."""
    return int(value) if is_number(value) else None


MISSING = object()


def step(value: object, path: str) -> object:
    """Follow a path; MISSING where it leads nowhere."""
    for segment in path.split("."):
        if segment == "":
            continue
        if isinstance(value, dict) and segment in value:
            value = value[segment]
        elif isinstance(value, list) and segment.isascii() and segment.isdigit():
            digits = segment.lstrip("0") or "0"
            if len(digits) > 18 or int(digits) >= len(value):
                return MISSING
            value = value[int(digits)]
        else:
            return MISSING
    return value


def weight(value: object) -> int:
    """How many values a value is made of, itself included; each 64 characters of a text count as one more."""
    if isinstance(value, list):
        return 1 + sum(weight(item) for item in value)
    if isinstance(value, dict):
        characters = sum(len(key) for key in value)
        return 1 + characters // CHARACTERS_PER_WEIGHT + sum(weight(item) for item in value.values())
    if isinstance(value, str):
        return 1 + len(value) // CHARACTERS_PER_WEIGHT
    return 1


def levels(value: object) -> int:
    """How many lists and objects stand inside each other."""
    if isinstance(value, list):
        return 1 + max((levels(item) for item in value), default=0)
    if isinstance(value, dict):
        return 1 + max((levels(item) for item in value.values()), default=0)
    return 0


def built(value: object) -> object:
    """A list or an object that an expression made: null when it is too large or too deep."""
    return value if levels(value) <= DEPTH_MAX and weight(value) <= WEIGHT_MAX else None


def canonical(value: object) -> str:
    """RFC 8785, but keys by code point and integral values as plain digits of any length."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _digits(value)
    if isinstance(value, float):
        return _digits(int(value)) if value == int(value) else _fraction_text(value)
    if isinstance(value, str):
        return _string_text(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    assert isinstance(value, dict)
    return "{" + ",".join(_string_text(key) + ":" + canonical(value[key]) for key in sorted(value)) + "}"


def text(value: object) -> object:
    """What the function str gives: null stays null, a string stays as it is."""
    if value is None or isinstance(value, str):
        return value
    return canonical(value)


def _digits(value: int) -> str:
    # The decimal module has no limit on the digits that it writes.
    return format(Decimal(value), "f")


def _string_text(value: str) -> str:
    return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in value) + '"'


def _fraction_text(value: float) -> str:
    """ECMAScript's text of a number that is not integral, hence below 2 to the 53rd."""
    sign, digits, exponent = Decimal(repr(abs(value))).as_tuple()
    assert sign == 0
    assert isinstance(exponent, int)
    shown = "".join(str(digit) for digit in digits).rstrip("0")
    exponent += len(digits) - len(shown)
    point = len(shown) + exponent
    minus = "-" if value < 0 else ""
    if point > 0:
        return minus + shown[:point] + "." + shown[point:]
    if point > -6:
        return minus + "0." + "0" * -point + shown
    mantissa = shown[0] + ("." + shown[1:] if len(shown) > 1 else "")
    return f"{minus}{mantissa}e-{1 - point}"
