"""Seeded mutation of bytes and of decoded documents, and what every fuzz run shares.

Each input follows from a seed and its number alone, so a failing one can be made again. `make full` tries all of the
inputs, CI a tenth and anybody else a fiftieth; `CICSC_FUZZ_SEED` chooses other inputs than the usual ones, for a longer hunt.
"""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from sizes import size

SEED = os.environ.get("CICSC_FUZZ_SEED", "cicsc")
SHARDS = 4
"""Parts of a run, so that several processes share it."""

OF_ALL = size(50, ci=10, full=1)
"""One of so many inputs is tried."""

each_shard = pytest.mark.parametrize("shard", range(SHARDS))
marks = pytest.mark.no_cover
"""The mark of a module of fuzz runs: they cover again what other tests cover."""

TOKENS: tuple[bytes, ...] = (
    *(bytes([byte]) for byte in b'{}[],:" \n\r\t\\\0\x7f\x80\xff-+.eE019'),
    b"null", b"true", b"false", b"NaN", b"Infinity", b"-Infinity", b"None", b"{}", b"[]", b'""', b"},{", b"}\n{", b"]\n[",
    b"1e400", b"-0", b"1e-400", b"0.1", b"2.0", b"9223372036854775808", b"-9223372036854775809", b"1E+2", b"00", b"7" * 1001,
    b"\\ud800", b"\\udc00", b"\\ud834\\udd1e", b"\\u0000", b"\\u00e9", b'\\"', b"\\\\", b"\xc3\xa9", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"[" * 130, b'{"a":' * 130, b"]" * 130, b"\x1f\x8b", b"PAR1", b"\x28\xb5\x2f\xfd",
    b'"seq":1', b'"payload":{}', b'"extra":{"a":1}', b'"tenant_id":"t",', b'"__class__"', b"//", b"/* */", b",,",
)  # fmt: skip
"""Pieces of text at which decoders part ways."""

SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2.0, 0.5, -0.0, 1e300, 2**53 + 1, 2**63, -(2**63) - 1, 10**999, "", "a", "é", "\U0001f600", "\0", "a.0.b",
    "__class__", "items", "drop", "string", "Order", "new", "open", "x" * 300,
)  # fmt: skip


def seeded(name: str, shard: int) -> random.Random:
    """The source of chance of a part of a run."""
    return random.Random(f"{SEED} {name} {shard}")


def inputs(name: str, shard: int, in_full: int) -> Iterator[random.Random]:
    """As many sources of chance as a part of the run has inputs; `in_full` counts those of all parts of the full run."""
    chance = seeded(name, shard)
    for _ in range(in_full // SHARDS // OF_ALL):
        yield random.Random(chance.getrandbits(64))


def tried(data: object, attempt: Callable[[], None]) -> None:
    """Make an attempt; whatever it raises fails the test with the input, in a form that can be pasted into one."""
    try:
        attempt()
    except Exception as error:  # noqa: BLE001 (whatever it is, the input has to be told)
        shown = repr(data)
        pytest.fail(f"{type(error).__name__}: {error}\nthe input: {shown[:20_000]}", pytrace=len(shown) < 20_000)


def mutated_bytes(chance: random.Random, corpus: Sequence[bytes]) -> bytes:
    """One of the texts with a few pieces changed, moved, repeated, cut or put in."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((1, 1, 2, 4, 16, 200)))
        match chance.randrange(9):
            case 0 if data:
                data[min(start, len(data) - 1)] ^= 1 << chance.randrange(8)
            case 1:
                data[start:end] = b""
            case 2:
                data[start:start] = data[start:end] * chance.choice((1, 2, 150))
            case 3:
                other = chance.choice(corpus)
                begin = chance.randrange(len(other) + 1)
                data[start:end] = other[begin : begin + chance.choice((1, 8, 64, 1000))]
            case 4:
                del data[start:]
            case 5:
                piece = bytes(data[start:end])
                del data[start:end]
                place = chance.randrange(len(data) + 1)
                data[place:place] = piece
            case 6:
                data[start:end] = chance.choice(TOKENS)
            case _:
                data[start:start] = chance.choice(TOKENS)
    return bytes(data)


def steps_of(value: object, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every place of a document below its root."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in entries:
        yield (*above, step)
        yield from steps_of(below, (*above, step))


def value_at(document: Any, steps: tuple[Any, ...]) -> Any:
    for step in steps:
        document = document[step]
    return document


def any_json(chance: random.Random, depth: int = 3) -> Any:
    """Any JSON value, mostly small."""
    match chance.randrange(6 if depth else 4):
        case 4:
            return [any_json(chance, depth - 1) for _ in range(chance.randrange(4))]
        case 5:
            return {str(chance.choice(SCALARS))[:9]: any_json(chance, depth - 1) for _ in range(chance.randrange(4))}
    return chance.choice(SCALARS)


class Pieces:
    """Parts of documents by their shape, so that one can take the place of another and make sense there."""

    def __init__(self, documents: Sequence[Any]) -> None:
        self.all = [value_at(document, steps) for document in documents for steps in steps_of(document)]
        self._by_shape: dict[object, list[Any]] = {}
        for piece in self.all:
            self._by_shape.setdefault(_shape(piece), []).append(piece)

    def like(self, chance: random.Random, value: object) -> Any:
        """A copy of a piece of the same shape as the value, or the value where there is none."""
        return copy.deepcopy(chance.choice(self._by_shape.get(_shape(value), [value])))


def _shape(value: object) -> object:
    if isinstance(value, dict):
        return "tagged" if len(value) == 1 else frozenset(value)
    return type(value)


def mutated_document(chance: random.Random, document: Any, pieces: Pieces) -> Any:
    """A copy of a document of which some places hold another value, one of the pieces, or nothing any more."""
    document = copy.deepcopy(document)
    likely = chance.random() < 0.5
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = list(steps_of(document))
        if not places:
            return any_json(chance)
        steps = chance.choice(places)
        holder = value_at(document, steps[:-1])
        if likely:
            holder[steps[-1]] = pieces.like(chance, holder[steps[-1]])
        else:
            _spoil(chance, holder, steps[-1], pieces, value_at(document, chance.choice(places)))
    return document


def _spoil(chance: random.Random, holder: Any, step: Any, pieces: Pieces, other: Any) -> None:
    """Change one place with no regard to what belongs there; `other` is what stands elsewhere in the document."""
    match chance.randrange(7):
        case 0:
            del holder[step]
        case 1 if isinstance(holder, dict):
            holder[str(chance.choice(SCALARS))] = holder.pop(step)
        case 2:
            holder[step] = copy.deepcopy(other)
        case 3:
            holder[step] = any_json(chance)
        case 4 if isinstance(holder, dict):
            holder[chance.choice(("items", "__class__", "drop", "types", "expr"))] = any_json(chance)
        case 5 if isinstance(holder, list):
            holder.extend(copy.deepcopy(holder))
        case _:
            holder[step] = copy.deepcopy(chance.choice(pieces.all))
