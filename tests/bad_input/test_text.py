"""Text that is not strict JSON, in a history and in a bundle: refused with its place, what was found and what was expected."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from bad_input.desk import Desk, dry_run, preflight, verify
from e2e.shop import event, source

NESTED = 100_000
DIGITS = 1_000_000


def with_payload(value: str) -> str:
    """An event on one line whose payload holds a piece of text."""
    return json.dumps(event(2, "noted", {"text": "@"})).replace('"@"', value)


def before(value: str) -> int:
    """The column at which the piece of text begins."""
    return with_payload(value).index(value) + 1


@dataclass(frozen=True)
class Fault:
    value: bytes
    code: str
    says: tuple[str, ...] = ()


FAULTS = {
    "nan": Fault(b"NaN", "JSON_NUMBER", ("found NaN", "expected a number")),
    "infinity": Fault(b"Infinity", "JSON_NUMBER", ("found Infinity",)),
    "minus-infinity": Fault(b"-Infinity", "JSON_NUMBER", ("found -Infinity",)),
    "overflow": Fault(b"1e400", "JSON_NUMBER", ("'1e400'", "double")),
    "duplicate-key": Fault(b'{"k": 1, "k": 2}', "JSON_DUPLICATE_KEY", ("'\"k\"' again", "each key once")),
    "duplicate-key-in-disguise": Fault(b'{"k": 1, "\\u006b": 1}', "JSON_DUPLICATE_KEY", ("again",)),
    "lone-surrogate": Fault(b'"\\ud800"', "JSON_SURROGATE", ("lone",)),
    "lone-low-surrogate": Fault(b'"\\udc00\\ud800"', "JSON_SURROGATE", ("lone",)),
    "lone-surrogate-as-key": Fault(b'{"\\uDFFF": 1}', "JSON_SURROGATE", ("lone",)),
    "invalid-utf8": Fault(b'"caf\xe9"', "JSON_ENCODING", ("0xe9", "expected UTF-8")),
    "encoded-surrogate": Fault(b'"\xed\xa0\x80"', "JSON_ENCODING", ("0xed",)),
    "overlong-utf8": Fault(b'"\xc0\xaf"', "JSON_ENCODING", ("0xc0",)),
    "beyond-unicode": Fault(b'"\xf4\x90\x80\x80"', "JSON_ENCODING", ("0xf4",)),
    "cut-utf8": Fault(b'"\xe2\x82"', "JSON_ENCODING", ("0xe2",)),
    "integer-of-a-million-digits": Fault(b"7" * DIGITS, "JSON_NUMBER", (str(DIGITS), "at most 1000 digits")),
    "integer-of-one-digit-too-many": Fault(b"-" + b"1" * 1001, "JSON_NUMBER", ("found one of 1001",)),
    "fraction-of-a-million-digits": Fault(
        b"9" * DIGITS + b".5", "JSON_NUMBER", ("double", "'999999999999999999999999...'")
    ),
    "nested-arrays": Fault(b"[" * NESTED + b"]" * NESTED, "JSON_NESTING", ("at most 128 levels",)),
    "nested-objects": Fault(b'{"a":' * NESTED + b"1" + b"}" * NESTED, "JSON_NESTING", ("at most 128 levels",)),
    "nested-and-not-closed": Fault(b"[" * NESTED, "JSON_NESTING", ("at most 128 levels",)),
    "control-character": Fault(b'"a\x01b"', "JSON_INVALID", ("control character", "found")),
    "tab-in-a-string": Fault(b'"a\tb"', "JSON_INVALID", ("control character",)),
    "nul-in-a-string": Fault(b'"a\x00b"', "JSON_INVALID", ("control character",)),
    "bad-escape": Fault(b'"\\x41"', "JSON_INVALID", ("escape",)),
    "short-escape": Fault(b'"\\u12"', "JSON_INVALID", ("hexadecimal",)),
    "single-quotes": Fault(b"'a'", "JSON_INVALID", ("expected a JSON value",)),
    "python-literal": Fault(b"None", "JSON_INVALID", ("'None'", "expected a JSON value")),
    "true-in-capitals": Fault(b"True", "JSON_INVALID", ("'True'",)),
    "leading-zero": Fault(b"007", "JSON_INVALID", ("found",)),
    "leading-plus": Fault(b"+1", "JSON_INVALID", ("'+1'",)),
    "hexadecimal": Fault(b"0x1F", "JSON_INVALID", ("found",)),
    "bare-fraction": Fault(b".5", "JSON_INVALID", ("'.5'",)),
    "open-fraction": Fault(b"5.", "JSON_INVALID", ("found",)),
    "underscores": Fault(b"1_000", "JSON_INVALID", ("found",)),
    "comment": Fault(b"1 /* one */", "JSON_INVALID", ("found",)),
    "trailing-comma": Fault(b"[1,]", "JSON_INVALID", ("found",)),
    "nothing": Fault(b"", "JSON_INVALID", ("expected a JSON value",)),
    "arabic-digits": Fault("٣".encode(), "JSON_INVALID", ("expected a JSON value",)),
    "no-break-space": Fault(b"\xc2\xa01", "JSON_INVALID", ("expected a JSON value",)),
    "byte-order-mark-inside": Fault(b"\xef\xbb\xbf1", "JSON_INVALID", ("expected a JSON value",)),
}
each_fault = pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)


def good(seq: int) -> bytes:
    return json.dumps(event(seq, "noted", {"text": "é 😀"})).encode()


def bad(fault: Fault) -> bytes:
    return with_payload("@").encode().replace(b"@", fault.value)


def outputs(events: str) -> tuple[str, ...]:
    return dry_run("--artifact", "a.json", "--out-events", "e.parquet", "--out-positions", "p.csv", events=events)


@each_fault
def test_fault_in_json_lines_names_the_line(desk: Desk, fault: Fault) -> None:
    name = desk.put("e.jsonl", good(1) + b"\n\n" + bad(fault) + b"\n" + good(3) + b"\n")
    error = desk.refuses(*outputs(name), code=fault.code, says=("'e.jsonl' at line 3", *fault.says))

    assert len(error["message"]) < 400


@each_fault
def test_fault_in_an_array_names_the_index_and_the_line(desk: Desk, fault: Fault) -> None:
    name = desk.put("e.json", b"[" + good(1) + b",\n" + bad(fault) + b",\n" + good(3) + b"]")
    error = desk.refuses(*outputs(name), code=fault.code, says=("'e.json'", "index 1", "line 2"))

    assert len(error["message"]) < 400


@each_fault
def test_fault_in_standard_input_is_named(desk: Desk, fault: Fault) -> None:
    text = good(1) + b"\n" + bad(fault) + b"\n"
    desk.refuses(*outputs("-"), code=fault.code, says=("standard input at line 2", *fault.says), stdin=text)


@each_fault
def test_fault_in_a_bundle_names_line_and_column(desk: Desk, fault: Fault) -> None:
    text = json.dumps(source(), indent=1).encode().replace(b"{", b'{\n "note":\n  ' + fault.value + b",", 1)
    for words in (dry_run("--artifact", "a.json", source=desk.put("b.json", text)), ("bundle-validate", "b.json")):
        before = desk.state()
        said = desk.call(*words)
        assert (said.code, said.error["code"]) == (2, fault.code), said
        assert "'b.json' at line 3, column " in said.error["message"]
        assert all(words in said.error["message"] for words in fault.says), said
        assert len(said.error["message"]) < 400
        assert desk.state() == before


@pytest.mark.parametrize("size", [1_000, 128])
def test_limits_themselves_are_within(desk: Desk, size: int) -> None:
    value = b"7" * size if size == 1_000 else b"[" * 126 + b"]" * 126
    name = desk.put("e.jsonl", bad(Fault(value, "")).replace(b'"seq": 2', b'"seq": 1'))

    assert desk.does(*verify(name))["events"] == 1


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ""])
def test_byte_order_mark_is_accepted(desk: Desk, suffix: str) -> None:
    text = good(1) if suffix == ".jsonl" else b"[" + good(1) + b"]"
    plain, marked = desk.put(f"plain{suffix}", text), desk.put(f"marked{suffix}", b"\xef\xbb\xbf" + text)

    assert desk.does(*verify(marked)) == desk.does(*verify(plain))
    assert desk.does(*verify("-"), stdin=b"\xef\xbb\xbf" + text) == desk.does(*verify(plain))


def test_byte_order_mark_in_bundles_is_accepted(desk: Desk) -> None:
    plain = desk.does(*dry_run())
    for name in ("bundle.v0.json", "bundle.v1.json"):
        desk.put(name, b"\xef\xbb\xbf" + desk.read(name))

    assert desk.does(*dry_run()) == plain


def test_second_byte_order_mark_is_a_fault(desk: Desk) -> None:
    desk.refuses(*verify(desk.put("e.jsonl", b"\xef\xbb\xbf" * 2 + good(1))), code="JSON_INVALID", says="line 1")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["e.jsonl", "e.json", "-"])
def test_wide_encodings_are_named(desk: Desk, encoding: str, name: str) -> None:
    lines = good(1).decode() + "\n" + good(2).decode() + "\n"
    wide = (f"[{lines.strip().replace(chr(10), ',')}]" if name == "e.json" else lines).encode(encoding)
    if name != "-":
        desk.put(name, wide)
    before = desk.state()
    said = desk.call(*verify(name), stdin=wide)

    assert desk.refused(said, before, code=said.error["code"], says="cannot decode")["hint"]
    assert "UTF-16" in said.error["hint"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_wide_encoding_of_a_bundle_is_named(desk: Desk, encoding: str) -> None:
    name = desk.put("b.json", json.dumps(source()).encode(encoding))
    before = desk.state()
    said = desk.call(*preflight(source=name))

    desk.refused(said, before, code=said.error["code"], says="'b.json' at line 1")
    assert "UTF-16" in said.error["hint"]


def test_carriage_returns_blank_lines_and_a_last_line_without_end(desk: Desk) -> None:
    plain = desk.does(*verify(desk.put("plain.jsonl", good(1) + b"\n" + good(2) + b"\n")))

    for text in (
        good(1) + b"\r\n" + good(2) + b"\r\n",
        good(1) + b"\n" + good(2),
        good(1) + b"\r\n" + good(2) + b"\r",
        b"\n\n" + good(1) + b"\n \t \n\r\n" + good(2) + b"\n\n\n",
        b"  " + good(1) + b"\t\n " + good(2) + b" \n",
    ):
        assert desk.does(*verify(desk.put("e.jsonl", text))) == plain
        assert desk.does(*verify("-"), stdin=text) == plain


def test_lines_after_blank_ones_keep_their_numbers(desk: Desk) -> None:
    text = b"\r\n\r\n" + good(1) + b"\r\n\r\n{\r\n"
    desk.refuses(*verify(desk.put("e.jsonl", text)), code="JSON_INVALID", says="'e.jsonl' at line 5")


@pytest.mark.parametrize(
    ("cut", "says"), [(1, "the end of the text"), (40, "a closing quote"), (-1, "the end of the text")]
)
def test_last_line_that_is_cut(desk: Desk, cut: int, says: str) -> None:
    name = desk.put("e.jsonl", good(1) + b"\n" + good(2)[:cut])
    desk.refuses(*outputs(name), code="JSON_INVALID", says=("'e.jsonl' at line 2", says))


@pytest.mark.parametrize("cut", [1, 40, -1])
def test_array_that_is_cut(desk: Desk, cut: int) -> None:
    text = b"[" + good(1) + b",\n" + good(2) + b"]"
    size = len(good(1)) + 3 + cut if cut > 0 else len(text) - 1
    error = desk.refuses(
        *outputs(desk.put("e.json", text[:size])), code="JSON_INVALID", says=("'e.json'", "line 2", "end of the input")
    )

    assert "incomplete" in error["hint"]


@pytest.mark.parametrize(
    ("tail", "found"), [(b"]", "']'"), (b"{}", "'{'"), (b"[]", "'['"), (b",", "','"), (b"\x00", "'\\x00'")]
)
def test_surplus_after_an_array(desk: Desk, tail: bytes, found: str) -> None:
    name = desk.put("e.json", b"[" + good(1) + b"]\n" + tail)
    desk.refuses(*verify(name), code="JSON_INVALID", says=("line 2", "nothing after the array", found))


@pytest.mark.parametrize("text", [b"[,%s]", b"[%s,]", b"[%s,,%s]", b"[%s %s]", b"[%s;%s]", b"[}", b"[%s}"])
def test_array_with_faults_between_elements(desk: Desk, text: bytes) -> None:
    name = desk.put("e.json", text.replace(b"%s", good(1)))
    desk.refuses(*verify(name), code="JSON_INVALID", says=("'e.json' index", "line 1", "expected", "found"))


def test_array_with_the_name_of_lines(desk: Desk) -> None:
    for text in (b"[\n" + good(1) + b",\n" + good(2) + b"\n]\n", b" [ \n" + good(1) + b"\n]"):
        error = desk.refuses(
            *verify(desk.put("e.jsonl", text)), code="JSON_INVALID", says=("'e.jsonl' at line", "array")
        )
        assert ".json" in error["hint"]


def test_array_on_one_line_with_the_name_of_lines(desk: Desk) -> None:
    """An array is a value that is no event; the finding says so."""
    found = desk.finds(*verify(desk.put("e.jsonl", b"[" + good(1) + b"," + good(2) + b"]\n")))

    assert found["history_integrity"]["findings"][0]["message"] == "malformed event: expected an object, found an array"


def test_lines_with_the_name_of_an_array(desk: Desk) -> None:
    name = desk.put("e.json", good(1) + b"\n" + good(2) + b"\n")
    error = desk.refuses(*verify(name), code="JSON_INVALID", says=("'e.json'", "expected a JSON array", "'{'"))

    assert ".jsonl" in error["hint"]


@pytest.mark.parametrize("text", [b"null", b"3", b'"a"', b"{}", b"[]", b"true"])
def test_other_json_than_an_array(desk: Desk, text: bytes) -> None:
    if text == b"[]":
        assert desk.does(*verify(desk.put("e.json", text)))["events"] == 0
    else:
        desk.refuses(*verify(desk.put("e.json", text)), code="JSON_INVALID", says="expected a JSON array")
