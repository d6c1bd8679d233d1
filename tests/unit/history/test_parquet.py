"""Parquet is read as any other format, and refused where its columns cannot hold events."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from pyarrow import parquet

from cicsc.errors import InputError, UsageError
from cicsc.history.output import event_writer, position_writer
from cicsc.history.sorted import open_history
from cicsc.progress import Amount
from unit.history.events import Fields, compact, fields, read

EVENTS = [fields(seq=1, payload={"a": [1, {"b": "é"}], "n": 10**30}), fields(seq=2, payload={"a": [], "n": 0.5}, ts=-7)]
EXPECTED = [(("t", "Order", "1"), EVENTS)]


def columns(events: list[Fields], **changes: object) -> dict[str, object]:
    found: dict[str, object] = {name: [event[name] for event in events] for name in fields()}
    found["payload"] = [compact(event["payload"]) for event in events]
    return found | changes


def put(path: Path, table: dict[str, object]) -> Path:
    parquet.write_table(pa.table(table), path)
    return path


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as raised:
        open_history(path)
    return raised.value


def test_payload_as_json_text_is_read(tmp_path: Path) -> None:
    assert read(put(tmp_path / "f.parquet", columns(EVENTS))) == EXPECTED


def test_ending_is_not_needed(tmp_path: Path) -> None:
    assert read(put(tmp_path / "f", columns(EVENTS))) == EXPECTED


def test_standard_input_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = put(tmp_path / "f", columns(EVENTS)).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert read("-") == EXPECTED


@pytest.mark.parametrize(("count", "packed"), [(9_000, False), (0, False), (2, True)])
def test_bytes_are_noted_as_they_are_read(tmp_path: Path, count: int, packed: bool) -> None:
    events = [fields(entity_id=f"{number:099}") for number in range(9_000)]
    parquet.write_table(pa.table(columns(events)).slice(0, count), tmp_path / "f.parquet")
    stored = (tmp_path / "f.parquet").read_bytes()
    (tmp_path / "f.gz").write_bytes(gzip.compress(stored))
    path = tmp_path / ("f.gz" if packed else "f.parquet")
    told: list[Amount] = []
    with open_history(path, progress=SimpleNamespace(begin=lambda *_: None, note=told.append)):  # type: ignore[arg-type]
        assert sum(amount.bytes_read for amount in told) == path.stat().st_size
    assert sum(amount.temporary_bytes for amount in told) == (len(stored) if packed else 0)


def test_compressed_file_is_read(tmp_path: Path) -> None:
    data = put(tmp_path / "f", columns(EVENTS)).read_bytes()
    path = tmp_path / "f.parquet.gz"
    path.write_bytes(gzip.compress(data))
    assert read(path) == EXPECTED


@pytest.mark.parametrize(
    "kind",
    [
        pa.map_(pa.string(), pa.int64()),
        pa.struct([("a", pa.int64()), ("b", pa.int64())]),
    ],
    ids=["map", "struct"],
)
def test_payload_as_columns_is_read(tmp_path: Path, kind: pa.DataType) -> None:
    payloads: list[object] = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    data = (
        [list(payload.items()) for payload in payloads] if kind.id == pa.map_(pa.string(), pa.int64()).id else payloads
    )  # type: ignore[attr-defined]
    path = put(tmp_path / "f.parquet", columns(EVENTS, payload=pa.array(data, kind)))
    assert [event["payload"] for event in read(path)[0][1]] == payloads


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant_id": pa.array(["t", "t"]).dictionary_encode()},
        {"tenant_id": pa.array(["t", "t"], pa.large_string())},
        {"tenant_id": pa.array(["t", "t"], pa.string_view())},
        {"seq": pa.array([1, 2], pa.uint8())},
        {"seq": pa.array([1.0, 2.0])},
    ],
    ids=["dictionary", "large", "view", "short", "float"],
)
def test_column_type_is_accepted(tmp_path: Path, changes: dict[str, object]) -> None:
    assert read(put(tmp_path / "f.parquet", columns(EVENTS, **changes))) == EXPECTED


def test_other_columns_are_extra_fields(tmp_path: Path) -> None:
    path = put(tmp_path / "f.parquet", columns(EVENTS, trace=["x", None], extra=[1, 2], tags=[["a"], None]))
    first, second = read(path)[0][1]
    assert first == {**EVENTS[0], "trace": "x", "extra": 1, "tags": ["a"]}
    assert second == {**EVENTS[1], "extra": 2}


def test_null_in_a_field_is_a_finding(tmp_path: Path) -> None:
    with open_history(put(tmp_path / "f.parquet", columns(EVENTS, seq=[1, None], payload=["{}", None]))) as history:
        (finding,) = history.malformed.findings
    assert finding.message == (
        "malformed event: seq: expected an integer of at most 64 bits, found null; payload: expected an object, found null"
    )
    assert finding.place == f"{str(tmp_path / 'f.parquet')!r} row 1"


@pytest.mark.parametrize("inmost", ["[]", '["' + "[" * 99 + '"]'], ids=["empty", "brackets in a text"])
def test_payload_nests_no_deeper_than_the_text_of_an_event_may(tmp_path: Path, inmost: str) -> None:
    deepest = '{"a":' + "[" * 125 + inmost + "]" * 125 + "}"
    assert read(put(tmp_path / "f.parquet", columns([fields()], payload=[deepest])))
    error = refusal(put(tmp_path / "f.parquet", columns([fields()], payload=[deepest.replace(inmost, f"[{inmost}]")])))
    assert error.code == "JSON_NESTING"
    assert error.message.endswith("row 0: expected at most 127 levels of nesting inside of an event, found more")


def test_payload_that_is_no_object_is_a_finding(tmp_path: Path) -> None:
    with open_history(put(tmp_path / "f.parquet", columns(EVENTS, payload=["[]", "{}"]))) as history:
        (finding,) = history.malformed.findings
    assert finding.message == "malformed event: payload: expected an object, found an array"


def test_payload_is_decoded_strictly(tmp_path: Path) -> None:
    path = put(tmp_path / "f.parquet", columns(EVENTS, payload=["{}", '{"a":NaN}']))
    assert refusal(path).message == (
        f"cannot decode the payload of {str(path)!r} row 1 at line 1, column 6: expected a number, found NaN"
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"score": [1.5, float("nan")]}, "row 1 at 'score': expected a finite number, found nan"),
        ({"raw": [b"x", b"y"]}, "row 0 at 'raw': expected a JSON value, found one of type bytes"),
        (
            {"payload": pa.array([{"a": b"x"}] * 2)},
            "row 0 at 'payload.a': expected a JSON value, found one of type bytes",
        ),
    ],
    ids=["nan", "bytes", "payload"],
)
def test_value_that_json_cannot_say_is_an_error(tmp_path: Path, changes: dict[str, object], what: str) -> None:
    assert refusal(put(tmp_path / "f.parquet", columns(EVENTS, **changes))).message.endswith(what)


def test_wrong_columns_are_all_named(tmp_path: Path) -> None:
    table = columns(EVENTS, tenant_id=[1, 2], ts=["x", "y"], payload=[1, 2])
    del table["actor_id"]
    error = refusal(put(tmp_path / "f.parquet", table))
    assert error.code == "PARQUET_COLUMNS"
    assert error.message.partition("as events: ")[2].split("; ") == [
        "column 'tenant_id': expected strings, found int64",
        "column 'payload': expected JSON text, structs or maps, found int64",
        "column 'ts': expected integers, found string",
        "column 'actor_id': expected, not found",
    ]


def test_repeated_column_is_an_error(tmp_path: Path) -> None:
    table = pa.table(columns(EVENTS)).append_column("seq", pa.array([1, 2])).append_column("x", pa.array([1, 2]))
    parquet.write_table(table, tmp_path / "f.parquet")
    assert refusal(tmp_path / "f.parquet").message.endswith("column 'seq' occurs more than once")


def test_repeated_key_of_a_map_is_an_error(tmp_path: Path) -> None:
    payload = pa.array([[("a", 1), ("a", 2)], []], pa.map_(pa.string(), pa.int64()))
    error = refusal(put(tmp_path / "f.parquet", columns(EVENTS, payload=payload)))
    assert error.code == "PARQUET_INVALID"
    assert "duplicate key was 'a'" in error.message


def test_invalid_utf8_in_a_column_is_an_error(tmp_path: Path) -> None:
    broken = pa.array([b"\xff", b"x"]).view(pa.string())
    assert refusal(put(tmp_path / "f.parquet", columns(EVENTS, actor_id=broken))).code == "PARQUET_INVALID"


@pytest.mark.parametrize("damage", ["text", "truncated", "empty"])
def test_damaged_file_is_an_error(tmp_path: Path, damage: str) -> None:
    data = put(tmp_path / "f", columns(EVENTS)).read_bytes()
    path = tmp_path / "f.parquet"
    path.write_bytes({"text": b'{"a":1}\n', "truncated": data[:-20], "empty": b""}[damage])
    error = refusal(path)
    assert error.code == "PARQUET_INVALID"
    assert error.message.startswith(f"cannot read {str(path)!r} as parquet: ")


def test_missing_library_is_an_error_with_a_hint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(tmp_path / "f.parquet", columns(EVENTS))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError) as unread:
        open_history(path)
    with pytest.raises(UsageError) as unwritten, event_writer(path):
        pass
    with pytest.raises(UsageError) as unwritten_positions, position_writer(path):
        pass
    for raised in (unread, unwritten, unwritten_positions):
        assert (raised.value.code, raised.value.exit_code) == ("PARQUET_MISSING", 2)
        assert raised.value.hint == "run: pip install 'cicsc[parquet]'"


def test_libraries_for_rare_formats_are_not_imported_early() -> None:
    program = (
        "import sys, cicsc.history.sorted, cicsc.history.output\n"
        "print([name for name in ('pyarrow', 'zstandard', 'duckdb') if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
