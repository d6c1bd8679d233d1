"""Strict decoding: agrees with a naive reference, and names what it refuses and where."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter
from contextlib import suppress

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cicsc.decoding import (
    MAX_INTEGER_DIGITS,
    MAX_NESTING,
    WatchingDecoder,
    any_exceeds_cheap_bounds,
    decode_json,
    decode_value,
    exceeds_cheap_bounds,
)
from cicsc.errors import InputError


def refusal(data: bytes) -> InputError:
    with pytest.raises(InputError) as raised:
        decode_json(data, "f.json")
    return raised.value


class RefusedError(Exception):
    """The reference refuses a text."""


def reference(data: bytes) -> object:
    """Decode strictly without any fast way: parse with hooks that see everything, then walk the value."""

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        if any(count > 1 for count in Counter(key for key, _ in items).values()):
            raise RefusedError
        return dict(items)

    def integer(literal: str) -> int:
        if len(literal.lstrip("-")) > MAX_INTEGER_DIGITS:
            raise RefusedError
        return int(literal)

    def constant(literal: str) -> object:
        raise RefusedError(literal)

    try:
        value = json.loads(data.decode(), object_pairs_hook=pairs, parse_int=integer, parse_constant=constant)
        walk(value, 0)
    except (ValueError, RecursionError):
        raise RefusedError from None
    return value


def walk(value: object, depth: int) -> None:
    if isinstance(value, str):
        value.encode()
    if isinstance(value, float) and math.isinf(value):
        raise RefusedError
    if isinstance(value, dict | list):
        if depth == MAX_NESTING:
            raise RefusedError
        for item in value:
            walk(item, depth + 1)
    if isinstance(value, dict):
        for item in value.values():
            walk(item, depth + 1)


def same(left: object, right: object) -> bool:
    """Compare with types, so that true is not 1; an integer may have come as an integral float."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    return left == right


spaces = st.text(" \t\r\n", max_size=2)
literals = st.sampled_from(
    [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0",
        "2",
        "2.0",
        "2e0",
        "1E5",
        "0.1",
        "1e-7",
        "12.50",
        "123456789012345678901",
        "NaN",
        "Infinity",
        "-Infinity",
        "1e400",
        "-1e999",
        "01",
        "+1",
        ".5",
        "1.",
        "tru",
        "nul",
        "'a'",
        "\x00",
    ]
)
characters = st.sampled_from(
    [
        *[
            r"a",
            r"é",
            r"\x7f",
            r"\n",
            r"\u0061",
            r"\u00e9",
            r"\ud83d\ude00",
            r"\ud83d",
            r"\uDE00",
            r"\\",
            r"\/",
            r"\"",
            r"\\ud800",
            r"[",
            r"{",
            r"}",
            r"]",
            r",",
            r":",
            r"\q",
            r"\u12",
        ],
        *("\U0001f600", "\x7f", "\u2028", "\n", "\x01", "\\", " "),
    ]
)
strings = st.lists(characters, max_size=4).map(lambda parts: '"' + "".join(parts) + '"')


def spaced(inner: st.SearchStrategy[str], opening: str, closing: str) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(spaces, inner, spaces).map("".join), max_size=4).map(
        lambda items: opening + ",".join(items) + closing
    )


def containers(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.tuples(strings, st.just(":"), spaces, inner).map("".join)
    return spaced(inner, "[", "]") | spaced(members, "{", "}")


json_texts = st.tuples(spaces, st.recursive(literals | strings, containers, max_leaves=12), spaces).map("".join)


@given(json_texts.map(str.encode) | st.binary(max_size=12))
@example(b'{"a":1,"a":1}')
@example(b'{"a":[{"b":1,"b":1}]}')
@example(b'["\xed\xa0\x80"]')
@example(b'{"\\u0061":1,"a":2}')
@example(b'"' + b'\\"' * 50)
def test_decoding_agrees_with_a_naive_reference(data: bytes) -> None:
    try:
        expected = reference(data)
    except RefusedError:
        refusal(data)
    else:
        assert same(decode_json(data, "text"), expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", 0),
        (" [1 , 2]\n", [1, 2]),
        ('{"a": "\\u00e9"}', {"a": "é"}),
        ('"\\ud83d\\ude00"', "\U0001f600"),
        ('"\\\\ud800"', "\\ud800"),
        ("12.50", 12.5),
        ("1" * MAX_INTEGER_DIGITS, int("1" * MAX_INTEGER_DIGITS)),
        ("-" + "1" * MAX_INTEGER_DIGITS, -int("1" * MAX_INTEGER_DIGITS)),
        ("[" * MAX_NESTING + "]" * MAX_NESTING, json.loads("[" * MAX_NESTING + "]" * MAX_NESTING)),
        (json.dumps("[" * 500), "[" * 500),
        (json.dumps("1" * 5000), "1" * 5000),
        (json.dumps([[]] * 500), [[]] * 500),
        (json.dumps([{"[{": []}] * 500), [{"[{": []}] * 500),
    ],
)
def test_value_is_decoded(text: str, value: object) -> None:
    assert decode_json(text.encode(), "f.json") == value


def test_byte_order_mark_is_accepted() -> None:
    assert decode_json(b"\xef\xbb\xbf[1]", "f.json") == [1]


@pytest.mark.parametrize(
    ("data", "code", "where", "what"),
    [
        (b"", "JSON_INVALID", "line 1, column 1", "expected a JSON value, found the end of the text"),
        (b"[1,\n 2,,3]", "JSON_INVALID", "line 2, column 4", "expected a JSON value, found ','"),
        (b"[1,]", "JSON_INVALID", "line 1, column 4", "expected a JSON value, found ']'"),
        (b'{"a":1,}', "JSON_INVALID", "line 1, column 8", "expected a key in double quotes, found '}'"),
        (b'{"a" 1}', "JSON_INVALID", "line 1, column 6", "expected ':', found '1'"),
        (b"[1 2]", "JSON_INVALID", "line 1, column 4", "expected ',' or the closing bracket, found '2'"),
        (b"1 2", "JSON_INVALID", "line 1, column 3", "expected nothing more, found '2'"),
        (b'"abc', "JSON_INVALID", "line 1, column 1", "expected a closing quote for the string that begins here"),
        (b'"a\x01"', "JSON_INVALID", "line 1, column 3", "control characters may not stand in a string"),
        (b'"\\q"', "JSON_INVALID", "line 1, column 2", "expected one of the escapes of JSON"),
        (b'"\\u12"', "JSON_INVALID", "line 1, column 3", "expected four hexadecimal digits"),
        (b"x" * 99, "JSON_INVALID", "line 1, column 1", "found 'xxxxxxxxxxxxxxxxxxxxxxxx...'"),
        ('["é\xfc", NaN]'.encode(), "JSON_NUMBER", "line 1, column 8", "expected a number, found NaN"),
        (b"[1,\n1e400x]", "JSON_NUMBER", "line 2, column 1", "expected a number that a double can hold"),
        (b'["NaN", -Infinity]', "JSON_NUMBER", "line 1, column 9", "expected a number, found -Infinity"),
        (b"[\n1e400]", "JSON_NUMBER", "line 2, column 1", "expected a number that a double can hold, found '1e400'"),
        (b"1" * 10**6, "JSON_NUMBER", "line 1, column 1", "at most 1000 digits, found one of 1000000"),
        (b"[-" + b"1" * 1001 + b"]", "JSON_NUMBER", "line 1, column 2", "at most 1000 digits, found one of 1001"),
        (
            b'{"a":1,\n"b":{"c":2,"c":3}}',
            "JSON_DUPLICATE_KEY",
            "line 2, column 12",
            "each key once, found '\"c\"' again",
        ),
        (b'[{"a":1},{"a":1, "\\u0061":1}]', "JSON_DUPLICATE_KEY", "line 1, column 18", "each key once"),
        (b'["a", "\\ude00"]', "JSON_SURROGATE", "line 1, column 7", "found a lone one in this string"),
        (b'{"\\ud83d":1}', "JSON_SURROGATE", "line 1, column 2", "found a lone one in this string"),
        (b'["\xc3\xa9\xff"]', "JSON_ENCODING", "line 1, column 4", "expected UTF-8, found the byte 0xff"),
        (b"[" * 10**5 + b"]" * 10**5, "JSON_NESTING", "line 1, column 129", "at most 128 levels of nesting"),
        (b'{"a":' * 129 + b"1" + b"}" * 129, "JSON_NESTING", "line 1, column 641", "at most 128 levels of nesting"),
    ],
)
def test_refusal_names_what_is_wrong_and_where(data: bytes, code: str, where: str, what: str) -> None:
    error = refusal(data)
    assert error.code == code
    assert error.message.startswith(f"cannot decode f.json at {where}: ")
    assert what in error.message
    assert len(error.message) < 200


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_text_gets_a_hint(encoding: str) -> None:
    error = refusal('{"a":1}'.encode(encoding))
    assert error.hint is not None
    assert "UTF-16" in error.hint


def test_damaged_text_gets_no_hint_about_wide_text() -> None:
    assert refusal(b'["\xff"]').hint is None


def test_long_unfinished_string_is_refused_in_linear_time() -> None:
    assert refusal(b"[" * 129 + b'"' + b'\\"' * 200_000).code == "JSON_NESTING"
    assert refusal(b"[" + b'"' + b'\\"' * 200_000).code == "JSON_INVALID"


@pytest.mark.parametrize(("column", "place"), [(7, "line 12, column 12"), (None, "line 12"), (1, "line 12, column 6")])
def test_place_of_a_value_inside_a_larger_text(column: int | None, place: str) -> None:
    with pytest.raises(InputError, match=f"^cannot decode f.jsonl at {place}: "):
        decode_value(b'{"a":NaN}', "f.jsonl", line=12, column=column)


def test_place_on_a_later_line_has_a_column() -> None:
    with pytest.raises(InputError, match="at line 14, column 2: "):
        decode_value(b'{"a":\n\n NaN}', "f.json", line=12, column=None)


def test_lower_limit_of_the_process_is_no_traceback() -> None:
    program = (
        "from cicsc.decoding import decode_json\n"
        "from cicsc.errors import InputError\n"
        "try:\n    decode_json(b'1' * 900, 'f.json')\n"
        "except InputError as error:\n    print(error.message)\n"
    )
    command = [sys.executable, "-X", "int_max_str_digits=700", "-c", program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "at most 700 digits, found one of 900" in run.stdout


def lines(*values: object) -> bytes:
    return b"\n".join(json.dumps(value).encode() for value in values)


def test_decoder_tells_that_it_saw_no_float() -> None:
    decoder = WatchingDecoder(dict[str, object])

    assert decoder.decode_lines(lines({"a": 1, "b": [2, {"c": 10**30}]}, {"d": "1.5"})) == (
        [{"a": 1, "b": [2, {"c": 10**30}]}, {"d": "1.5"}],
        True,
    )
    assert decoder.decode_lines(lines({"a": 1}, {"b": [{"c": 0.5}]})) == ([{"a": 1}, {"b": [{"c": 0.5}]}], False)


def test_decoder_watches_again_after_a_while() -> None:
    decoder = WatchingDecoder(dict[str, object])
    decoder.decode_lines(b'{"a":1e0}')

    known = [decoder.decode_lines(b'{"a":1}') for _ in range(100)]

    assert all(values == [{"a": 1}] for values, _ in known)
    assert not known[0][1]
    assert known[-1][1]
    assert [is_plain for _, is_plain in known] == sorted(is_plain for _, is_plain in known)


@pytest.mark.parametrize("text", [b'{"a":1e999}', b'{"a":-1e999}'])
def test_decoder_takes_no_number_beyond_a_double(text: bytes) -> None:
    decoder = WatchingDecoder(dict[str, object])

    for _ in range(3):  # watching or not
        with pytest.raises((msgspec.MsgspecError, ValueError)):
            decoder.decode_lines(text)
        with suppress(msgspec.MsgspecError):
            decoder.decode_lines(b'{"a":1.5}')


@pytest.mark.parametrize("length", [257, 258])
def test_nesting_is_looked_for_from_the_length_on_that_it_needs(length: int) -> None:
    text = b"[" * 129 + b"]" * 129
    data = text if length == len(text) else b"[" * 128 + b" " + b"]" * 128

    assert len(data) == length
    assert exceeds_cheap_bounds(data) == any_exceeds_cheap_bounds([data.decode()], data) == (length == 258)


def test_many_texts_hold_a_long_number_or_a_deep_one() -> None:
    long, deep, wide = '{"a":' + "9" * 1001 + "}", '{"a":' * 129 + "1" + "}" * 129, '{"a":"' + "x" * 2000 + '"}'

    for texts, expected in (([], False), (["{}", long], True), ([deep, "{}"], True), ([wide, "{}"], False)):
        assert any_exceeds_cheap_bounds(texts, "\n".join(texts).encode()) is expected
