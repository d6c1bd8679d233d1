"""What is written can be read back unchanged, equal rows give equal files, and nothing appears half."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from cicsc.errors import UsageError, WorkError
from cicsc.history import parquet_output
from cicsc.history.model import Event, event_from_value
from cicsc.history.output import (
    event_lines,
    event_writer,
    events_of_lines,
    position_lines,
    position_writer,
    positions_of_lines,
    same_file,
)
from cicsc.history.rows import LineWriter, PositionRow
from unit.history.events import Fields, fields, read

ENDINGS = [text + packed for text in (".json", ".jsonl", ".ndjson") for packed in ("", ".gz", ".zst")]
FIELDS: list[Fields] = [
    fields(entity_id="1\n::|\0\"'", seq=1, payload={"z": 1, "a": [2.5, 10**40, None, "é\U0001f600"]}, trace="x"),
    fields(entity_id="1\n::|\0\"'", seq=2, payload={}, ts=-(2**63), extra="y"),
    fields(entity_id="2", seq=2**63 - 1),
]
EXPECTED = [(("t", "Order", "1\n::|\0\"'"), FIELDS[:2]), (("t", "Order", "2"), FIELDS[2:])]
POSITIONS: list[PositionRow] = [
    ("t", "Order", 'a,"\n', 1, None),
    ("t", "Order", 'a,"\n', 2, 1),
    ("é", "Order", "", 3, 2),
]


def event(value: Fields) -> Event:
    made = event_from_value(value)
    assert isinstance(made, Event)
    return made


EVENTS = list(map(event, FIELDS))


def put_events(path: Path, *parts: Iterable[Event]) -> bytes:
    with event_writer(path) as writer:
        for part in parts:
            writer.write(part)
    return path.read_bytes()


def put_positions(path: Path, *parts: Iterable[PositionRow]) -> bytes:
    with position_writer(path) as writer:
        for part in parts:
            writer.write(part)
    return path.read_bytes()


@pytest.mark.parametrize("ending", [*ENDINGS, ".parquet"])
def test_events_are_read_back_unchanged(tmp_path: Path, ending: str) -> None:
    put_events(tmp_path / f"out{ending}", EVENTS)
    assert read(tmp_path / f"out{ending}") == EXPECTED


@pytest.mark.parametrize("ending", [*ENDINGS, ".parquet"])
def test_bytes_do_not_depend_on_parts_or_names(tmp_path: Path, ending: str) -> None:
    whole = put_events(tmp_path / f"one{ending}", EVENTS)
    assert put_events(tmp_path / f"other{ending}", [], EVENTS[:1], iter(EVENTS[1:]), []) == whole


@pytest.mark.parametrize("ending", [*ENDINGS, ".parquet"])
def test_empty_history_is_read_back(tmp_path: Path, ending: str) -> None:
    put_events(tmp_path / f"out{ending}")
    assert read(tmp_path / f"out{ending}") == []


def test_lines_hold_the_eight_fields_and_then_the_extra_ones(tmp_path: Path) -> None:
    first, second, third = put_events(tmp_path / "out.jsonl", EVENTS).splitlines()
    assert list(json.loads(first)) == [*fields(), "trace"]
    assert json.loads(second)["extra"] == "y"
    assert list(json.loads(third)) == list(fields())


def test_array_holds_an_event_on_each_line(tmp_path: Path) -> None:
    lines = put_events(tmp_path / "out.json", EVENTS[:1], EVENTS[1:]).decode().split("\n")
    assert (lines[0], lines[-2:]) == ("[", ["]", ""])
    assert [json.loads(line.removesuffix(",")) for line in lines[1:-2]] == FIELDS


def test_empty_array(tmp_path: Path) -> None:
    assert put_events(tmp_path / "out.json") == b"[]\n"


def test_gzip_holds_neither_time_nor_name(tmp_path: Path) -> None:
    data = put_events(tmp_path / "out.jsonl.gz", EVENTS)
    assert data[3:8] == bytes(5)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    payload=st.dictionaries(st.text(), json_values, max_size=3),
    extra=st.dictionaries(st.text(), json_values, max_size=2),
)
@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_any_json_survives(
    tmp_path_factory: pytest.TempPathFactory, ending: str, payload: Fields, extra: Fields
) -> None:
    value = {**fields(payload=payload), **{name: item for name, item in extra.items() if name not in fields()}}
    path = tmp_path_factory.getbasetemp() / f"any{ending}"
    put_events(path, [event(value)])
    assert read(path) == [(("t", "Order", "1"), [value])]


@pytest.mark.parametrize("ending", ENDINGS)
def test_positions_are_written(tmp_path: Path, ending: str) -> None:
    data = put_positions(tmp_path / f"out{ending}", POSITIONS[:1], POSITIONS[1:])
    data = gzip.decompress(data) if ending.endswith(".gz") else data
    data = zstandard.ZstdDecompressor().decompressobj().decompress(data) if ending.endswith(".zst") else data
    rows = json.loads(data) if ".json." in f"{ending}." else list(map(json.loads, data.splitlines()))
    assert [tuple(row.values()) for row in rows] == POSITIONS
    assert list(rows[0]) == ["tenant_id", "entity_type", "entity_id", "old_seq", "new_seq"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_positions_are_written_as_csv(tmp_path: Path, ending: str) -> None:
    data = put_positions(tmp_path / f"out{ending}", POSITIONS)
    text = (gzip.decompress(data) if ending.endswith(".gz") else data).decode()
    assert text.startswith('tenant_id,entity_type,entity_id,old_seq,new_seq\nt,Order,"a,""\n",1,\n')
    assert list(csv.reader(text.splitlines(keepends=True)))[1:] == [
        [*row[:3], str(row[3]), "" if row[4] is None else str(row[4])] for row in POSITIONS
    ]


def test_positions_are_written_as_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_output, "_ROWS_PER_GROUP", 2)
    whole = put_positions(tmp_path / "one.parquet", POSITIONS)
    assert put_positions(tmp_path / "two.parquet", POSITIONS[:2], POSITIONS[2:]) == whole
    assert [tuple(row.values()) for row in parquet.read_table(tmp_path / "two.parquet").to_pylist()] == POSITIONS


def test_empty_position_map_is_written_as_parquet(tmp_path: Path) -> None:
    put_positions(tmp_path / "out.parquet")
    assert parquet.read_table(tmp_path / "out.parquet").num_rows == 0


def test_extra_fields_are_parquet_columns(tmp_path: Path) -> None:
    some = [event(fields(seq=1, n=1, ok=True)), event(fields(seq=2, x=0.5, text="a")), event(fields(seq=3))]
    put_events(tmp_path / "out.parquet", some)
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column_names[8:] == ["n", "ok", "text", "x"]
    assert table.schema.types[8:] == [pa.int64(), pa.bool_(), pa.string(), pa.float64()]
    assert [found for _, (*stream,) in read(tmp_path / "out.parquet") for found in stream] == [
        fields(seq=1, n=1, ok=True),
        fields(seq=2, text="a", x=0.5),
        fields(seq=3),
    ]


@pytest.mark.parametrize(
    "extras",
    [[{"x": None}], [{"x": [1]}], [{"x": 2**63}], [{"x": 1}, {"x": 1.5}], [{"x": 1}, {"x": True}], [dict.fromkeys(map(str, range(1001)), 1)]],
    ids=["null", "array", "big", "mixed numbers", "mixed kinds", "too many"],
)  # fmt: skip
def test_extra_field_that_parquet_cannot_hold_is_refused(tmp_path: Path, extras: list[Fields]) -> None:
    some = [event(fields(seq=seq, **extra)) for seq, extra in enumerate(extras, 1)]
    with pytest.raises(WorkError, match="no parquet column holds all values of the extra field") as raised:
        put_events(tmp_path / "out.parquet", some)
    assert raised.value.code == "PARQUET_EXTRA_FIELD"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["out", "out.txt", "out.gz", "out.json.bz2", "out.csv", "-", "out.parquet.gz"])
def test_unknown_ending_of_events_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="its ending names no format"):
        event_writer(tmp_path / name)


def test_unknown_ending_of_positions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write positions to .*: its ending names no format") as raised:
        position_writer(tmp_path / "out.txt")
    assert ".csv" in str(raised.value.hint)


@pytest.mark.parametrize("ending", [*ENDINGS, ".parquet"])
def test_failure_leaves_nothing_behind(tmp_path: Path, ending: str) -> None:
    with pytest.raises(KeyboardInterrupt), event_writer(tmp_path / f"out{ending}") as writer:
        interrupt_after(writer.write(EVENTS))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".csv", ".json", ".parquet"])
def test_failure_leaves_no_positions_behind(tmp_path: Path, ending: str) -> None:
    with pytest.raises(KeyboardInterrupt), position_writer(tmp_path / f"out{ending}") as writer:
        interrupt_after(writer.write(POSITIONS))
    assert list(tmp_path.iterdir()) == []


def interrupt_after(done: None) -> None:
    raise KeyboardInterrupt


FULL_DISK = """
import os, resource, signal, sys
from cicsc.errors import WorkError
from cicsc.history.model import Event
from cicsc.history.output import event_writer, position_writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    if sys.argv[2] == "events":
        with event_writer(sys.argv[1]) as writer:
            for seq in range(1, 3_000):
                writer.write([Event("t", "T", "1", seq, "x", {"noise": os.urandom(500).hex()}, 0, "me")])
    else:
        with position_writer(sys.argv[1]) as writer:
            for seq in range(1, 50_000):
                writer.write([("t", "T", os.urandom(20).hex(), seq, None)])
except WorkError as error:
    print(error.code)
"""


@pytest.mark.parametrize("what", ["events", "positions"])
@pytest.mark.parametrize("ending", [".json", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_full_disk_leaves_nothing_behind(tmp_path: Path, ending: str, what: str) -> None:
    command = [sys.executable, "-W", "error", "-c", FULL_DISK, str(tmp_path / f"out{ending}"), what]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    assert (run.stdout, run.stderr) == ("DISK_FULL\n", "")
    assert list(tmp_path.iterdir()) == []


def test_missing_folder_for_temporary_files_is_an_error(tmp_path: Path) -> None:
    program = (
        "import sys, tempfile\n"
        "from cicsc.errors import WorkError\n"
        "from cicsc.history.output import event_writer\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "try:\n    event_writer(sys.argv[1]).__enter__()\n"
        "except WorkError as error:\n    print(error.message)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "out.parquet"), str(tmp_path / "none")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout.startswith(f"cannot write '{tmp_path}/none/cicsc-")
    assert run.stdout.endswith("': no such file or directory\n")
    assert list(tmp_path.iterdir()) == []


def test_same_file_is_seen_through_links(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.touch()
    (tmp_path / "soft").symlink_to("real")
    (tmp_path / "hard").hardlink_to(real)
    (tmp_path / "folder").symlink_to(tmp_path)
    for path in ("soft", "hard", "folder/real", "./real"):
        assert same_file(real, tmp_path / path)
    assert not same_file(real, tmp_path / "other")


def test_same_file_is_seen_before_it_exists(tmp_path: Path) -> None:
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to("new")
    assert same_file(tmp_path / "new", str(tmp_path / "folder" / "new"))
    assert same_file(tmp_path / "dangling", tmp_path / "new")
    assert not same_file(tmp_path / "new", tmp_path / "newer")


def test_a_path_that_can_name_no_file_is_that_of_no_other(tmp_path: Path) -> None:
    assert not same_file(tmp_path / "a\0b", tmp_path / "a\0b")


@pytest.mark.parametrize("ending", [".jsonl.gz", ".json.zst"])
def test_how_rows_are_handed_over_does_not_change_a_compressed_file(tmp_path: Path, ending: str) -> None:
    events = [event(fields(seq=seq, payload={"noise": os.urandom(99).hex()})) for seq in range(1, 2_000)]
    at_once = put_events(tmp_path / ("a" + ending), events)
    assert put_events(tmp_path / ("b" + ending), *([one] for one in events)) == at_once
    with event_writer(tmp_path / ("c" + ending)) as writer:
        assert isinstance(writer, LineWriter)
        writer.write_lines(event_lines(events[:700]))
        writer.write_lines(b"")
        writer.write_lines(event_lines(events[700:]))
    assert (tmp_path / ("c" + ending)).read_bytes() == at_once
    assert len(at_once) > 128 * 1024


def test_lines_are_read_as_the_rows_they_were() -> None:
    assert events_of_lines(event_lines(EVENTS)) == EVENTS
    assert positions_of_lines(position_lines(POSITIONS)) == POSITIONS
    assert event_lines([]) == position_lines([]) == b""
