"""The native part takes in what is a record for certain, and nothing else, and gives what the Python beside it gives."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from io import BytesIO

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import UNSET

import native
from cicsc.decoding import exceeds_cheap_bounds
from cicsc.history import native as native_module
from cicsc.history import runs
from cicsc.history.model import Event
from cicsc.history.native import framed_blocks, gathered_blocks, new_gatherer
from cicsc.history.runs import decode_record, encode_record, read_blocks, sorted_blocks
from cicsc.history.sorting import Sorter

texts = st.text(max_size=12) | st.text('aé\U0001f600"\\\b\f\n\r\t\0\x1f\x7f/', max_size=40)
numbers = (
    st.integers(-(10**19), 10**19)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(-(10**9), 10**9, places=4).map(float)
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
events = st.builds(
    Event,
    texts,
    texts,
    texts,
    st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 9),
    texts,
    st.dictionaries(texts, values, max_size=4),
    st.integers(-(2**63), 2**63 - 1),
    texts,
)
usual = st.builds(
    Event,
    st.sampled_from(["t", "é", "\U0001f600", "\uffff", 'a"b\\\n']),
    st.sampled_from(["Order", "Item", ""]),
    st.sampled_from(["1", "2", "10", "a\tb", "x" * 40]),
    st.integers(-2, 300) | st.sampled_from([127, 128, 65_535, 65_536, 10**17]),
    st.just("paid"),
    st.fixed_dictionaries({"n": st.integers(0, 3), "sum": st.sampled_from([0.5, 2.0, -12.25, 0.001, 0.1 + 0.2])}),
    st.integers(0, 9),
    st.just("me"),
)
PIECES = [
    b'"',
    b"\\",
    b"\\u00e9",
    b"\\/",
    b"0",
    b"-",
    b".",
    b"e5",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b" ",
    b"\xff",
    b"\xc0\xaf",
]
PIECES += [
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe0\x80\x80",
    b"\xf0\x80\x80\x80",
    b"null",
    b"true",
    b"\x00",
    b"\x1f",
    b"\r",
]


@pytest.fixture(scope="module", autouse=True)
def with_native_part() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        native.go("native", patch)
        yield


def is_taken(line: bytes) -> bool:
    gatherer = new_gatherer()
    count, _, others = gatherer.take(line + b"\n")
    assert (count, others) in (((1), []), ((0), [(0, line)]))
    return bool(count)


def is_record(text: bytes) -> bool:
    """Whether a text is one, as `intake` proves it without the native part."""
    try:
        event = decode_record(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return encode_record(event) == text and event.extra is UNSET and not exceeds_cheap_bounds(text)


def line_with(payload: str, seq: str = "1") -> bytes:
    head = '{"tenant_id":"t","entity_type":"Order","entity_id":"1","seq":'
    return f'{head}{seq},"event_type":"paid","payload":{payload},"ts":1,"actor_id":""}}'.encode()


@given(events)
def test_what_is_taken_is_a_record(event: Event) -> None:
    record = encode_record(event)
    assert is_record(record) or not is_taken(record)


@given(events | usual, st.integers(0, 400), st.integers(0, 3), st.sampled_from(PIECES))
@example(Event("t", "Order", "1", 1, "paid", {"a": 1, "b": 2}, 1, "me"), 83, 1, b"a")
def test_what_is_taken_of_damaged_text_is_a_record(event: Event, place: int, removed: int, piece: bytes) -> None:
    record = encode_record(event)
    place %= len(record)
    damaged = record[:place] + piece + record[place + removed :]
    assert "\n" not in damaged.decode(errors="replace")
    assert is_record(damaged) or not is_taken(damaged)


@given(
    st.floats(-(10**16), 10**16) | st.builds(math.ldexp, st.sampled_from([0.5, 0.1, 1 - 2**-53]), st.integers(-9, 54)),
    st.integers(13, 18),
    st.sampled_from(["", "0", "1", "e0"]),
)
@example(14.569043850933994, 17, "")
@example(2.0**-9 * (1 - 2**-53), 17, "")
def test_a_number_of_many_digits_is_taken_where_it_is_written_so(number: float, digits: int, more: str) -> None:
    for text in (repr(number), f"{number:.{digits}g}" + more, f"{number:.{digits}f}" + more):
        line = line_with(f'{{"a":{text}}}')
        assert is_record(line) or not is_taken(line)
    line = line_with(f'{{"a":{number!r}}}')
    assert is_taken(line) or not is_record(line) or not 1e-3 <= abs(number) < 1e16


@given(usual)
def test_usual_records_are_taken(event: Event) -> None:
    assert is_taken(encode_record(event))


@pytest.mark.parametrize(
    "payload",
    ["{}", '{"a":[]}', '{"a":{"a":[1,-2,{}]}}', '{"a":0.5,"b":-0.25,"c":2.0,"d":123456.789,"e":0.001,"f":0.0,"g":-1.0}', '{"a":100000000000000.5}'.replace("000.5", ".5"), '{"a":999999999999999999,"b":-999999999999999999,"c":0}', '{"é\U0001f600":"\x7f\\"\\\\\\b\\f\\n\\r\\t"}', '{"a":true,"b":false,"c":null}'],
)  # fmt: skip
def test_taken(payload: str) -> None:
    assert is_record(line_with(payload))
    assert is_taken(line_with(payload))


@pytest.mark.parametrize(
    "payload",
    ['{"a":1,"a":2}', '{"a":{"b":1,"b":1}}', '{"a":01}', '{"a":-0}', '{"a":1.50}', '{"a":1e5}', '{"a":1.}', '{"a":.5}', '{"a":+1}', '{"a":-}', '{"a":NaN}', '{"a":1,}', "{,}", '{"a":[1,]}', '{"a":[,]}', '{"a" :1}', '{"a":tru}', '{"a":"\x1f"}', '{"a":"\\/"}', '{"a":"\\u00e9"}', '{"a":"\\ud800"}', "[]", '{"a":0.10}', '{"a":00.5}', '{"a":-00}', '{"a":1.0000000000000001}'],
)  # fmt: skip
def test_not_taken_since_it_is_no_record(payload: str) -> None:
    assert not is_record(line_with(payload))
    assert not is_taken(line_with(payload))


@pytest.mark.parametrize("seq", ["1.0", "01", "-0", "1e0", "true", "", "9223372036854775808"])
def test_seq_is_an_integer_of_64_bits(seq: str) -> None:
    assert not is_taken(line_with("{}", seq))


@pytest.mark.parametrize(
    "line", [b"", b" ", line_with("{}") + b" ", line_with("{}")[:-1], line_with("{}").replace(b'"ts":1', b'"extra":{},"ts":1'), b"{}"]
)  # fmt: skip
def test_other_lines_are_given_back(line: bytes) -> None:
    assert not is_taken(line)


def test_lines_beside_records_come_with_their_offsets() -> None:
    gatherer = new_gatherer()
    record = line_with("{}")

    taken = gatherer.take(b"\n".join([b"", record, b" x", record.replace(b'"ts":1', b'"ts":-7'), b"y\r", b""]))

    assert taken == (2, 1, [(0, b""), (2, b" x"), (4, b"y\r")])
    assert gatherer.take(b"z\n") == (0, 0, [(0, b"z")])


@given(st.lists(usual, max_size=40), st.integers(1, 5), st.integers(1, 300), st.integers(1, 2000))
def test_blocks_are_those_of_the_python_beside_it(
    some: list[Event], events_max: int, text_max: int, piece_bytes: int
) -> None:
    some = list({(event.tenant_id, event.entity_type, event.entity_id, event.seq): event for event in some}.values())
    groups: runs.Groups = {}
    gatherer = new_gatherer()
    for event in some:
        seqs, records = groups.setdefault((event.tenant_id, event.entity_type, event.entity_id), ([], []))
        seqs.append(event.seq)
        records.append(encode_record(event))
        gatherer.take(encode_record(event) + b"\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "BLOCK_EVENTS_MAX", events_max)
        patch.setattr(runs, "BLOCK_BYTES_MAX", text_max)
        patch.setattr(runs, "PIECE_BYTES", piece_bytes)
        assert gatherer.sort() == []
        pieces = list(framed_blocks(gatherer))
        found = list(gathered_blocks(gatherer))
        expected = list(sorted_blocks(groups))

    assert joined(found) == joined(expected)
    assert all(len(block.seqs) == 1 or len(block.text) - len(block.seqs) < text_max for block in found)
    assert all(len(block.seqs) <= events_max for block in found)
    assert [key for key, _ in pieces] == [next(read_blocks(BytesIO(data))).key for _, data in pieces]


def joined(blocks: list[runs.Block]) -> dict[object, tuple[list[int], bytes]]:
    """What the blocks hold of each stream, in the order of the streams."""
    found: dict[object, tuple[list[int], list[bytes]]] = {}
    for block in blocks:
        seqs, records = found.setdefault(block.key, ([], []))
        seqs.extend(block.seqs)
        records.append(block.text)
    return {key: (seqs, b"\n".join(records)) for key, (seqs, records) in found.items()}


def test_streams_with_equal_seqs_are_given_up() -> None:
    gatherer = new_gatherer()
    first, second, third = (line_with(f'{{"n":{number}}}', seq) for number, seq in ((1, "2"), (2, "2"), (3, "1")))
    gatherer.take(b"\n".join([first, second, third, line_with("{}").replace(b'"1"', b'"9"'), b""]))

    assert gatherer.sort() == [(("t", "Order", "1"), [1, 2, 2], [third, first, second])]
    assert [block.key for block in gathered_blocks(gatherer)] == [("t", "Order", "9")]
    assert gatherer.sort() == []


def test_what_was_gathered_can_be_added_to_after_it_was_sorted() -> None:
    sorter = Sorter()
    assert sorter.gatherer is not None
    for seq in ("3", "1", "2"):
        sorter.gatherer.take(line_with("{}", seq) + b"\n")
        found = [seqs for _, stream in sorter.streams() for seqs, _ in stream.pieces]

    assert found == [[1, 2, 3]]
    sorter.close()
    assert list(sorter.streams()) == []


def test_equal_seqs_come_in_canonical_order_beside_what_else_was_gathered() -> None:
    sorter = Sorter()
    assert sorter.gatherer is not None
    first, second = (line_with(f'{{"n":{number}}}', "2") for number in (2, 1))
    sorter.gatherer.take(b"\n".join([first, line_with("{}"), second, line_with("{}").replace(b'"1"', b'"9"'), b""]))
    for _ in range(2):
        found = [(key[2], text.split(b"\n")) for key, stream in sorter.streams() for _, text in stream.pieces]
        assert found == [("1", [line_with("{}"), second, first]), ("9", [line_with("{}").replace(b'"1"', b'"9"')])]
    sorter.close()


def test_many_streams() -> None:
    gatherer = new_gatherer()
    lines = [line_with("{}").replace(b'"entity_id":"1"', b'"entity_id":"%d"' % number) for number in range(5_000)]
    for start in range(0, len(lines), 700):
        gatherer.take(b"\n".join([*lines[start : start + 700], b""]))
    gatherer.sort()

    assert [block.entity_id for block in gathered_blocks(gatherer)] == sorted(map(str, range(5_000)))
    before = gatherer.size
    gatherer.clear()
    assert gatherer.size == 0 < sum(map(len, lines)) < before


@pytest.mark.parametrize("text", [b"", b"x", b"\nx"])
def test_text_without_a_line_feed_at_its_end_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="line feed"):
        new_gatherer().take(text)


def test_wrong_calls_are_refused() -> None:
    gatherer = new_gatherer()
    gatherer.take(line_with("{}") + b"\n")
    with pytest.raises(TypeError, match="expected bytes, found str"):
        gatherer.take("x\n")
    with pytest.raises(ValueError, match="sorted"):
        gatherer.blocks((0, 0), (1, 1), 1)
    gatherer.sort()
    for place, bounds, bytes_max in (
        ((-1, 0), (1, 1), 1),
        ((0, 0), (0, 1), 1),
        ((0, 0), (65_536, 1), 1),
        ((0, 0), (1, 1), 0),
    ):
        with pytest.raises(ValueError, match="expected"):
            gatherer.blocks(place, bounds, bytes_max)
    assert gatherer.blocks((7, 0), (1, 1), 1) is None


def test_package_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cicsc.history._native", None)
    monkeypatch.setattr(native_module, "_part", native_module._loaded())
    assert new_gatherer() is None


def test_it_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CICSC_PURE", "1")
    monkeypatch.setattr(native_module, "_part", native_module._loaded())
    assert new_gatherer() is None
