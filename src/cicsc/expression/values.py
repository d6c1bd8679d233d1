"""What expressions mean: truth, equality, order, arithmetic, paths and text of JSON values.

These functions are what compiled expressions call. They take and return JSON values (None, bool,
int, float, str, list, dict), never raise on any of them, and return None where the language says
null (docs/formats.md, Expressions). Truth needs no function: Python's own truth of a JSON value is the
language's. Compiled functions come from `compile`; nothing here knows of bundles or events.
"""

from __future__ import annotations

import operator
import sys
from math import isfinite, trunc
from typing import TYPE_CHECKING, TypeGuard

from cicsc.canonical import canonical_bytes
from cicsc.decoding import MAX_NESTING
from cicsc.expression.limits import (
    CHARACTERS_PER_WEIGHT,
    INTEGER_LIMIT,
    PAYLOAD_VALUE_DEPTH_MAX,
    VALUE_DEPTH_MAX,
    VALUE_WEIGHT_MAX,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INDEX_DIGITS_MAX = 9
_LOWEST = -INTEGER_LIMIT
_NUMBERS = frozenset({int, float})

# Doubles hold every integer up to here. Where both operands are below, an operation on doubles is the exact one:
# it is rounded once, and not at all where it comes to an integer that is below as well.
_SAFE = 2**53
_BELOW = -_SAFE


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether `value` is a number; a boolean is none."""
    kind = type(value)
    return kind is int or kind is float


def equal(left: object, right: object) -> bool:
    """Compare deeply without coercion: 1 is 1.0, but neither "1" nor true; key order is irrelevant."""
    kind, other = type(left), type(right)
    if kind is bool or other is bool:
        return left is right
    if kind is dict and other is dict:
        return _equal_objects(left, right)  # type: ignore[arg-type]
    if kind is list and other is list:
        return _equal_lists(left, right)  # type: ignore[arg-type]
    return left == right


def _equal_objects(left: dict[str, object], right: dict[str, object]) -> bool:
    if len(left) != len(right):
        return False
    return all(key in right and equal(value, right[key]) for key, value in left.items())


def _equal_lists(left: list[object], right: list[object]) -> bool:
    return len(left) == len(right) and all(map(equal, left, right))


def not_equal(left: object, right: object) -> bool:
    """Negate `equal`."""
    return not equal(left, right)


def less(left: object, right: object) -> bool | None:
    """Compare two numbers exactly; null for anything else."""
    if type(left) in _NUMBERS and type(right) in _NUMBERS:
        return left < right  # type: ignore[operator,no-any-return]
    return None


def less_or_equal(left: object, right: object) -> bool | None:
    """Compare two numbers exactly; null for anything else."""
    if type(left) in _NUMBERS and type(right) in _NUMBERS:
        return left <= right  # type: ignore[operator,no-any-return]
    return None


def greater(left: object, right: object) -> bool | None:
    """Compare two numbers exactly; null for anything else."""
    return less(right, left)


def greater_or_equal(left: object, right: object) -> bool | None:
    """Compare two numbers exactly; null for anything else."""
    return less_or_equal(right, left)


def contains(needle: object, haystack: object) -> bool | None:
    """Tell whether a list holds a value equal to `needle`; null where `haystack` is no list."""
    if type(haystack) is not list:
        return None
    return any(equal(needle, item) for item in haystack)


def number(value: float) -> int | float | None:
    """Normalise a result: integral values become integers; overflow becomes null."""
    if type(value) is float:
        if not isfinite(value):
            return None
        if not value.is_integer():
            return value
        return int(value)
    return value if _LOWEST < value < INTEGER_LIMIT else None


def _exact(value: float) -> float:
    """Return an integral value as an integer: 2.0 is the value 2, and must count as 2 does."""
    return int(value) if type(value) is float and value.is_integer() else value


def _exactly(operation: Callable[[float, float], float], left: object, right: object) -> int | float | None:
    """Apply an operation to two numbers of any size."""
    if not (is_number(left) and is_number(right)):
        return None
    try:
        return number(operation(_exact(left), _exact(right)))
    except OverflowError:
        return None


def add(left: object, right: object) -> int | float | None:
    """Add two numbers; null for anything else, and on overflow."""
    if type(left) is int and type(right) is int:
        exact = left + right
        return exact if _LOWEST < exact < INTEGER_LIMIT else None
    if type(left) in _NUMBERS and type(right) in _NUMBERS and _BELOW < left < _SAFE and _BELOW < right < _SAFE:  # type: ignore[operator]
        double: float = left + right  # type: ignore[operator]
        if not double.is_integer():
            return double
        if _BELOW < double < _SAFE:
            return int(double)
    return _exactly(operator.add, left, right)


def subtract(left: object, right: object) -> int | float | None:
    """Subtract two numbers; null for anything else, and on overflow."""
    if type(left) is int and type(right) is int:
        exact = left - right
        return exact if _LOWEST < exact < INTEGER_LIMIT else None
    if type(left) in _NUMBERS and type(right) in _NUMBERS and _BELOW < left < _SAFE and _BELOW < right < _SAFE:  # type: ignore[operator]
        double: float = left - right  # type: ignore[operator]
        if not double.is_integer():
            return double
        if _BELOW < double < _SAFE:
            return int(double)
    return _exactly(operator.sub, left, right)


def multiply(left: object, right: object) -> int | float | None:
    """Multiply two numbers; null for anything else, and on overflow."""
    if type(left) is int and type(right) is int:
        exact = left * right
        return exact if _LOWEST < exact < INTEGER_LIMIT else None
    if type(left) in _NUMBERS and type(right) in _NUMBERS and _BELOW < left < _SAFE and _BELOW < right < _SAFE:  # type: ignore[operator]
        double: float = left * right  # type: ignore[operator]
        if not double.is_integer():
            return double
        if _BELOW < double < _SAFE:
            return int(double)
    return _exactly(operator.mul, left, right)


def divide(left: object, right: object) -> int | float | None:
    """Divide two numbers: exact where integers divide evenly, else the nearest double; by zero gives null."""
    if not (is_number(left) and is_number(right)) or right == 0:
        return None
    left, right = _exact(left), _exact(right)
    try:
        if type(left) is int and type(right) is int and left % right == 0:
            return left // right
        return number(left / right)
    except OverflowError:
        return None


def time_between(start: object, end: object) -> int | None:
    """Whole milliseconds from `start` to `end`, truncated towards zero; null unless both are numbers."""
    return to_integer(subtract(end, start))


def to_integer(value: object) -> int | None:
    """Truncate a number towards zero; null for anything else (text is not parsed)."""
    return trunc(value) if type(value) in _NUMBERS else None  # type: ignore[arg-type]


def to_float(value: object) -> int | float | None:
    """Round a number to the nearest double; null for anything else (text is not parsed), and on overflow."""
    if is_number(value):
        try:
            return number(float(value))
        except OverflowError:
            return None
    return None


def length(value: object) -> int | None:
    """Count the code points of a text or the items of a list; null for anything else."""
    if type(value) is str or type(value) is list:
        return len(value)
    return None


def text(value: object) -> str | None:
    """Turn a value into text: text stays, null stays null, the rest becomes its canonical form."""
    if value is None or isinstance(value, str):
        return value
    return canonical_bytes(value).decode()


def mapped(value: object, mapping: Mapping[str, int | float]) -> int | float | None:
    """Look text up in a map of numbers; null where it is not listed or no text."""
    return mapping.get(value) if type(value) is str else None


def path_steps(path: str) -> tuple[str, ...]:
    """Split a path on its dots; empty segments are ignored."""
    return tuple(step for step in path.split(".") if step)


_MISSING = object()


def _follow(value: object, steps: tuple[str, ...]) -> object:
    for step in steps:
        if type(value) is dict:
            value = value.get(step, _MISSING)
        elif type(value) is list and step.isascii() and step.isdigit() and len(step) <= _INDEX_DIGITS_MAX:
            index = int(step)
            value = value[index] if index < len(value) else _MISSING
        else:
            return _MISSING
    return value


def get_path(value: object, steps: tuple[str, ...]) -> object:
    """Follow a path into objects and lists; null where it leads nowhere."""
    found = _follow(value, steps)
    return None if found is _MISSING else found


def has_path(value: object, steps: tuple[str, ...]) -> bool:
    """Tell whether a path leads to a value, be it null."""
    return _follow(value, steps) is not _MISSING


def lookup(environment: Mapping[str, object], name: str, field: str) -> object:
    """Read one field of a part of an environment; null where either is absent."""
    part = environment.get(name)
    return part.get(field) if type(part) is dict else None


def bounded(value: object) -> object:
    """Return `value`, or null where it is deeper or heavier than an expression may build."""
    return value if _weight(value, VALUE_DEPTH_MAX, VALUE_WEIGHT_MAX) >= 0 else None


def is_deeper(value: object, levels: int) -> bool:
    """Tell whether a value nests deeper than so many levels."""
    return is_heavier(value, levels, sys.maxsize)


def payload_value(value: object) -> object:
    """Return `value`, or null where it is deeper than an event may hold it in its payload."""
    return None if is_deeper(value, PAYLOAD_VALUE_DEPTH_MAX) else value


def is_heavier(value: object, levels: int, weight: int) -> bool:
    """Tell whether a value nests deeper than so many levels, or weighs more than so much."""
    return _weight(value, levels, weight) < 0


def weight_of(value: object) -> int:
    """Return what a decoded JSON value weighs."""
    return sys.maxsize - _weight(value, MAX_NESTING, sys.maxsize)


def _weight(value: object, depth: int, left: int) -> int:
    """Return what is left of the weight after `value`, negative when it, or the depth, is exceeded."""
    left -= 1
    if type(value) is str:
        return left - len(value) // CHARACTERS_PER_WEIGHT
    if type(value) is list:
        items: object = value
    elif type(value) is dict:
        left -= sum(map(len, value)) // CHARACTERS_PER_WEIGHT
        items = value.values()
    else:
        return left
    if depth == 0:
        return -1
    for item in items:  # type: ignore[attr-defined]
        if left < 0:
            return left
        left = _weight(item, depth - 1, left)
    return left
