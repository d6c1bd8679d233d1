from __future__ import annotations

import threading
import tracemalloc

import pytest

from cicsc.errors import FenceError, InputError
from cicsc.history.model import Event
from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain
from conformance.store.history import INSERT, add_tenant, append, columns, event, stored

LARGE = 20_000
WAIT_S_MAX = 20


def many(count: int, events_per_stream: int) -> list[Event]:
    """Events of about 500 bytes each."""
    payload = {"text": "x" * 400}
    return [
        event(f"{index // events_per_stream:06}", index % events_per_stream + 1, payload=payload)
        for index in range(count)
    ]


def test_streams_come_in_order_of_code_points(store: Store) -> None:
    ids = ["b", "a", "B", "é", "e\u0301", "\U0001d54f", "\uffff", "", "aa", "10", "9", " "]
    kinds = [("Order", "created"), ("Customer", "registered")]
    for entity_type, event_type in kinds:
        append(store, *[event(name, entity_type=entity_type, event_type=event_type) for name in ids])

    keys = [key for key, events in store.streams("t") if list(events)]

    assert keys == sorted(("t", entity_type, name) for entity_type, _ in kinds for name in ids)


def test_events_come_in_order_of_seq(store: Store) -> None:
    for seq in range(1, 13):
        append(store, event("1", seq), event("2", seq))

    assert [[found.seq for found in events] for _, events in store.streams("t")] == [[*range(1, 13)]] * 2


def test_stream_that_is_not_read_is_passed_over(store: Store) -> None:
    append(store, event("1", 1), event("1", 2), event("2", 1))

    assert [key[2] for key, _ in store.streams("t")] == ["1", "2"]


def test_reading_is_of_one_moment(store: Store) -> None:
    append(store, event(seq=1, ts=10))

    with store.reading("t") as reading:
        append(store, event(seq=2, ts=20))
        seen = [found for _, events in reading.streams() for found in events]
        facts = (reading.head().count, reading.latest_ts(), len(list(reading.events("Order", "1"))))

    assert (seen, facts) == ([event(seq=1, ts=10)], (1, 10, 1))
    assert store.head("t").count == 2


def test_writes_go_on_beside_an_unfinished_reading(store: Store) -> None:
    append(store, event("1"), event("2"))
    streams = store.streams("t")
    first = next(streams)

    append(store, event("3"))
    store.resume("t", owner="ann", epoch=store.pause("t", owner="ann", seconds=60).epoch)

    assert [first[0][2], *[key[2] for key, _ in streams]] == ["1", "2"]


def test_two_readings_at_once(store: Store) -> None:
    append(store, event("1"), event("2"))

    pairs = list(zip(store.streams("t"), store.streams("t"), strict=True))

    assert [(one[0][2], other[0][2]) for one, other in pairs] == [("1", "1"), ("2", "2")]


def test_tail_of_a_stream(store: Store) -> None:
    append(store, event("1", 1), event("1", 2), event("1", 3), event("10", 1))

    with store.reading("t") as reading:
        tails = [[found.seq for found in reading.events("Order", "1", after_seq=seq)] for seq in (0, 1, 3, 9)]
        nobodys = list(reading.events("Order", "2"))

    assert tails == [[1, 2, 3], [2, 3], [], []]
    assert nobodys == []


def test_latest_ts_is_the_largest(store: Store) -> None:
    append(store, event(seq=1, ts=-5), event(seq=2, ts=2**62), event(seq=3, ts=7))

    assert store.latest_ts("t") == 2**62
    assert store.latest_ts("t", 2) is None


def test_negative_times(store: Store) -> None:
    append(store, event(ts=-(2**63)))

    assert store.latest_ts("t") == -(2**63)
    assert stored(store) == [event(ts=-(2**63))]


def test_other_tenants_are_not_read(store: Store) -> None:
    add_tenant(store, "u")
    append(store, event(tenant_id="u"))

    assert stored(store) == []
    assert store.latest_ts("t") is None


@pytest.mark.parametrize("events_per_stream", [LARGE, 10], ids=["one stream", "many streams"])
def test_streams_are_read_in_bounded_memory(store: Store, events_per_stream: int) -> None:
    store.import_events("t", many(LARGE, events_per_stream), generation=1, actor_id="ann")
    tracemalloc.start()
    try:
        count = sum(1 for _, events in store.streams("t") for _ in events)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == LARGE
    assert peak < 4_000_000  # the events have 8 MB of text


@pytest.mark.parametrize(
    "payload",
    ['{"a": 1, "a": 2}', '{"a": 1e999}', f'{{"a": {"1" * 1001}}}', '{"a":' * 130 + "1" + "}" * 130],
    ids=["repeated key", "overflow", "too long a number", "too deep"],
)
def test_payload_of_a_plain_writer_is_read_strictly(store: Store, plain: Plain, payload: str) -> None:
    append(store, event(seq=1))
    plain.execute(INSERT, *columns(event(seq=2), payload=payload))

    with pytest.raises(InputError) as caught:
        stored(store)

    assert caught.value.code == "EVENT_UNREADABLE"
    assert "('t', 'Order', '1') at seq 2" in caught.value.message


def test_payload_of_a_plain_writer_may_be_spelled_in_any_way(store: Store, plain: Plain) -> None:
    text = '\n{ "total" : 1.50e2,\t"name":"\\u00e9" }'

    plain.execute(INSERT, *columns(event(), payload=text))

    assert stored(store)[0].payload == {"total": 150.0, "name": "é"}
    assert plain.execute("select payload from {event}") == [(text,)]


# ------------------------------------------------------------------------------------------- positions


def placed(store: Store, generation: int | None = None, upto: int | None = None) -> list[tuple[str, int, int]]:
    with store.reading("t") as reading:
        streams = reading.placed_streams(generation, upto_position=upto)
        return [
            (key[2], found.seq, position)
            for key, batches in streams
            for batch in batches
            for position, found in batch.pairs()
        ]


def test_placed_streams_tell_where_events_stand(store: Store) -> None:
    for written in (event("b"), event("a"), event("b", 2)):
        append(store, written)

    first, second, third = sorted(position for *_, position in placed(store))
    assert placed(store) == [("a", 1, second), ("b", 1, first), ("b", 2, third)]
    assert store.head("t").position == third


def test_placed_streams_up_to_a_position(store: Store) -> None:
    for written in (event("b"), event("a"), event("b", 2), event("c")):
        append(store, written)
    positions = sorted(position for *_, position in placed(store))

    found = [placed(store, upto=position) for position in (0, *positions, 2**63 - 1)]

    assert [[entry[:2] for entry in entries] for entries in found] == [
        [],
        [("b", 1)],
        [("a", 1), ("b", 1)],
        [("a", 1), ("b", 1), ("b", 2)],
        [("a", 1), ("b", 1), ("b", 2), ("c", 1)],
        [("a", 1), ("b", 1), ("b", 2), ("c", 1)],
    ]


def test_streams_that_begin_beyond_the_position_are_left_out(store: Store) -> None:
    append(store, event("b"))
    position = store.head("t").position
    append(store, event("a"))

    with store.reading("t") as reading:
        assert [key[2] for key, _ in reading.placed_streams(upto_position=position)] == ["b"]


def test_placed_streams_of_another_generation(store: Store) -> None:
    append(store, event())

    assert placed(store, 2) == []
    assert placed(store, 1) == placed(store)


# --------------------------------------------------------------------------------------------- settled


def test_settled_reading_sees_what_is_committed(store: Store) -> None:
    append(store, event())

    with store.reading("t", settled=True) as reading:
        append(store, event(seq=2))
        assert reading.head().count == 1


def test_settled_reading_leaves_the_tenant_open(store: Store, plain: Plain) -> None:
    with store.reading("t", settled=True):
        plain.execute(INSERT, *columns(event()))

    assert store.head("t").count == 1


def test_settled_reading_waits_for_writes_under_way(desk: Desk, store: Store, plain: Plain) -> None:
    """Where several write at once, one that commits late may stand before one that is seen already."""
    plain.begin()
    plain.execute(INSERT, *columns(event("early")))
    if not desk.one_writer:
        append(store, event("late"))
    seen: list[list[str]] = []

    def read() -> None:
        with desk.open() as other, other.reading("t", settled=True) as reading:
            seen.append([key[2] for key, _ in reading.streams()])

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(0.3)
    before = list(seen)
    plain.commit()
    reader.join(WAIT_S_MAX)

    if desk.one_writer:  # whoever commits later is given a larger position then
        assert before == seen == [[]]
    else:
        assert (before, seen) == ([], [["early", "late"]])


def test_settled_reading_of_an_unknown_tenant(store: Store) -> None:
    with pytest.raises(FenceError) as caught, store.reading("nobody", settled=True):
        pytest.fail("it was read")

    assert caught.value.code == "UNKNOWN_TENANT"


def test_last_position_is_of_one_tenant_and_generation(store: Store) -> None:
    add_tenant(store, "u")
    add_tenant(store, "v")
    append(store, event("1"))
    append(store, event("1", tenant_id="u"))
    append(store, event("2"))
    append(store, event("2", tenant_id="u"))

    found = {}
    for tenant_id in ("t", "u", "v"):
        with store.reading(tenant_id) as reading:
            assert (reading.last_position(), reading.last_position(2)) == (reading.head().position, 0)
            found[tenant_id] = reading.last_position()

    assert 0 == found["v"] < found["t"] < found["u"]
