"""Values that come from memory instead of from text, held to the same rules as decoded JSON.

A library's caller, or a Parquet column, may hand over what JSON cannot say. Here it is refused by
name, so that everything behind this module may rely on JSON values alone.
"""

from __future__ import annotations

import math
from typing import Final

from cicsc.decoding import MAX_INTEGER_DIGITS, MAX_NESTING
from cicsc.errors import InputError

_INTEGER_LIMIT: Final = 10**MAX_INTEGER_DIGITS


def plain_value(value: object, origin: str) -> object:
    """Return a value as decoding would give it, where tuples are arrays.

    Raises InputError, which names `origin` and the path inside the value, for anything that is no
    JSON value: NaN, a set, bytes, a key that is no string, a lone surrogate.
    """
    return _plain(value, origin, (), MAX_NESTING)


def _plain(value: object, origin: str, path: tuple[str | int, ...], levels: int) -> object:
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str or kind is int or kind is float:
        fault = _scalar_fault(value)
        if fault is not None:
            raise _refused(origin, path, fault)
        return value
    if isinstance(value, dict | list | tuple) and levels == 0:
        raise _refused(origin, path, f"expected at most {MAX_NESTING} levels of nesting, found more")
    if isinstance(value, dict):
        return {_key(key, origin, path): _plain(item, origin, (*path, key), levels - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, origin, (*path, index), levels - 1) for index, item in enumerate(value)]
    raise _refused(origin, path, f"expected a JSON value, found one of type {kind.__name__}")


def _key(key: object, origin: str, path: tuple[str | int, ...]) -> str:
    if type(key) is not str:
        raise _refused(origin, path, f"expected keys that are strings, found one of type {type(key).__name__}")
    fault = _scalar_fault(key)
    if fault is not None:
        raise _refused(origin, path, fault)
    return key


def _scalar_fault(value: object) -> str | None:
    match value:
        case str() if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return "expected surrogates in pairs, found a lone one"
        case int() if not -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
            return f"expected an integer of at most {MAX_INTEGER_DIGITS} digits, found a longer one"
        case float() if not math.isfinite(value):
            return f"expected a finite number, found {value}"
    return None


def _refused(origin: str, path: tuple[str | int, ...], what: str) -> InputError:
    place = f"{origin} at {'.'.join(map(str, path))!r}" if path else origin
    return InputError("VALUE_NOT_JSON", f"cannot read {place}: {what}", hint="events hold JSON values only")
