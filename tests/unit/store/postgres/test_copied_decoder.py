"""Rows that were copied out are the events that their columns hold, whoever takes them apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

import native
from cicsc.errors import InputError
from cicsc.history.model import Event, EventList, StreamKey
from cicsc.history.native import native_part
from cicsc.history.runs import encode_records
from cicsc.store.encoding import EventDecoder, RowsHasher, placed_rows
from cicsc.store.postgres.copying import CopiedDecoder, copied_lines
from cicsc.store.records import Placed, StagedEvents
from cicsc.store.views import segments_of

names = st.sampled_from(["a", "b", "é\U0001f600", "", 'a"b', "a\\b", "a\tb\nc\rd\b\f\v", "\x01", "\x7f"])
values = st.sampled_from([1, -2.5, 1e300, 0.1 + 0.2, "x", 'a"\\\n\t/', "é", None, True, [1, {"a": []}], 10**30])
events = st.builds(
    Event,
    st.just("t"),
    names,
    names,
    st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
    names,
    st.dictionaries(names, values, max_size=3),
    st.integers(-(2**63), 2**63 - 1) | st.integers(0, 3),
    names,
    st.just(UNSET) | st.just({"trace": "\\"}),
)
plain = Event("t", "Order", "1", 1, "paid", {"note": 'say "\\" é', "sum": 2.5}, 5, "me")


@pytest.fixture(scope="module", autouse=True)
def with_native_part() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        native.go("native", patch)
        yield


def copied_out(staged: StagedEvents) -> bytes:
    """The rows as `copied_events` gives them: what a run copies in, without tenant, generation and ordinal."""
    lines = b"".join(copied_lines(("t", 1), staged, RowsHasher())).split(b"\n")[:-1]
    columns = [line.split(b"\t") for line in lines]
    return b"".join([b"\t".join([row[2], *row[4:]]) + b"\n" for row in columns])


def segments(staged: StagedEvents) -> list[tuple[StreamKey, Placed]]:
    decoder = CopiedDecoder("t", native_part())
    return [
        (key, Placed(list(placed.positions), placed.events)) for key, placed in decoder.segments(copied_out(staged))
    ]


def at_places(some: list[Event], first: int = 7) -> StagedEvents:
    return StagedEvents(list(range(first, first + len(some))), [0] * len(some), EventList(some, is_plain=False))


@given(st.lists(events, min_size=1, max_size=6))
def test_events_are_those_of_the_columns(some: list[Event]) -> None:
    staged = at_places(some)
    expected = [
        (key, Placed(list(placed.positions), placed.events))
        for key, placed in segments_of(EventDecoder("t"), placed_rows(staged))
    ]
    found = segments(staged)
    assert found == expected
    for _, placed in found:
        assert placed.events.records in {b"", encode_records(placed.events)}


def test_streams_are_cut_where_type_or_id_changes() -> None:
    keys = [("A", "1"), ("A", "1"), ("A", "2"), ("B", "2"), ("B", "2")]
    some = [Event("t", kind, name, seq, "paid", {}, 0, "me") for seq, (kind, name) in enumerate(keys)]

    found = [(key[1:], list(placed.positions), len(placed.events)) for key, placed in segments(at_places(some))]

    assert found == [(("A", "1"), [7, 8], 2), (("A", "2"), [9], 1), (("B", "2"), [10, 11], 2)]


@pytest.mark.parametrize("tenant", ["t", "'; drop table", 'a"\\\n\x01é'])
def test_tenant_is_any_text(tenant: str) -> None:
    ((key, placed),) = CopiedDecoder(tenant, native_part()).segments(copied_out(at_places([plain])))
    assert key == (tenant, "Order", "1")
    assert placed.events[0].tenant_id == tenant


def test_usual_rows_become_records_at_once() -> None:
    records, positions, begins = native_part().records_of_rows(copied_out(at_places([plain, plain])), b'"t"')
    assert records.count(b"\n") == 2
    assert (positions, begins) == ([7, 8], [(0, 0)])


@pytest.mark.parametrize(
    "payload", ['{"a":1,"a":2}', '{"a": 1}', '{"a":1e5}', '{"a":"\\u00e9"}', '{"a":01}', '{"a":1}x', '{"a":"\\n"} '],
)  # fmt: skip
def test_other_payloads_are_looked_at_closer(payload: str) -> None:
    line = copied_out(at_places([plain])).split(b"\t")
    line[5] = payload.replace("\\", "\\\\").encode()
    assert native_part().records_of_rows(b"\t".join(line), b'"t"') is None


def test_payload_that_is_not_strict_is_named() -> None:
    line = copied_out(at_places([plain])).split(b"\t")
    line[5] = b'{"a":1,"a":2}'
    with pytest.raises(InputError) as caught:
        list(CopiedDecoder("t", native_part()).segments(b"\t".join(line)))
    assert caught.value.code == "EVENT_UNREADABLE"
    assert "seq 1" in caught.value.message


@pytest.mark.parametrize("rows", [b"", b"x"])
def test_rows_without_a_line_feed_at_their_end_are_refused(rows: bytes) -> None:
    with pytest.raises(ValueError, match="line feed"):
        native_part().records_of_rows(rows, b'"t"')
