"""The native part writes what `canonical` does of the same records, or leaves it to that."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

import native
from cicsc.canonical import LeafHasher, canonical_event
from cicsc.history.leaves import add_to_leaf
from cicsc.history.model import Event, EventList
from cicsc.history.native import native_part
from cicsc.history.runs import encode_records
from properties.comparison import has_float
from unit.history.test_native import events, usual


@pytest.fixture(scope="module", autouse=True)
def with_native_part() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        native.go("native", patch)
        yield


def event(payload: dict[str, object], **fields: object) -> Event:
    return Event("t", "Order", "1", 1, "paid", payload, 5, "me", **fields)


def canonical_lines(made: list[Event]) -> bytes | None:
    return native_part().canonical_lines(encode_records(made))


def exact_lines(made: list[Event]) -> bytes:
    return b"".join(canonical_event(one) + b"\n" for one in made)


@given(made=st.lists(events, min_size=1, max_size=3))
@example(made=[event({"b": [1.0, {"z": -3.0, "y": [[]]}], "a": {"\u00e9": 2.0, "e": 0.001}})])
@example(made=[event({'"': 1})])
def test_lines_are_those_of_the_exact_encoder(made: list[Event]) -> None:
    assert canonical_lines(made) in {None, exact_lines(made)}


@given(made=st.lists(usual, min_size=1, max_size=9))
def test_usual_records_are_known_well(made: list[Event]) -> None:
    assert canonical_lines(made) == exact_lines(made)


PAYLOADS = [
    {},
    {"\uffff": 1, "\U0001f600": 2, "z": 3, "zz": 4, "": 5},
    {"b": {"d": 1, "c": {"f": [1, "x", None, True], "e": {}}}, "a": []},
    {"n": 2.0, "m": -20.0, "small": 1e-5, "large": 10**30, "digits": 0.1234567890123456, "list": [1.0, 1.5, [100.0]]},
    {"text": '2.0 "quoted", \\ and \n\t\r\b\f', "other": "e.0"},
    {f"key{number}": number for number in range(64, 0, -1)},
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_all_that_differs_is_written_canonically(payload: dict[str, object]) -> None:
    made = [event(payload), event({"last": 1})]
    assert canonical_lines(made) == exact_lines(made)


@pytest.mark.parametrize(
    "made",
    [
        event({"a\n": 1, "a": 2}),
        event({"outer": {'"': 1, "a": 2}}),
        event({"number": 1e300}),
        event({"number": -0.0}),
        event({"number": 123456789012345.0}),
        event({"small": 3e-6}),
        event({f"key{number}": number for number in range(65)}),
        event({}, extra={"more": 1}),
        event({"deep": json.loads("[" * 20 + "]" * 20)}),
    ],
)
def test_what_is_rare_is_left_to_the_exact_encoder(made: Event) -> None:
    assert canonical_lines([event({"a": 1}), made]) is None


def test_the_last_line_may_lack_its_end() -> None:
    made = [event({"b": 1, "a": 2}), event({})]
    assert native_part().canonical_lines(encode_records(made)[:-1]) == exact_lines(made)


@pytest.mark.parametrize("records", [b"\n", b"{}", b"\0", b"x" * 100, encode_records([event({})])[:-2]])
def test_what_is_no_record_is_not_taken_for_one(records: bytes) -> None:
    assert native_part().canonical_lines(records) is None


def test_nothing_but_bytes_is_taken() -> None:
    with pytest.raises(TypeError, match="expected bytes, found str"):
        native_part().canonical_lines("text")


def leaf_of(made: list[Event]) -> tuple[str, int]:
    leaf = LeafHasher()
    leaf.update(event({"first": 1}))
    add_to_leaf(leaf, made)
    leaf.update(event({"last": 1}))
    return leaf.hexdigest(), leaf.count


@given(made=st.lists(events | usual, min_size=1, max_size=4), is_native=st.booleans())
def test_a_leaf_is_the_same_however_its_events_come(made: list[Event], is_native: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        native.go("native" if is_native else "pure", patch)
        plain = all(one.extra is UNSET and not has_float(one.payload) for one in made)
        wanted = leaf_of(made)
        assert leaf_of(EventList(made, is_plain=plain)) == wanted
        assert leaf_of(EventList(made, is_plain=plain, records=encode_records(made))) == wanted
