"""Events that a program gives, held to what decoding would have made of them."""

import msgspec
import pytest

from cicsc.errors import InputError
from cicsc.history import texts
from cicsc.history.given import given_events
from cicsc.history.model import Event, event_fields

EVENT = Event("t", "Account", "1", 1, "paid", {"amount": (1, 2)}, 5, "ann", {"trace": 1})


def test_events_are_given_as_they_would_be_read():
    (made,) = given_events([EVENT])
    assert made == msgspec.structs.replace(EVENT, payload={"amount": [1, 2]})
    assert next(given_events([{**msgspec.structs.asdict(EVENT), "seq": 1.0}])).seq == 1


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (msgspec.structs.replace(EVENT, extra={"ts": 1}), "cannot read index 0: an extra field has the name of a field of events"),
        (msgspec.structs.replace(EVENT, extra=[1]), "cannot read index 0: its extra fields are no object"),
        (msgspec.structs.replace(EVENT, ts=1.5), "cannot write the event at index 0: ts: expected an integer of at most 64 bits, found the number 1.5"),
        (7, "cannot write the event at index 0: expected an object, found the integer 7"),
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_event_is_told(item, told):
    with pytest.raises(InputError) as caught:
        list(given_events([item]))
    assert caught.value.message == told


def test_an_event_is_no_longer_than_its_text_may_be_in_a_file(monkeypatch):
    size = len(msgspec.json.encode(event_fields(EVENT)))
    monkeypatch.setattr(texts, "TEXT_BYTES_MAX", size)
    assert len(list(given_events([EVENT]))) == 1

    monkeypatch.setattr(texts, "TEXT_BYTES_MAX", size - 1)
    with pytest.raises(InputError) as caught:
        list(given_events([EVENT, EVENT]))
    assert (caught.value.code, caught.value.message) == (
        "TEXT_TOO_LONG",
        f"cannot write the event at index 0: expected at most {size - 1} bytes of text, found {size}",
    )
