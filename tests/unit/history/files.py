"""The events of a small history, and the files in which they are laid out in every way that is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cicsc.errors import InputError
from cicsc.history.sorted import open_history
from unit.history.events import compact, fields

EVENTS = [
    fields(entity_id="1", seq=1, payload={"text": 'a "b" \\ }, { é \U0001f600', "n": [1, 2.5, {"x": None}]}),
    fields(entity_id="1", seq=2, payload={"big": 10**40, "float": 1.5e-7}, ts=-1),
    fields(entity_id="2::|\n\0", seq=1, trace={"id": [1]}, extra={"extra": 1}),
    fields(entity_id="3", seq=1, payload={"a": {"b": [[], {}]}}),
]
EXPECTED = [
    (("t", "Order", "1"), EVENTS[:2]),
    (("t", "Order", "2::|\n\0"), EVENTS[2:3]),
    (("t", "Order", "3"), EVENTS[3:]),
]
LINES = "".join(compact(event) + "\n" for event in EVENTS)

LAYOUTS = {
    "lines.jsonl": LINES,
    "lines.ndjson": LINES,
    "no-last-newline.jsonl": LINES.removesuffix("\n"),
    "carriage-returns.jsonl": LINES.replace("\n", "\r\n"),
    "last-carriage-return.jsonl": LINES.removesuffix("\n") + "\r",
    "blank-lines.jsonl": "\n \n" + LINES.replace("\n", "\n\t\r\n\n"),
    "spaces.jsonl": "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in EVENTS),
    "escapes.jsonl": "".join(json.dumps(event) + " \n" for event in EVENTS),
    "other-order.jsonl": "".join(json.dumps(event, sort_keys=True) + "\n" for event in EVENTS),
    "byte-order-mark.jsonl": "\ufeff" + LINES,
    "unknown-ending": LINES,
    "unknown-ending.log": "\n" + LINES,
    "one-line.json": compact(EVENTS),
    "spaced-line.json": json.dumps(EVENTS),
    "line-each.json": "[\n" + ",\n".join(map(compact, EVENTS)) + "\n]\n",
    "comma-first.json": "[" + "\n,".join(map(compact, EVENTS)) + "]",
    "indented.json": json.dumps(EVENTS, indent=2),
    "indented-carriage-returns.json": json.dumps(EVENTS, indent="\t").replace("\n", "\r\n"),
    "byte-order-mark.json": "\ufeff" + compact(EVENTS),
    "array": "  " + compact(EVENTS),
}


def put(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def refusal(source: str | Path) -> InputError:
    with pytest.raises(InputError) as raised:
        open_history(source)
    return raised.value
