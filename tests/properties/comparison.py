"""Strict comparison of values from the product with values from the oracle."""

from __future__ import annotations


def identical(a: object, b: object) -> bool:
    """The same value down to the Python types of JSON: true is not 1; 1 and 1.0 are the same."""
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if type(a) in (int, float) and type(b) in (int, float):
        return a == b
    if type(a) is not type(b):
        return False
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(identical(value, b[key]) for key, value in a.items())
    return isinstance(a, str) and a == b


def has_float(value: object) -> bool:
    """Tell whether there is a float anywhere in a JSON value."""
    if isinstance(value, dict):
        return any(map(has_float, value.values()))
    return any(map(has_float, value)) if isinstance(value, list) else isinstance(value, float)
