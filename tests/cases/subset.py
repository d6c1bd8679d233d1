"""Comparing what was found with what a case expects: a subset, with a few operators.

Objects are compared key by key, keys that are not expected may be there; lists element by element,
of equal length; everything else by value and type, so that true is not 1 and 2.0 is not 2. Operators
stand as keys of an object, beside others or alone:

    {"$absent": ["key"]}      the object does not have these keys
    {"$exactly": {...}}       nothing but what is listed, at any depth
    {"$contains": "text"}     the text occurs; with a list of texts, all of them do
    {"$includes": [...]}      the list holds, for each of these, an element of which it is a subset
    {"$length": 3}            the text, list or object has this length
    {"$length_below": 3}      ... a smaller one
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def differences(wanted: object, found: object, path: str) -> list[str]:
    """What is not as wanted, each with its path."""
    if isinstance(wanted, dict):
        return _object_differences(wanted, found, path)
    if isinstance(wanted, list):
        return _list_differences(wanted, found, path)
    same = type(wanted) is type(found) and wanted == found
    return [] if same else [f"{path}: expected {wanted!r}, found {found!r}"]


def _object_differences(wanted: dict[str, Any], found: object, path: str) -> list[str]:
    different: list[str] = []
    keys = {key: value for key, value in wanted.items() if key not in OPERATORS}
    if keys or not wanted:
        if not isinstance(found, dict):
            return [f"{path}: expected an object, found {found!r}"]
        for key, value in keys.items():
            if key in found:
                different += differences(value, found[key], f"{path}.{key}")
            else:
                different.append(f"{path}: expected the key {key!r}, found {sorted(found)}")
    for operator in wanted.keys() & OPERATORS.keys():
        if not OPERATORS[operator](wanted[operator], found):
            different.append(f"{path}: expected {operator} {wanted[operator]!r}, found {found!r}")
    return different


def _list_differences(wanted: list[Any], found: object, path: str) -> list[str]:
    if not isinstance(found, list) or len(found) != len(wanted):
        return [f"{path}: expected a list of {len(wanted)}, found {found!r}"]
    return [
        difference
        for index, (item, other) in enumerate(zip(wanted, found, strict=True))
        for difference in differences(item, other, f"{path}[{index}]")
    ]


def _exactly(wanted: object, found: object) -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(_exactly(value, found[key]) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_exactly, wanted, found))
    return type(wanted) is type(found) and wanted == found


def _contains(wanted: str | list[str], found: object) -> bool:
    texts = [wanted] if isinstance(wanted, str) else wanted
    return isinstance(found, str) and all(text in found for text in texts)


def _includes(wanted: list[object], found: object) -> bool:
    return isinstance(found, list) and all(any(not differences(item, each, "") for each in found) for item in wanted)


def _length(wanted: int, found: object) -> bool:
    return isinstance(found, str | list | dict) and len(found) == wanted


def _length_below(wanted: int, found: object) -> bool:
    return isinstance(found, str | list | dict) and len(found) < wanted


def _absent(wanted: list[str], found: object) -> bool:
    return isinstance(found, dict) and not found.keys() & set(wanted)


OPERATORS: dict[str, Callable[[Any, object], bool]] = {
    "$absent": _absent,
    "$contains": _contains,
    "$exactly": _exactly,
    "$includes": _includes,
    "$length": _length,
    "$length_below": _length_below,
}
