"""Compressed inputs that are damaged, mislabelled, or far larger than they look."""

from __future__ import annotations

import gzip
import resource
from collections.abc import Callable

import pytest
import zstandard

from bad_input.desk import Desk, dry_run, verify

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": lambda data: gzip.compress(data, mtime=0),
    "zst": zstandard.ZstdCompressor(level=1).compress,
}
NAMES = {"gz": "gzip", "zst": "zstd"}
MEMORY_BYTES_MAX = 600 * 2**20
BOMB_SECONDS_MAX = 4
"""Of processor time; each of the bombs takes about a quarter of it."""

each_format = pytest.mark.parametrize("ending", PACK)


def everything(events: str) -> tuple[str, ...]:
    return dry_run("--artifact", "a.json", "--out-events", "e.jsonl.gz", "--out-positions", "p.csv", events=events)


@each_format
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, -9, -1])
def test_truncated_data(desk: Desk, ending: str, kept: float) -> None:
    packed = PACK[ending](desk.read("events.v0.json"))
    size = int(kept * len(packed)) if kept > 0 else len(packed) + int(kept)
    name = desk.put(f"cut.json.{ending}", packed[:size])
    error = desk.refuses(
        *everything(name), code="COMPRESSION_TRUNCATED", says=(f"'{name}'", NAMES[ending], "too early")
    )

    assert "incomplete" in error["hint"]


@each_format
def test_truncation_between_two_whole_lines(desk: Desk, ending: str) -> None:
    """The text that can be had would be a smaller history without a fault, which is why truncation must be told."""
    lines = b'{"tenant_id":"t","entity_type":"Order","entity_id":"o","seq":1,"event_type":"placed","payload":{},"ts":1,"actor_id":"a"}\n'
    if ending == "gz":
        packed = gzip.compress(lines)[:-8]
    else:
        writer = zstandard.ZstdCompressor().compressobj()
        packed = writer.compress(lines) + writer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    desk.refuses(*verify(desk.put(f"cut.jsonl.{ending}", packed)), code="COMPRESSION_TRUNCATED")


@each_format
def test_damaged_data(desk: Desk, ending: str) -> None:
    writer = zstandard.ZstdCompressor(write_checksum=True) if ending == "zst" else None
    packed = bytearray(
        writer.compress(desk.read("events.v0.json")) if writer else PACK["gz"](desk.read("events.v0.json"))
    )
    packed[-6] ^= 0xFF  # in the checksum, or right before it
    desk.refuses(
        *everything(desk.put(f"bad.json.{ending}", bytes(packed))),
        code="COMPRESSION_INVALID",
        says=("'bad.json.", f"invalid {NAMES[ending]} data"),
    )


@each_format
def test_nothing_where_compressed_data_was_promised(desk: Desk, ending: str) -> None:
    name = desk.put(f"e.jsonl.{ending}", b"")
    desk.refuses(*verify(name), code="COMPRESSION_INVALID", says=f"expected {NAMES[ending]} data, found no data")


@each_format
def test_other_data_where_compressed_data_was_promised(desk: Desk, ending: str) -> None:
    name = desk.put(f"e.json.{ending}", desk.read("events.v0.json"))
    error = desk.refuses(
        *verify(name), code="COMPRESSION_INVALID", says=f"expected {NAMES[ending]} data, found other data"
    )

    assert NAMES[ending] in error["hint"]


@each_format
def test_the_other_compression_than_was_promised(desk: Desk, ending: str) -> None:
    (other,) = PACK.keys() - {ending}
    name = desk.put(f"e.json.{ending}", PACK[other](desk.read("events.v0.json")))
    desk.refuses(*verify(name), code="COMPRESSION_INVALID", says=f"expected {NAMES[ending]} data")


@each_format
def test_compressed_data_that_is_not_promised_is_recognised(desk: Desk, ending: str) -> None:
    assert desk.does(*verify(desk.put("e.json", PACK[ending](desk.read("events.v0.json")))))["events"] == 5


@each_format
def test_surplus_after_compressed_data(desk: Desk, ending: str) -> None:
    packed = PACK[ending](desk.read("events.v0.json"))
    desk.refuses(
        *verify(desk.put(f"e.json.{ending}", packed + b"surplus")),
        code="COMPRESSION_INVALID",
        says=f"'e.json.{ending}'",
    )


@each_format
def test_compressed_twice(desk: Desk, ending: str) -> None:
    packed = PACK[ending](PACK[ending](desk.read("events.v0.json")))
    code = "JSON_ENCODING" if ending == "gz" else "JSON_INVALID"
    desk.refuses(*verify(desk.put(f"e.json.{ending}", packed)), code=code, says=f"'e.json.{ending}'")


@each_format
def test_compressed_nothing(desk: Desk, ending: str) -> None:
    assert desk.does(*verify(desk.put(f"e.jsonl.{ending}", PACK[ending](b""))))["events"] == 0
    desk.refuses(*verify(desk.put(f"e.json.{ending}", PACK[ending](b""))), code="HISTORY_EMPTY")


@each_format
def test_compressed_bundle_is_no_json(desk: Desk, ending: str) -> None:
    name = desk.put(f"b.json.{ending}", PACK[ending](desk.read("bundle.v0.json")))
    desk.refuses(*dry_run(source=name), code="JSON_ENCODING", says=(f"'{name}'", "expected UTF-8"))


def test_zstd_that_asks_for_too_much_memory(desk: Desk) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30, compression_level=1)
    writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    name = desk.put("e.jsonl.zst", writer.compress(b"\n") + writer.flush())
    desk.refuses(*verify(name), code="COMPRESSION_INVALID", says=f"'{name}'")


BOMBS = {
    "one-endless-line": ("gz", "e.jsonl", b"", b"0" * 2**20, 4096, "TEXT_TOO_LONG"),
    "one-endless-line-in-zstd": ("zst", "e.jsonl", b"", b"0" * 2**20, 4096, "TEXT_TOO_LONG"),
    "one-endless-element": ("gz", "e.json", b"[", b"0" * 2**20, 4096, "TEXT_TOO_LONG"),
    "one-endless-string": ("zst", "e.json", b'["', b"a" * 2**20, 4096, "TEXT_TOO_LONG"),
    "one-endless-object": ("gz", "e.json", b'[{"a": [0', b",0" * 2**19, 4096, "TEXT_TOO_LONG"),
    "brackets": ("gz", "e.json", b"", b"[" * 2**20, 4096, "JSON_NESTING"),
    "zeros": ("zst", "e.jsonl", b"", b"\0" * 2**20, 4096, "JSON_ENCODING"),
    "spaces-in-an-array": ("gz", "e.json", b"[", b" " * 2**20, 96, "JSON_INVALID"),
    "blank-lines": ("zst", "e.jsonl", b"", b"\n" * 2**20, 2, "JSON_INVALID"),
    "scalars-in-an-array": ("gz", "e.json", b"[0", b",0" * 2**15, 1, "JSON_INVALID"),
}
"""Texts by the way they are packed, the file, what they begin with, the piece that they repeat, how often, and the outcome."""


def bomb(ending: str, head: bytes, piece: bytes, pieces: int) -> bytes:
    """A text of megabytes or gigabytes that takes almost no space and ends in a fault, its bulk compressed only once."""
    parts = [PACK[ending](part) for part in (head, piece, b"{")]
    return parts[0] + parts[1] * pieces + parts[2]


@pytest.mark.parametrize(
    "shape",
    [pytest.param(shape, marks=[] if shape in {"brackets", "blank-lines"} else pytest.mark.slow) for shape in BOMBS],
)
def test_decompression_bomb_takes_neither_memory_nor_long(desk: Desk, shape: str) -> None:
    ending, name, head, piece, pieces, code = BOMBS[shape]
    name = desk.put(f"{name}.{ending}", bomb(ending, head, piece, pieces))
    before = desk.state()
    said = desk.run(*verify(name), before=limits(processor_seconds=BOMB_SECONDS_MAX))

    desk.refused(said, before, code=code, says=f"'{name}'")


def test_memory_that_does_not_suffice_is_work_not_done(desk: Desk) -> None:
    """The text of one event is bounded, but decoded it may take many times that."""
    payload = b'{"a": [' + b"[]," * 4_000_000 + b"[]]}"
    event = desk.read("events.v0.json")[1:].partition(b"}, {")[0].replace(b'{"total": 12}', payload)
    name = desk.put("e.jsonl.gz", gzip.compress(event + b"}", compresslevel=1))
    before = desk.state()
    said = desk.run(*verify(name), before=limits(memory_bytes=300 * 2**20))

    desk.refused(said, before, code="OUT_OF_MEMORY", exit_code=3, says="memory")


def limits(memory_bytes: int = MEMORY_BYTES_MAX, processor_seconds: int = 60) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds, processor_seconds))

    return limit
