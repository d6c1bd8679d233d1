"""Every format and compression gives the same history; every damage gives a clear error."""

from __future__ import annotations

import gzip
import io
import os
import random
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from cicsc.errors import InputError
from cicsc.history import texts
from cicsc.history.array import array_batches
from cicsc.history.lines import line_batches
from cicsc.history.model import event_from_value
from cicsc.history.sorted import open_history
from unit.history.events import Fields, compact, fields, read
from unit.history.files import EXPECTED, LAYOUTS, LINES, put, refusal


@pytest.mark.usefixtures("chunk_bytes")
@pytest.mark.parametrize("name", LAYOUTS)
def test_layout_is_read(tmp_path: Path, name: str) -> None:
    assert read(put(tmp_path, name, LAYOUTS[name])) == EXPECTED


@pytest.mark.usefixtures("chunk_bytes")
@pytest.mark.parametrize("name", ["lines.jsonl", "indented.json", "byte-order-mark.json"])
@pytest.mark.parametrize("named", [True, False])
def test_compressed_layout_is_read(tmp_path: Path, name: str, named: bool) -> None:
    data = LAYOUTS[name].encode()
    half = len(data) // 2
    members = gzip.compress(data[:half]) + b"\0\0" + gzip.compress(data[half:]) + b"\0"
    frames = zstandard.compress(data[:half]) + zstandard.compress(data[half:])
    assert read(put(tmp_path, name + ".gz" * named, members)) == EXPECTED
    assert read(put(tmp_path, name + ".zst" * named, frames)) == EXPECTED


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize("name", ["lines.jsonl", "one-line.json", "byte-order-mark.jsonl", "array"])
def test_standard_input_is_recognised(
    monkeypatch: pytest.MonkeyPatch, name: str, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(LAYOUTS[name].encode()))))
    assert read("-") == EXPECTED


def test_named_pipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe.jsonl"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(LINES,))
    writer.start()
    assert read(path) == EXPECTED
    writer.join()


@pytest.mark.slow
@pytest.mark.parametrize("lost", [len(LINES) // 2, 0])
def test_file_that_is_written_to_is_an_error(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(LINES)
    os.utime(path, ns=(0, 0))

    def noted(*_: object) -> None:
        path.write_text(LINES[: len(LINES) - lost])

    with pytest.raises(InputError) as raised:
        open_history(path, progress=SimpleNamespace(begin=lambda *_: None, note=noted))
    assert raised.value.code == "FILE_CHANGED"


def test_text_that_compresses_extremely_well_is_read_in_pieces(tmp_path: Path) -> None:
    text = b"\n" * 8_000_000 + LINES.encode()
    assert read(put(tmp_path, "lines.jsonl.zst", zstandard.compress(text))) == EXPECTED
    assert read(put(tmp_path, "lines.jsonl.gz", gzip.compress(text))) == EXPECTED


@pytest.mark.parametrize("name", ["f.jsonl", "f.ndjson", "f", "f.log"])
def test_empty_file_is_an_empty_history(tmp_path: Path, name: str) -> None:
    assert read(put(tmp_path, name, "")) == []


def test_empty_array_is_an_empty_history(tmp_path: Path) -> None:
    assert read(put(tmp_path, "f.json", " [ ] ")) == []


def test_empty_standard_input_is_an_empty_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert read("-") == []


@pytest.mark.parametrize("data", ["", "\ufeff"])
def test_empty_json_file_is_an_error(tmp_path: Path, data: str) -> None:
    error = refusal(put(tmp_path, "f.json", data))
    assert (error.code, error.exit_code) == ("HISTORY_EMPTY", 2)


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.jsonl")
    assert error.code == "FILE_NOT_FOUND"
    assert error.message == f"cannot open {str(tmp_path / 'none.jsonl')!r}: there is no such file"


def test_impossible_path_is_an_error() -> None:
    assert refusal("a\0b").code == "FILE_NOT_FOUND"


def test_folder_is_an_error(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "NOT_A_FILE"


def test_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    assert refusal(put(tmp_path, "f", "") / "events.jsonl").message.endswith("not a directory")


def test_file_that_cannot_be_read_is_an_error() -> None:
    error = refusal("/proc/self/mem")
    assert error.code == "FILE_UNREADABLE"
    assert error.message.startswith("cannot read '/proc/self/mem': ")


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize(("data", "found"), [(b"", "no data"), (LINES.encode(), "other data")])
def test_ending_that_promises_compression_is_held_to_it(tmp_path: Path, ending: str, data: bytes, found: str) -> None:
    error = refusal(put(tmp_path, f"f.jsonl{ending}", data))
    assert error.code == "COMPRESSION_INVALID"
    assert error.message.endswith(f"found {found}")


def noise() -> bytes:
    draw = random.Random(7)
    return compact(fields(payload={"noise": draw.randbytes(6_000).hex()})).encode() + b"\n"


@pytest.mark.usefixtures("chunk_bytes")
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("cut", [1, *(pytest.param(cut, marks=pytest.mark.slow) for cut in (4, 9)), 5000])
def test_truncated_compression_is_an_error(tmp_path: Path, pack: Callable[[bytes], bytes], cut: int) -> None:
    error = refusal(put(tmp_path, "f.jsonl", pack(noise())[:-cut]))
    assert error.code == "COMPRESSION_TRUNCATED"
    assert error.message.endswith("data ends too early")


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_something_after_the_compressed_data_is_an_error(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    error = refusal(put(tmp_path, "f.jsonl", pack(LINES.encode()) + b"something else"))
    assert error.code == "COMPRESSION_INVALID"


def test_wrong_checksum_is_an_error(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LINES.encode()))
    packed[-8] ^= 1
    error = refusal(put(tmp_path, "f.jsonl.gz", bytes(packed)))
    assert error.message.endswith("invalid gzip data (incorrect data check)")
    packed = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(LINES.encode()))
    packed[-1] ^= 1
    error = refusal(put(tmp_path, "f.jsonl.zst", bytes(packed)))
    assert error.message.endswith("invalid zstd data (restored data doesn't match checksum)")


def test_raw_deflate_is_not_taken_for_gzip(tmp_path: Path) -> None:
    assert refusal(put(tmp_path, "f.jsonl", zlib.compress(LINES.encode()))).code == "JSON_ENCODING"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
@pytest.mark.parametrize("name", ["f.jsonl", "f.json", "f"])
def test_wide_text_gets_a_hint(tmp_path: Path, name: str, encoding: str) -> None:
    error = refusal(put(tmp_path, name, LINES.encode(encoding)))
    assert error.hint is not None
    assert "iconv" in error.hint


@pytest.mark.parametrize(
    ("line", "code", "place"),
    [
        ('{"seq":NaN}', "JSON_NUMBER", "line 5, column 8"),
        ('{"seq":1,"seq":1}', "JSON_DUPLICATE_KEY", "line 5, column 10"),
        (' {"a":"\\ud800"}', "JSON_SURROGATE", "line 5, column 7"),
        ('{"a":1', "JSON_INVALID", "line 5, column 7"),
        ("[" * 10**5, "JSON_NESTING", "line 5, column 129"),
        ("1" * 10**6, "JSON_NUMBER", "line 5, column 1"),
        (compact(fields(payload={"a": 1}))[:-1] + ',"ts":2}', "JSON_DUPLICATE_KEY", "line 5, column 125"),
        (compact(fields()).replace("{}", '{"a":' + "1" * 1001 + "}"), "JSON_NUMBER", "line 5, column 99"),
    ],
)
def test_undecodable_line_is_named(tmp_path: Path, line: str, code: str, place: str) -> None:
    path = put(tmp_path, "f.jsonl", LINES + line + "\n" + LINES)
    error = refusal(path)
    assert error.code == code
    assert error.message.startswith(f"cannot decode {str(path)!r} at {place}: ")


def test_invalid_utf8_in_a_line_is_named(tmp_path: Path) -> None:
    error = refusal(put(tmp_path, "f.jsonl", LINES.encode() + compact(fields()).encode().replace(b"me", b"\xff")))
    assert "at line 5, column " in error.message
    assert error.code == "JSON_ENCODING"


@pytest.mark.usefixtures("chunk_bytes")
@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("f.jsonl", LINES + '"' + "x" * 300 + '"\n' + LINES, "line 5"),
        ("f.jsonl", '"' + "x" * 300, "line 1"),
        ("f.json", '[1,\n"' + "x" * 300 + '"]', "index 1 line 2"),
        ("f.json", '[1,\n{"a":"' + "x" * 300 + '"},{}]', "index 1 line 2"),
        ("f.json", "[" + "x" * 300, "index 0 line 1"),
    ],
)
def test_text_that_is_too_long_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, place: str
) -> None:
    monkeypatch.setattr(texts, "TEXT_BYTES_MAX", 250)
    path = put(tmp_path, name, text)
    error = refusal(path)
    assert error.code == "TEXT_TOO_LONG"
    assert error.message.startswith(f"cannot read {str(path)!r} {place}: expected an event of at most 250 bytes")


def test_text_of_the_longest_length_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "TEXT_BYTES_MAX", max(map(len, LINES.encode().splitlines())))
    assert read(put(tmp_path, "f.jsonl", LINES)) == EXPECTED
    assert read(put(tmp_path, "f.json", LAYOUTS["one-line.json"])) == EXPECTED


def prefixed(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield b"["
    yield from chunks


def test_endless_line_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "TEXT_BYTES_MAX", 1000)
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 100

    for split in (line_batches, array_batches):
        taken = 0
        with pytest.raises(InputError):
            list(split(endless() if split is line_batches else prefixed(endless()), "f"))
        assert taken <= 20


@pytest.mark.parametrize("layout", ["lines", "array"])
def test_what_is_no_event_is_a_finding(tmp_path: Path, layout: str) -> None:
    values: list[object] = [fields(), 3, None, [fields()], {**fields(), "seq": True}, {"tenant_id": "u"}, "x"]
    good = fields(seq=2)
    parts = list(map(compact, [*values, good]))
    path = (
        put(tmp_path, "f.jsonl", "\n".join(parts))
        if layout == "lines"
        else put(tmp_path, "f.json", f"[{','.join(parts)}]")
    )
    with open_history(path) as history:
        assert history.events_count == 2
        assert history.malformed.counts == {"MALFORMED_EVENT": 6}
        findings = history.malformed.findings
    places = {finding.message: finding.place for finding in findings}
    assert places["malformed event: expected an object, found null"] == (
        f"{str(path)!r} line 3" if layout == "lines" else f"{str(path)!r} index 2 line 1"
    )
    assert [finding.tenant_id for finding in findings] == [None, None, None, None, "t", "u"]


def test_findings_do_not_depend_on_file_order(tmp_path: Path) -> None:
    parts = [compact({**fields(seq=seq), "ts": None, "entity_id": seq % 3}) for seq in range(50)]
    first = open_history(put(tmp_path, "a.jsonl", "\n".join(parts)))
    second = open_history(put(tmp_path, "b.jsonl", "\n".join(reversed(parts))))
    assert first.malformed == second.malformed
    assert first.malformed.total == 50


def test_seq_beyond_64_bits_is_a_finding(tmp_path: Path) -> None:
    with open_history(put(tmp_path, "f.jsonl", compact(fields(seq=2**63)))) as history:
        (finding,) = history.malformed.findings
    assert "seq: expected an integer of at most 64 bits, found an integer beyond 64 bits" in finding.message


def test_integral_seq_and_ts_are_integers(tmp_path: Path) -> None:
    text = compact(fields()).replace('"seq":1', '"seq":3.0').replace('"ts":1', '"ts":-1e3')
    ((_, (event,)),) = read(put(tmp_path, "f.jsonl", text))
    assert (repr(event["seq"]), repr(event["ts"])) == ("3", "-1000")


@pytest.mark.parametrize("name", ["extra", "trace"])
def test_extra_field_is_not_confused_with_our_nesting(tmp_path: Path, name: str) -> None:
    event: Fields = fields(**{name: {"trace": 1}})
    ((_, (found,)),) = read(put(tmp_path, "f.jsonl", compact(event)))
    assert found == event
    assert event_from_value(event) == event_from_value(found)


def test_lines_that_nearly_are_records_are_looked_at_one_by_one(tmp_path: Path) -> None:
    brackets = fields(entity_id="2", payload={"text": "[" * 400})
    lines = [compact(fields()), compact(brackets), compact(fields(seq=2))]
    assert read(put(tmp_path, "a.jsonl", "\n".join(lines) + "\n")) == [
        (("t", "Order", "1"), [fields(), fields(seq=2)]),
        (("t", "Order", "2"), [brackets]),
    ]


def test_batches_without_a_wanted_tenant(tmp_path: Path) -> None:
    path = put(tmp_path, "a.jsonl", compact(fields()) + "\n" + compact(fields("u")) + "\n")
    assert read(path, tenants=frozenset({"u"})) == [(("u", "Order", "1"), [fields("u")])]
    assert read(path, tenants=frozenset({"v"})) == []
