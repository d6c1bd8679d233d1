"""Texts that were cut in the middle of a character: programs in other languages escape the half that is left of it."""

from __future__ import annotations

import pytest

from cicsc.errors import InputError
from cicsc.store.protocol import Store
from conformance.store.desk import Desk, Plain, RefusedError
from conformance.store.history import INSERT, append, columns, event, stored
from conformance.store.test_fence import refusal

WITH_EXTRA = INSERT.replace("actor_id)", "actor_id, extra)").replace("?)", "?, ?)")
TWO = INSERT + ", (?, ?, ?, ?, ?, ?, ?, ?, ?)"

HALVES = {
    "high": r'{"a": "\ud83d"}',
    "low": r'{"a": "\uDE00"}',
    "wrong way round": r'{"a": "\ude00\ud83d"}',
    "high before a pair": r'{"a": "\ud83d\ud83d\ude00"}',
    "low after a pair": r'{"a": "\ud83d\ude00\ude00"}',
    "apart": r'{"a": "\ud83d \ude00"}',
    "in two texts": r'{"a": "\ud83d", "b": "\ude00"}',
    "key": r'{"\uDBFF": 1}',
    "deep": r'{"a": [1, {"b": ["\uDFFF"]}]}',
    "after an escaped backslash": r'{"a": "\\\ud83d"}',
    "before an escaped backslash": r'{"a": "\ud83d\\ude00"}',
    "after NUL": r'{"a": "\u0000\ud83d"}',
    "beside the replacement character": '{"a": "\ufffd\\ud83d"}',
}
WHOLE = {
    "pair": r'{"a": "\ud83d\ude00"}',
    "pairs in capitals": r'{"\uD83D\uDE00": "\uD83D\uDE00\uD83D\uDE00"}',
    "escaped backslash": r'{"a": "\\ud83d"}',
    "escaped backslashes": r'{"a": "\\\\ud83d", "b": "\\"}',
    "NUL": r'{"a": "\u0000\\u0000"}',
    "neighbours": r'{"a": "\ud7ff\ue000"}',
    "replacement character": '{"a": "\\u0041\ufffd\\ufffd\\ufffe\\uffff\uffff"}',
}


@pytest.mark.parametrize("payload", HALVES.values(), ids=HALVES)
def test_half_of_a_character_is_refused(store: Store, plain: Plain, payload: str) -> None:
    append(store, event(seq=1))

    assert refusal(plain, INSERT, *columns(event(seq=2), payload=payload)) == "LONE_SURROGATE"
    assert [found.seq for found in stored(store)] == [1]


@pytest.mark.parametrize("payload", WHOLE.values(), ids=WHOLE)
def test_whole_characters_are_let_in_and_read(store: Store, plain: Plain, payload: str) -> None:
    plain.execute(WITH_EXTRA, *columns(event(seq=1), payload=payload), payload)

    (found,) = stored(store)
    assert found.payload == found.extra


def test_half_of_a_character_among_fields_of_the_writers_own_is_refused(store: Store, plain: Plain) -> None:
    assert refusal(plain, WITH_EXTRA, *columns(event()), r'{"by": "\ud83d"}') == "LONE_SURROGATE"


def test_one_event_of_several_with_half_of_a_character_stops_all(store: Store, plain: Plain) -> None:
    first, second = columns(event(seq=1)), columns(event(seq=2), payload=HALVES["high"])

    with pytest.raises(RefusedError) as caught:
        plain.execute(TWO, *first, *second)

    assert (caught.value.code, store.head("t").count) == ("LONE_SURROGATE", 0)


def test_half_of_a_character_that_was_let_in_before_is_named(desk: Desk, store: Store, plain: Plain) -> None:
    append(store, event(seq=1))
    desk.weaken_fence(plain)
    plain.execute(INSERT, *columns(event(seq=2), payload=HALVES["high"]))
    store.reinstall_fence(actor_id="ann")

    with pytest.raises(InputError) as caught:
        stored(store)

    assert (caught.value.code, "at seq 2" in caught.value.message) == ("EVENT_UNREADABLE", True)
