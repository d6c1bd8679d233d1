from __future__ import annotations

import pytest
from msgspec import UNSET

from cicsc.errors import InputError, StoreError, UsageError
from cicsc.history.model import Event
from cicsc.replay.snapshot import Snapshot
from cicsc.store.encoding import (
    decode_document,
    event_rows,
    snapshot_rows,
    stored_event,
    stored_snapshot,
)

EVENT = Event("t", "Order", "1", 1, "created", {"b": 10**40, "a": "é"}, -1, "ann", {"x": None})
ROW = ("Order", "1", 1, "created", '{"b":1' + "0" * 40 + ',"a":"é"}', -1, "ann", '{"x":null}')
SNAPSHOT = Snapshot("t", "Order", "1", "new", {"a": 10**40}, {}, None, 3)
SNAPSHOT_ROW = ("Order", "1", "new", '{"a":1' + "0" * 40 + "}", "{}", None, 3)


def test_event_becomes_columns_and_back() -> None:
    assert list(event_rows("t", [EVENT])) == [ROW]
    assert stored_event("t", ROW) == EVENT


def test_event_without_extra_fields() -> None:
    row = (*ROW[:-1], None)

    assert stored_event("t", row).extra is UNSET
    assert list(event_rows("t", [stored_event("t", row)])) == [row]


def test_snapshot_becomes_columns_and_back() -> None:
    assert list(snapshot_rows("t", [SNAPSHOT])) == [SNAPSHOT_ROW]
    assert stored_snapshot("t", SNAPSHOT_ROW) == SNAPSHOT


def test_other_tenants_are_refused() -> None:
    with pytest.raises(UsageError, match="an event of tenant 't' to tenant 'u'"):
        list(event_rows("u", [EVENT]))
    with pytest.raises(UsageError, match="a snapshot of tenant 't' to tenant 'u'"):
        list(snapshot_rows("u", [SNAPSHOT]))


@pytest.mark.parametrize("column", [4, 7], ids=["payload", "extra"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "null",
        '{"a":NaN}',
        '{"a":1,"a":1}',
        '{"a":"\\ud800"}',
        '{"a":1e999}',
        '{"a":' + 130 * "[" + 130 * "]" + "}",
        '{"a":1' + 1000 * "0" + "}",
    ],
    ids=lambda text: text[:16],
)
def test_text_that_is_no_strict_object(column: int, text: str) -> None:
    row = (*ROW[:column], text, *ROW[column + 1 :])

    with pytest.raises(InputError) as caught:
        stored_event("t", row)

    assert caught.value.code == "EVENT_UNREADABLE"
    assert "('t', 'Order', '1') at seq 1" in caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{ "a": 1 }', 1),
        ('{"a":1.50}', 1.5),
        ('{"a":"\\u00e9"}', "é"),
        ('{"a":' + 999 * "7" + "}", int(999 * "7")),
        ('{"a":"' + 200 * "[" + '"}', 200 * "["),
    ],
    ids=["spaces", "number", "escape", "digits", "brackets in a string"],
)
def test_strict_text_of_other_writers(text: str, value: object) -> None:
    assert stored_event("t", (*ROW[:4], text, *ROW[5:])).payload == {"a": value}


def test_own_document_that_cannot_be_read_is_damage() -> None:
    with pytest.raises(StoreError) as caught:
        decode_document("[1]", "receipt 'c1'")

    assert caught.value.code == "STORE_DAMAGED"
    assert "receipt 'c1'" in caught.value.message
