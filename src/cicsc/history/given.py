"""Events that a program gives instead of text, held to what decoding would have made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import UNSET

from cicsc.canonical import EVENT_FIELDS
from cicsc.errors import InputError
from cicsc.history import texts
from cicsc.history.model import Event, event_fields, event_from_value
from cicsc.history.output import event_lines
from cicsc.history.plain import plain_value


def given_value(item: object, origin: str) -> object:
    """Return what an item of a caller's iterable would be, had it been decoded."""
    if isinstance(item, Event):
        extra: object = item.extra
        if extra is not UNSET and not isinstance(extra, dict):
            raise InputError("VALUE_NOT_JSON", f"cannot read {origin}: its extra fields are no object")
        if isinstance(extra, dict) and not extra.keys().isdisjoint(EVENT_FIELDS):
            raise InputError(
                "VALUE_NOT_JSON", f"cannot read {origin}: an extra field has the name of a field of events"
            )
        return plain_value(event_fields(item), origin)
    return plain_value(dict(item) if isinstance(item, Mapping) else item, origin)


def text_bytes(event: Event) -> int:
    """Return how many bytes the text of an event takes in a file of lines."""
    return len(event_lines([event])) - 1


def given_events(events: Iterable[object]) -> Iterator[Event]:
    """Yield events, each as it would be read again; raises InputError for what is none."""
    for index, item in enumerate(events):
        event = event_from_value(given_value(item, f"index {index}"))
        if not isinstance(event, Event):
            raise InputError(
                "MALFORMED_EVENT",
                f"cannot write the event at index {index}: {'; '.join(event)}",
                hint="nothing was written",
            )
        size = text_bytes(event)
        if size > texts.TEXT_BYTES_MAX:
            raise InputError(
                "TEXT_TOO_LONG",
                f"cannot write the event at index {index}: expected at most {texts.TEXT_BYTES_MAX} bytes of text, "
                f"found {size}",
                hint="nothing was written; keep what is so large elsewhere, and its name in the event",
            )
        yield event
