"""JSON arrays are split into their elements, in pieces; what is wrong with one is named with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicsc.history import array
from cicsc.history.array import array_batches
from unit.history.files import LAYOUTS, LINES, put, refusal


def test_undecodable_element_is_named(tmp_path: Path) -> None:
    path = put(tmp_path, "f.json", '[\n{"seq":1},\n{"seq":NaN}]')
    assert refusal(path).message.startswith(
        f"cannot decode {str(path)!r} index 1 at line 3: expected a number, found NaN"
    )


def test_array_that_is_called_lines_gets_a_hint(tmp_path: Path) -> None:
    error = refusal(put(tmp_path, "f.jsonl", LAYOUTS["indented.json"]))
    assert error.hint is not None
    assert ".json" in error.hint


def test_bundle_that_is_given_for_a_history_gets_a_hint(tmp_path: Path) -> None:
    error = refusal(put(tmp_path, "b.json", '{"bundle_version": 1, "core_ir": {}}'))
    assert (error.code, error.hint) == ("JSON_INVALID", "is this a bundle, perhaps? --events is for the history")


@pytest.mark.usefixtures("chunk_bytes")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LINES, "index 0 line 1: expected a JSON array, found '{'"),
        (" ", "index 0 line 1: expected a JSON array, found ''"),
        ("[", "at line 1: expected the array to be closed by ']', found the end of the input at index 0"),
        ("[\n{}", "at line 2: expected the array to be closed by ']', found the end of the input at index 1"),
        ("[{},", "found the end of the input at index 1"),
        (
            '[{},\n{"a":{"b":[',
            "at line 2: expected the array to be closed by ']', found the end of the input at index 1",
        ),
        ('[{},{"a":"b\\', "found the end of the input at index 1"),
        ('["abc', "found the end of the input at index 0"),
        ("[123", "found the end of the input at index 0"),
        ("[{},]", "index 1 line 1: expected another element after the comma, found ']'"),
        ("[,{}]", "index 0 line 1: expected an element, found ','"),
        ("[{},\n}]", "index 1 line 2: expected an element, found '}'"),
        ("[{} {}]", "index 1 line 1: expected ',' or ']' after an element, found '{'"),
        ("[{}}", "index 1 line 1: expected ',' or ']' after an element, found '}'"),
        ("[{}]\nx", "index 1 line 2: expected nothing after the array, found 'x'"),
        ("[{}][]", "index 1 line 1: expected nothing after the array, found '['"),
        ("[" * 10**5, "index 0 line 1: expected at most 128 levels of nesting, found '['"),
    ],
)
def test_broken_array_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    error = refusal(put(tmp_path, "f.json", text))
    assert error.message.endswith(message)
    assert error.code == ("JSON_NESTING" if "nesting" in message else "JSON_INVALID")


def test_mismatched_brackets_inside_an_element_are_an_error(tmp_path: Path) -> None:
    error = refusal(put(tmp_path, "f.json", '[{"a":[1}]}]'))
    assert "index 0 at line 1: expected ',' or the closing bracket, found '}'" in error.message


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text('a"\\,[]{}: \n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a"\\}', max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(json_values, max_size=6), st.sampled_from([None, 1, "\t"]), st.booleans(), st.integers(1, 40))
def test_array_is_split_into_its_elements(items: list[object], indent: int | None, tight: bool, size: int) -> None:
    text = json.dumps(items, indent=indent, separators=(",", ":") if tight else None).encode()
    chunks = (text[start : start + size] for start in range(0, len(text), size))
    batches = list(array_batches(chunks, "f"))
    assert [json.loads(part) for batch in batches for part in batch.texts] == items


def test_array_is_split_into_batches_with_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array, "_BATCH_TEXTS_MAX", 2)
    batches = list(array_batches(iter([b"[\n1,\n\n2,3 ,\n4,5\n]"]), "f"))
    assert [batch.texts for batch in batches] == [[b"1", b"2"], [b"3", b"4"], [b"5"]]
    assert [batch.place("f", 0) for batch in batches] == ["f index 0 line 2", "f index 2 line 4", "f index 4 line 5"]


def test_array_batches_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array, "_BATCH_BYTES_MAX", 4)
    batches = list(array_batches(iter([b"[11,22,33,44]"]), "f"))
    assert [batch.texts for batch in batches] == [[b"11", b"22"], [b"33", b"44"]]
