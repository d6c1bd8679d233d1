"""Strict decoding of JSON text, for bundles, artifacts and events alike.

Strict means that text which parsers read differently is refused: NaN and Infinity, a repeated key,
a lone surrogate, invalid UTF-8, a number beyond a double. Integers are exact up to a cap of digits.

The fast way decodes and encodes again with a C library: equal bytes prove that the text holds none
of the above. Only text that differs (spaces and escapes are the usual reasons) is looked at closer,
with the standard library's parser and its hooks. This module knows neither files nor events; what
it returns goes to the bundle's loader and the history's reader.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import sys
from collections.abc import Collection
from typing import Final, Generic, NoReturn, TypeVar

import msgspec

from cicsc.errors import InputError

Kind = TypeVar("Kind")

MAX_INTEGER_DIGITS: Final = 1_000
"""Decimal digits of an integer literal."""

MAX_NESTING: Final = 128
"""Levels of arrays and objects inside each other."""

WIDE_HINT: Final = "the text looks like UTF-16 or UTF-32; convert it, for example with: iconv -f UTF-16 -t UTF-8"

_HARMLESS_MAX: Final = 2 * MAX_NESTING + 1
"""A value of at most so many characters cannot exceed a limit: each level takes two, a digit one."""

_PASSED_OVER: Final = 64
"""Batches that are not watched after one that held a float."""

_EXCERPT_CHARACTERS_MAX: Final = 24
_REPEATED_DIGITS: Final = b"0" * (MAX_INTEGER_DIGITS + 1)
_DIGITS_AS_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\]:,]|[^\s"{}\[\]:,]++', re.DOTALL)
_search_surrogate: Final = re.compile(r"\\u[dD][89a-fA-F]").search

_EXPECTED: Final = {
    "Expecting value": "a JSON value",
    "Expecting property name enclosed in double quotes": "a key in double quotes",
    "Expecting ',' delimiter": "',' or the closing bracket",
    "Expecting ':' delimiter": "':'",
    "Extra data": "nothing more",
    "Unterminated string starting at": "a closing quote for the string that begins here",
    "Invalid control character at": "an escape such as \\n, since control characters may not stand in a string",
    "Invalid \\escape": "one of the escapes of JSON",
    "Invalid \\uXXXX escape": "four hexadecimal digits",
    "Illegal trailing comma before end of object": "another key",
    "Illegal trailing comma before end of array": "another value",
}
"""What the standard library's messages expect, in our words."""


class _TextError(Exception):
    """What is wrong with a text, and at which character; raised and caught in this module only."""

    def __init__(self, code: str, what: str, before: str, *, hint: str | None = None) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.before = before
        self.hint = hint


def decode_json(data: bytes, origin: str) -> object:
    """Decode a whole JSON document; `origin` names it in errors. A byte order mark is accepted.

    Raises InputError, which names the line and column, what was found and what was expected.
    """
    return decode_value(data.removeprefix(codecs.BOM_UTF8), origin)


def decode_value(data: bytes, origin: str, *, line: int = 1, column: int | None = 1) -> object:
    """Decode one JSON value out of a larger text, where it begins at `line` and `column` (from 1, if known).

    Raises InputError, with a code that begins with ``JSON_``.
    """
    try:
        if not exceeds_cheap_bounds(data):
            value = _round_trip(data)
            if value is not _round_trip:
                return value
        return _exact(data)
    except _TextError as fault:
        raise _located(fault, origin, line, column) from None


def exceeds_cheap_bounds(data: bytes) -> bool:
    """Tell whether the text of a value might hold a too long integer or too deep a nesting, strings not excepted."""
    if len(data) <= _HARMLESS_MAX:
        return False
    if data.count(b"[") + data.count(b"{") > MAX_NESTING:
        return True
    return len(data) > MAX_INTEGER_DIGITS and _REPEATED_DIGITS in data.translate(_DIGITS_AS_ZERO)


def any_exceeds_cheap_bounds(texts: Collection[str], data: bytes) -> bool:
    """Tell as `exceeds_cheap_bounds` whether any of some texts does; `data` holds them all, one in a line."""
    longest = max(map(len, texts), default=0)
    if longest <= _HARMLESS_MAX:
        return False
    if longest > MAX_INTEGER_DIGITS and _REPEATED_DIGITS in data.translate(_DIGITS_AS_ZERO):
        return True
    return any(text.count("[") + text.count("{") > MAX_NESTING for text in texts if len(text) > _HARMLESS_MAX)


class WatchingDecoder(Generic[Kind]):
    """Decodes lines, and tells whether every number in them is an integer, so that nobody has to look for others.

    To watch for floats makes these slow to decode; where some were found, a while passes before it watches again.
    Belongs to one thread.
    """

    def __init__(self, kind: type[Kind]) -> None:
        self._watching = msgspec.json.Decoder(kind, float_hook=self._float).decode_lines
        self._blind = msgspec.json.Decoder(kind).decode_lines
        self._pass_over = 0
        self._seen = False

    def decode_lines(self, data: bytes) -> tuple[list[Kind], bool]:
        """Return the values, and whether it is known that there is no float in them; raises what msgspec raises."""
        if self._pass_over:
            self._pass_over -= 1
            return self._blind(data), False
        self._seen = False
        values = self._watching(data)
        if self._seen:
            self._pass_over = _PASSED_OVER
        return values, not self._seen

    def _float(self, text: str) -> float:
        self._seen = True
        value = float(text)
        if math.isinf(value):
            raise ValueError(f"{text} is beyond a double")
        return value


def looks_wide(data: bytes) -> bool:
    """Tell whether the text looks like UTF-16 or UTF-32, which JSON between programs may not be."""
    return b"\x00" in data[:4] or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _round_trip(data: bytes) -> object:
    """Decode text that the encoder would write the same, spaces aside; for any other return this function."""
    try:
        value = _decode(data)
        encoded = _encode(value)
        if encoded == data or encoded == msgspec.json.format(data, indent=-1):
            return value
    except (msgspec.MsgspecError, ValueError, RecursionError):
        pass
    return _round_trip


def _exact(data: bytes) -> object:
    text = _text(data)
    _check_nesting(text)
    decoder = json.JSONDecoder(
        object_pairs_hook=lambda pairs: _object(pairs, text),
        parse_float=lambda literal: _float(literal, text),
        parse_int=lambda literal: _integer(literal, text),
        parse_constant=lambda literal: _constant(literal, text),
    )
    try:
        value: object = decoder.decode(text)
    except json.JSONDecodeError as error:
        expected = _EXPECTED.get(error.msg, error.msg)
        found = _excerpt(text[error.pos :])
        hint = WIDE_HINT if looks_wide(data) else None
        raise _TextError("JSON_INVALID", f"expected {expected}, found {found}", text[: error.pos], hint=hint) from None
    if _search_surrogate(text):
        _check_surrogates(text)
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        hint = WIDE_HINT if looks_wide(data) else None
        what = f"expected UTF-8, found the byte 0x{data[error.start]:02x} ({error.reason})"
        raise _TextError("JSON_ENCODING", what, before, hint=hint) from None


def _check_nesting(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_NESTING:
        return
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
            if depth > MAX_NESTING:
                what = f"expected at most {MAX_NESTING} levels of nesting, found more"
                raise _TextError("JSON_NESTING", what, text[: token.start()])
        elif token[0] in "}]":
            depth -= 1


def _object(pairs: list[tuple[str, object]], text: str) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse_duplicate(text)
    return found


def _integer(literal: str, text: str) -> int:
    digits = len(literal.lstrip("-"))
    # An operator may have set Python's own limit lower, which then holds for the whole process.
    cap = min(MAX_INTEGER_DIGITS, sys.get_int_max_str_digits() or MAX_INTEGER_DIGITS)
    if digits > cap:
        what = f"expected an integer of at most {cap} digits, found one of {digits}"
        raise _TextError("JSON_NUMBER", what, _before_literal(text, literal))
    return int(literal)


def _float(literal: str, text: str) -> float:
    value = float(literal)
    if math.isinf(value):
        what = f"expected a number that a double can hold, found {_excerpt(literal)}"
        raise _TextError("JSON_NUMBER", what, _before_literal(text, literal))
    return value


def _constant(literal: str, text: str) -> NoReturn:
    raise _TextError("JSON_NUMBER", f"expected a number, found {literal}", _before_literal(text, literal))


def _refuse_duplicate(text: str) -> NoReturn:
    """Find the first key that its object holds already."""
    objects: list[set[str]] = []
    last = None
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "{" | "[":
                objects.append(set())
            case "}" | "]":
                objects.pop()
            case ":":
                assert last is not None
                key = json.loads(last[0])
                if key in objects[-1]:
                    what = f"expected each key once, found {_excerpt(last[0])} again"
                    raise _TextError("JSON_DUPLICATE_KEY", what, text[: last.start()])
                objects[-1].add(key)
        last = token
    raise AssertionError("a key repeats")  # pragma: no cover - the parser found an object with fewer keys than pairs


def _check_surrogates(text: str) -> None:
    for token in _TOKEN.finditer(text):
        if _has_lone_surrogate(token[0]):
            what = "expected surrogates in pairs, found a lone one in this string"
            raise _TextError("JSON_SURROGATE", what, text[: token.start()])


def _has_lone_surrogate(token: str) -> bool:
    if token[0] != '"' or not _search_surrogate(token):
        return False
    return any("\ud800" <= character <= "\udfff" for character in json.loads(token))


def _before_literal(text: str, literal: str) -> str:
    """Return what stands before the first token that begins with the literal, which the parser has seen."""
    return next(text[: token.start()] for token in _TOKEN.finditer(text) if token[0].startswith(literal))


def _excerpt(text: str) -> str:
    """Show the token that the text begins with."""
    if not text:
        return "the end of the text"
    token = _TOKEN.match(text)
    shown = text[0] if token is None else token[0]
    if len(shown) > _EXCERPT_CHARACTERS_MAX:
        shown = shown[:_EXCERPT_CHARACTERS_MAX] + "..."
    return repr(shown)


def _located(fault: _TextError, origin: str, line: int, column: int | None) -> InputError:
    """Turn a fault into an error that says where it is; `line` and `column` are where the text begins."""
    before = fault.before
    if "\n" in before:
        line += before.count("\n")
        column = len(before) - before.rfind("\n")
    elif column is not None:
        column += len(before)
    place = f"line {line}" if column is None else f"line {line}, column {column}"
    return InputError(fault.code, f"cannot decode {origin} at {place}: {fault.what}", hint=fault.hint)
