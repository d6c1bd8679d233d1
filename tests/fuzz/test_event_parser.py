"""No bytes make the reader of histories fail otherwise than by its own errors, and it agrees with a plain strict parser."""

from __future__ import annotations

import codecs
import io
import json
import random
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cicsc.errors import InputError
from cicsc.history.sorted import open_history
from e2e.shop import history
from fuzz.mutation import Pieces, any_json, each_shard, inputs, marks, mutated_bytes, mutated_document, tried

pytestmark = marks

LINES = 30_000
ARRAYS = 24_000
VALUES = 6_000

EVENTS = [
    *history(),
    {
        **history()[0],
        "payload": {"é": ["\U0001f600", -0.0, 1e21, 10**30, None, {"a.b": '\\"\n'}]},
        "x": 1,
        "extra": {"y": [True]},
    },
    {**history()[1], "tenant_id": "", "entity_id": "a::b|c\0", "seq": 2.0, "ts": -(2**63)},
]
PIECES = Pieces(EVENTS)


def as_lines(events: list[Any], **options: Any) -> bytes:
    return b"".join(json.dumps(event, **options).encode() + b"\n" for event in events)


def compact(event: Any) -> bytes:
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


LINE_CORPUS = [
    as_lines(EVENTS),
    as_lines(EVENTS[:2], ensure_ascii=False).replace(b"\n", b"\r\n"),
    b"\n".join(map(compact, EVENTS)),
    codecs.BOM_UTF8 + compact(EVENTS[0]) + b"\n\n \n" + compact(EVENTS[3]),
    compact(EVENTS[5]),
    b"",
]
ARRAY_CORPUS = [
    json.dumps(EVENTS).encode(),
    json.dumps(EVENTS, indent=1, ensure_ascii=False).encode(),
    b"[" + b",".join(map(compact, EVENTS)) + b"]",
    b"[\n" + b" ,\n".join([*map(compact, EVENTS[:3]), b'"},{"', b"[[],{}]", b"1.5", b"null"]) + b"\n]\n",
    b"[]",
]


class InPieces(io.RawIOBase):
    """Bytes that come in pieces of any size, as a pipe gives them."""

    def __init__(self, data: bytes, chance: random.Random) -> None:
        self._data = data
        self._chance = chance

    def read(self, size: int = -1) -> bytes:
        size = self._chance.choice((1, 3, 17, 200, 5000))
        piece, self._data = self._data[:size], self._data[size:]
        return piece

    def seekable(self) -> bool:
        return False


def written(chance: random.Random, name: str) -> bytes:
    """Mutated events as sound text, written in one of the ways in which others write JSON."""
    separators = chance.choice(((",", ":"), (", ", ": "), (" ,\t", " : ")))
    events = [mutated_document(chance, event, PIECES) for event in chance.sample(EVENTS, chance.randrange(1, 4))]
    texts = [json.dumps(event, separators=separators, ensure_ascii=chance.random() < 0.5).encode() for event in events]
    if name == "lines":
        return chance.choice((b"\n", b"\r\n", b"\n\n")).join(texts)
    return b"[" + chance.choice((b",", b" ,\n", b",\r\n  ")).join(texts) + b"]"


Reading = tuple[int, int, list[tuple[Any, ...]]]


def read(monkeypatch: pytest.MonkeyPatch, stream: Any) -> Reading | None:
    """How many events and malformed values the product reads, and its streams, or nothing where it refuses the input."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
    try:
        with open_history("-") as found:
            streams = [(key, list(events)) for key, events in found.streams()]
            return found.events_count, found.malformed.total, streams
    except InputError as error:
        message = error.message
    assert "standard input" in message
    assert len(message) < 1_000
    return None


def strict(text: str) -> Any:
    """Decode as the standard library does, with what it lets pass refused."""
    value = json.loads(
        text, object_pairs_hook=_object, parse_constant=_refused, parse_int=_integer, parse_float=_double
    )
    json.dumps(value, ensure_ascii=False).encode()  # lone surrogates
    if _depth(value) > 128:
        raise ValueError("nested too deep")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key repeats")
    return dict(pairs)


def _refused(literal: str) -> Any:
    raise ValueError(literal)


def _integer(literal: str) -> int:
    if len(literal.lstrip("-")) > 1_000:
        raise ValueError("too many digits")
    return int(literal)


def _double(literal: str) -> float:
    if abs(float(literal)) == float("inf"):
        raise ValueError("too large")
    return float(literal)


def _depth(value: Any) -> int:
    if isinstance(value, dict | list):
        below = value.values() if isinstance(value, dict) else value
        return 1 + max(map(_depth, below), default=0)
    return 0


def expected(data: bytes) -> int | None:
    """How many values a plain reading finds, or nothing where it refuses the input; the format as of a name without ending."""
    try:
        text = data.removeprefix(codecs.BOM_UTF8).decode()
        if text.lstrip(" \t\n\r").startswith("["):
            return len(strict(text))
        return sum(1 for line in _lines(text) if (strict(line), True))
    except (ValueError, RecursionError):
        return None


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if line.strip(" \t\r"))


COMPRESSED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1")


def agrees(monkeypatch: pytest.MonkeyPatch, data: bytes, chance: random.Random) -> None:
    """The product accepts what the plain parser accepts and finds as many values, in whatever pieces they come."""
    whole = read(monkeypatch, io.BytesIO(data))
    assert read(monkeypatch, InPieces(data, chance)) == whole
    if not data.startswith(COMPRESSED):
        assert expected(data) == (None if whole is None else whole[0] + whole[1])
    if whole is not None:
        for _, events in whole[2]:
            assert events == sorted(events, key=lambda event: event.seq)


@each_shard
@pytest.mark.parametrize(("name", "corpus", "count"), [("lines", LINE_CORPUS, LINES), ("arrays", ARRAY_CORPUS, ARRAYS)])
def test_bytes(monkeypatch: pytest.MonkeyPatch, shard: int, name: str, corpus: list[bytes], count: int) -> None:
    accepted = 0
    for chance in inputs(name, shard, count):
        data = mutated_bytes(chance, corpus) if chance.random() < 0.6 else written(chance, name)
        tried(data, lambda data=data, chance=chance: agrees(monkeypatch, data, chance))
        accepted += expected(data) is not None
    assert accepted, "every input was refused, so nothing was read"


@each_shard
def test_values_from_memory(shard: int) -> None:
    for chance in inputs("values", shard, VALUES):
        values = [mutated_document(chance, event, PIECES) for event in EVENTS[:3]] + [any_json(chance)]
        tried(values, lambda values=values: taken(values))


def taken(values: list[Any]) -> None:
    try:
        with open_history(values) as found:
            assert found.events_count + found.malformed.total == len(values)
            assert sum(len(list(events)) for _, events in found.streams()) == found.events_count
    except InputError as error:
        assert "index" in error.message  # noqa: PT017 (that it is raised is not what is tested)


@pytest.mark.parametrize("data", [b"\r\x0c", b"\x0b\n", b"\x0c[]", b"\x0b{}", b"[\x0c]", b"\x1c\n\x1d", b"[]\x0b"])
def test_form_feeds_and_other_separators_are_no_space(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """JSON knows four kinds of space, Python many more."""
    assert read(monkeypatch, io.BytesIO(data)) is None
