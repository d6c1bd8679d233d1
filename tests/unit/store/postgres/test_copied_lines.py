"""Lines that are copied in are the rows of the events, whoever writes them; the native part writes those of usual events."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

import native
from cicsc.history.model import Event
from cicsc.history.native import native_part
from cicsc.history.runs import encode_records
from cicsc.store.encoding import RowsHasher
from cicsc.store.postgres.copying import copied_lines
from cicsc.store.records import StagedEvents

TENANTS = ("t", "'; drop table event", 'a"\\\n\t\x01é')
usual = st.sampled_from(["a", "b", "é\U0001f600", "", "'; drop table event", "\x7f", ","])
names = st.sampled_from(["a", 'a"b', "a\\b", "a\tb\nc\rd\b\f\v", "\x01", "\\N", "\\."]) | usual
values = st.sampled_from(
    [1, -2.5, 1e300, "x", 'a"\\\n\t/', '","ts":1,"actor_id":"a"}', "\x00", None, [1, {"a": []}], 10**30]
)
integers = st.sampled_from([0, 1, -1, 10, 2**63 - 1, -(2**63)]) | st.integers(-(2**63), 2**63 - 1)
PLAIN = Event("t", "Order", "1", 1, "paid", {"note": 'say "\\" é', "sum": 2.5}, 5, "me")


def events(texts: st.SearchStrategy[str], tenant: str, extra: st.SearchStrategy[object]) -> st.SearchStrategy[Event]:
    payloads = st.dictionaries(names, values, max_size=3)
    return st.builds(Event, st.just(tenant), texts, texts, integers, texts, payloads, integers, texts, extra)


def staged(some: list[Event], places: list[tuple[int, int]], *, with_records: bool = False) -> StagedEvents:
    positions, ordinals = ([place[part] for place in places] for part in (0, 1))
    return StagedEvents(positions, ordinals, encode_records(some) if with_records else some)


def lines(given_to: StagedEvents, tenant: str, part: str) -> tuple[bytes, int, str]:
    """The lines of events in generation 3, how many were seen, and their digest."""
    seen = RowsHasher()
    with pytest.MonkeyPatch.context() as patch:
        native.go(part, patch)
        found = b"".join(copied_lines((tenant, 3), given_to, seen))
    return found, seen.count, seen.hexdigest()


@given(st.data(), st.sampled_from(TENANTS), st.booleans())
def test_lines_are_the_same_whoever_writes_them(data: st.DataObject, tenant: str, with_records: bool) -> None:
    extra = st.just(UNSET) | st.just({"trace": "\\"}) | st.just({})
    some = data.draw(st.lists(events(names, tenant, extra), max_size=6))
    places = data.draw(st.lists(st.tuples(integers, integers), min_size=len(some), max_size=len(some)))

    given_to = staged(some, places, with_records=with_records)
    assert lines(given_to, tenant, "native") == lines(given_to, tenant, "pure")


@given(st.data(), st.sampled_from(TENANTS))
def test_usual_events_are_written_by_the_native_part(data: st.DataObject, tenant: str) -> None:
    some = data.draw(st.lists(events(usual, tenant, st.just(UNSET)), min_size=1, max_size=3))
    given_to = staged(some, [(1, 0)] * len(some), with_records=True)

    with pytest.MonkeyPatch.context() as patch:
        native.go("native", patch)
        found = native_part().rows_of_records(
            given_to.events, msgspec.json.encode(tenant), b"x\t3\t", given_to.positions, given_to.ordinals
        )
    assert found is not None
    assert found.count(b"\n") == len(some)


@pytest.fixture
def rows_of_records() -> Iterator[object]:
    with pytest.MonkeyPatch.context() as patch:
        native.go("native", patch)
        yield native_part().rows_of_records


def test_row_holds_its_columns(rows_of_records) -> None:
    row = rows_of_records(encode_records([PLAIN]), b'"t"', b"t\t3\t", [7], [2])
    assert row.decode() == (
        "t\t3\t7\t2\tOrder\t1\t1\tpaid\t" + r'{"note":"say \\"\\\\\\" é","sum":2.5}' + "\t5\tme\t\\N\n"
    )


@pytest.mark.parametrize(
    ("records", "positions", "ordinals"),
    [
        (b"", [], []),
        (encode_records([PLAIN])[:-1], [1], [0]),
        (encode_records([PLAIN]), [], []),
        (encode_records([PLAIN]), [1, 2], [0, 0]),
        (encode_records([PLAIN]), [1], []),
        (encode_records([PLAIN, PLAIN]), [1], [0]),
    ],
)
def test_as_many_places_as_records_are_expected(rows_of_records, records, positions, ordinals) -> None:
    with pytest.raises(ValueError, match="expected"):
        rows_of_records(records, b'"t"', b"", positions, ordinals)


@pytest.mark.parametrize("position", [2**63, "1", None])
def test_places_are_integers_of_64_bits(rows_of_records, position: object) -> None:
    with pytest.raises((OverflowError, TypeError)):
        rows_of_records(encode_records([PLAIN]), b'"t"', b"", [position], [0])


@pytest.mark.parametrize("tenant", [b'"u"', b'"tt"', b'"', b""])
def test_record_of_another_tenant_makes_no_row(rows_of_records, tenant: bytes) -> None:
    assert rows_of_records(encode_records([PLAIN]), tenant, b"", [1], [0]) is None
