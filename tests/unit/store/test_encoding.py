"""Rows and events as columns: digests that do not depend on batches, and decoding many at once as strictly as one."""

from __future__ import annotations

import pytest

from cicsc.canonical import canonical_bytes, sha256_hex
from cicsc.errors import InputError, StoreError
from cicsc.history.runs import encode_records
from cicsc.store.encoding import (
    EventDecoder,
    EventRow,
    RowsHasher,
    encode_text,
    event_rows,
    event_types,
    placed_rows,
    stored_bundle,
    stored_event,
    stored_event_types,
)
from cicsc.store.records import StagedEvents
from conformance.store.history import BUNDLE, event

ROWS = [(number, 0, "Order", f"{number}", 1, "created", "{}", number, "ann", None) for number in range(66_000)]


def digest(*sizes: int) -> tuple[int, str]:
    hasher, start = RowsHasher(), 0
    for size in sizes:
        hasher.update(ROWS[start : start + size])
        start += size
    hasher.update(ROWS[start:])
    return hasher.count, hasher.hexdigest()


def test_digest_of_rows_does_not_depend_on_batches() -> None:
    assert digest() == digest(1, 15, 16, 17, 0, 65_000) == digest(65_535) == digest(65_536)
    assert digest()[0] == len(ROWS)


def test_every_column_counts() -> None:
    row = ROWS[0]
    digests = set()
    for place, value in enumerate(row):
        changed = list(row)
        changed[place] = "other" if isinstance(value, str) or value is None else value + 1
        hasher = RowsHasher()
        hasher.update([tuple(changed)])  # type: ignore[list-item]
        digests.add(hasher.hexdigest())
    assert len(digests) == len(row)


PLAIN: EventRow = ("Order", "1", 1, "created", '{"a":[1,"x"]}', 5, "ann", None)


def with_payload(text: str, extra: str | None = None) -> EventRow:
    return (*PLAIN[:4], text, *PLAIN[5:7], extra)


@pytest.mark.parametrize(
    "rows",
    [
        [PLAIN],
        [PLAIN] * 300,
        [PLAIN, with_payload('{ "a" : 1 }')],
        [PLAIN, with_payload('{"a":\n1}')],
        [with_payload('{"a":1}', '{"b":2}'), PLAIN],
        [with_payload('{"a":' + "9" * 400 + "}")],
        [with_payload('{"a":' + "[" * 100 + "]" * 100 + "}"), PLAIN],
        [with_payload('{"a":1.50}'), with_payload('{"a":1e2}')],
        [with_payload('{"é":"\\u00e9 \\ud83e\\uddea"}')],
    ],
)
def test_many_are_decoded_as_each_by_itself(rows: list[EventRow]) -> None:
    columns = tuple(zip(*rows, strict=True))

    assert EventDecoder("t").events(columns) == [stored_event("t", row) for row in rows]


@pytest.mark.parametrize(
    "texts",
    [
        ['{"a":1,"a":2}'],
        ["[1]", "{}"],
        ['{"a":1},{"b":2}', "{}"],
        ['{"a":1}\n{"b":2}', ""],
        ['{"a":[1', "2]}", '{"b":1}\n{"c":1}'],
        ['{"a":"\\ud800"}'],
        ['{"a":' + "[" * 200 + "]" * 200 + "}"],
        ['{"a":NaN}'],
        ['{"a":1e999}'],
    ],
)
def test_what_is_no_strict_object_is_found_among_many(texts: list[str]) -> None:
    rows = [PLAIN, *map(with_payload, texts)]
    columns = tuple(zip(*rows, strict=True))

    with pytest.raises(InputError) as caught:
        EventDecoder("t").events(columns)

    assert caught.value.code == "EVENT_UNREADABLE"


def test_rows_of_a_stream_are_those_of_each_event() -> None:
    events = [
        event("1", 1, payload={"note": 'a\n"b"\\'}),
        event("1", 2, "paid", extra={"source": "web"}),
        event("1", 3),
    ]

    rows = zip([7, 8, 8], [0, 0, 1], event_rows("t", events), strict=True)
    expected = [(*place, *row) for *place, row in rows]
    assert placed_rows(StagedEvents([7, 8, 8], [0, 0, 1], events)) == expected
    assert placed_rows(StagedEvents([7, 8, 8], [0, 0, 1], encode_records(events))) == expected
    assert placed_rows(StagedEvents([], [], [])) == []


def test_event_types_of_a_bundle_that_is_as_stored_need_no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.store.encoding.parse_bundle", None)

    assert stored_event_types(BUNDLE.digest, encode_text(BUNDLE.document)) == set(event_types(BUNDLE))


def test_event_types_of_a_bundle_in_another_spelling() -> None:
    assert stored_event_types(BUNDLE.digest, f" {encode_text(BUNDLE.document)}") == set(event_types(BUNDLE))


@pytest.mark.parametrize(
    ("body", "document"),
    [
        ("{}", {}),
        ('{"core_ir":{"types":[]}}', {"core_ir": {"types": []}}),
        ("[", {}),
        (encode_text(BUNDLE.document), {}),
    ],
)
def test_event_types_of_what_is_no_bundle_or_another(body: str, document: dict[str, object]) -> None:
    with pytest.raises(StoreError) as caught:
        stored_event_types(sha256_hex(canonical_bytes(document)), body)
    assert caught.value.code == "STORE_DAMAGED"


def test_the_same_text_is_the_same_bundle_again() -> None:
    body = encode_text(BUNDLE.document)
    assert stored_bundle(BUNDLE.digest, body) is stored_bundle(BUNDLE.digest, str(body.encode(), "utf-8"))


def test_another_text_is_read_for_itself() -> None:
    stored_bundle(BUNDLE.digest, encode_text(BUNDLE.document))
    with pytest.raises(StoreError, match="found one that is not valid"):
        stored_bundle(BUNDLE.digest, "{}")
