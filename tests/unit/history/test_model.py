"""The check that a decoded value is an event names every wrong field."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from cicsc.history.model import Event, event_fields, event_from_value, stream_key

FIELDS: dict[str, object] = {
    "tenant_id": "t",
    "entity_type": "Order",
    "entity_id": "1",
    "seq": 1,
    "event_type": "paid",
    "payload": {"sum": 1},
    "ts": -5,
    "actor_id": "me",
}


def made(value: object) -> Event:
    event = event_from_value(value)
    assert isinstance(event, Event)
    return event


def test_event_holds_the_eight_fields() -> None:
    event = made(FIELDS)
    assert event == Event("t", "Order", "1", 1, "paid", {"sum": 1}, -5, "me")
    assert event.extra is UNSET
    assert stream_key(event) == ("t", "Order", "1")


def test_other_fields_travel_as_extra_fields() -> None:
    event = made({"trace": [1], **FIELDS, "extra": {"extra": 1}})
    assert event.extra == {"trace": [1], "extra": {"extra": 1}}
    assert event_fields(event) == {**FIELDS, "trace": [1], "extra": {"extra": 1}}
    assert list(event_fields(event)) == [*FIELDS, "trace", "extra"]


def test_integral_floats_are_integers() -> None:
    event = made({**FIELDS, "seq": 3.0, "ts": -0.0})
    assert (event.seq, event.ts) == (3, 0)
    assert (type(event.seq), type(event.ts)) == (int, int)


@pytest.mark.parametrize("integer", [2**63 - 1, -(2**63)])
def test_integers_of_64_bits_are_accepted(integer: int) -> None:
    event = made({**FIELDS, "seq": integer, "ts": integer})
    assert (event.seq, event.ts) == (integer, integer)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (True, "true"),
        (False, "false"),
        (None, "null"),
        (1.5, "the number 1.5"),
        (2**63, "an integer beyond 64 bits"),
        (-(2**63) - 1, "an integer beyond 64 bits"),
        (2.0**63, "the number 9.223372036854776e+18"),
        ("1", "a string"),
        ([], "an array"),
        ({}, "an object"),
    ],
)
def test_what_is_no_integer_is_named(value: object, found: str) -> None:
    assert event_from_value({**FIELDS, "seq": value}) == (
        f"seq: expected an integer of at most 64 bits, found {found}",
    )


@pytest.mark.parametrize("field", ["tenant_id", "entity_type", "entity_id", "event_type", "actor_id"])
def test_what_is_no_string_is_named(field: str) -> None:
    assert event_from_value({**FIELDS, field: 7}) == (f"{field}: expected a string, found the integer 7",)


def test_payload_must_be_an_object() -> None:
    assert event_from_value({**FIELDS, "payload": []}) == ("payload: expected an object, found an array",)


def test_every_wrong_field_is_named() -> None:
    faults = event_from_value({"seq": 1, "payload": None})
    assert isinstance(faults, tuple)
    assert [fault.partition(":")[0] for fault in faults] == [name for name in FIELDS if name != "seq"]
    assert faults[0] == "tenant_id: expected a string, found nothing"


@pytest.mark.parametrize(
    ("value", "found"), [(None, "null"), (7, "the integer 7"), ("{}", "a string"), ([FIELDS], "an array")]
)
def test_what_is_no_object_is_no_event(value: object, found: str) -> None:
    assert event_from_value(value) == (f"expected an object, found {found}",)
