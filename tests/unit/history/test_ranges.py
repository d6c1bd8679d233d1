"""Ranges of a file of lines add up to the file, whatever the cuts, and notice when it is another one."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from cicsc import durable
from cicsc.errors import InputError, WorkError
from cicsc.history import ranges, runs, texts
from cicsc.history.intake import Intake
from cicsc.history.ranges import RangedFile, added_up, ranged_file, read_range, refuse_range
from cicsc.history.runs import KeyRange
from cicsc.history.sorted import SortedHistory, decoded_streams, open_history
from cicsc.history.sorting import Sorter, merged_runs
from unit.history.events import compact, fields
from unit.stand_ins import stand_in

LINES = [compact(fields(entity_id=str(number % 7), seq=1 + number // 7, ts=number)).encode() for number in range(40)]


def ranged(path: Path, *, of: int = 1) -> RangedFile:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "RANGE_BYTES", of)
        found = ranged_file(path, 0)
    assert found is not None
    return found


def file(folder: Path, data: bytes, name: str = "events.jsonl") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize("of", [1, 200, 1_000, 10**9])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_ranges_add_up(tmp_path: Path, of: int, end: bytes) -> None:
    lines = [*LINES[:13], b"", b'{"ts": 1}', *LINES[13:], b'{"ts": 2}']
    path = file(tmp_path, b"\n".join(lines) + end)
    cut = ranged(path, of=of)
    sorter = Sorter()
    sums = added_up([read_range(cut, number, sorter, None) for number in range(len(cut.ranges))])
    assert len(cut.ranges) == {1: 43, 10**9: 1}.get(of, len(cut.ranges))
    assert (cut.ranges[0][0], cut.size) == (0, path.stat().st_size)
    with open_history(path) as whole, SortedHistory(sorter, sums) as found:
        assert (sums.lines, sums.events_count, sums.latest_ts) == (43, 40, 39)
        assert [one.place for one in found.malformed.findings] == [one.place for one in whole.malformed.findings]
        assert [(key, list(some)) for key, some in found.streams()] == [
            (key, list(some)) for key, some in whole.streams()
        ]


def test_a_file_without_events_has_no_sums(tmp_path: Path) -> None:
    cut = ranged(file(tmp_path, b""))
    assert (cut.ranges, cut.size) == ((), 0)
    assert added_up([]).latest_ts is None


@pytest.mark.parametrize("name", ["a.json", "a.jsonl.gz", "missing.jsonl", "folder.jsonl", "nul\0.jsonl"])
def test_what_is_no_file_of_lines_has_no_ranges(tmp_path: Path, name: str) -> None:
    file(tmp_path, b"[]", "a.json")
    file(tmp_path, gzip.compress(LINES[0]), "a.jsonl.gz")
    (tmp_path / "folder.jsonl").mkdir()
    assert ranged_file(tmp_path / name, 0) is None


def test_a_small_file_has_no_ranges(tmp_path: Path) -> None:
    assert ranged_file(file(tmp_path, LINES[0]), 1_000) is None


def test_a_long_line_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "TEXT_BYTES_MAX", 10)
    assert ranged(file(tmp_path, b"x" * 95 + b"\n" + b"y\n")).ranges == ((0, 96), (96, 98))


def test_an_error_names_its_line(tmp_path: Path) -> None:
    cut = ranged(file(tmp_path, b"\n".join([*LINES[:20], b"?", *LINES[20:]])))
    with pytest.raises(InputError, match="line 21"):
        refuse_range(cut, 20, None)
    with pytest.raises(InputError, match="replaced or changed"):
        refuse_range(cut, 3, None)


def test_another_file_is_noticed(tmp_path: Path) -> None:
    path = file(tmp_path, LINES[0])
    cut = ranged(path)
    file(tmp_path, LINES[0], "other").replace(path)
    for _ in range(2):
        with pytest.raises(InputError) as raised:
            read_range(cut, 0, Sorter(), None)
        assert raised.value.code == "FILE_CHANGED"
        path.unlink(missing_ok=True)


@pytest.mark.parametrize("data", [LINES[0] + b"\n", LINES[0] + b"\n" + LINES[2], b"\n".join(LINES[:3])])
def test_a_file_that_is_written_to_is_noticed(tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, b"\n".join(LINES[:2]))
    cut = ranged(path, of=10**9)
    os.utime(path, ns=(0, 0))
    with pytest.raises(InputError, match="replaced or changed"):
        read_range(cut, 0, Sorter(), None)
    again = ranged(path, of=10**9)
    seen = Intake.read_lines
    monkeypatch.setattr(Intake, "read_lines", lambda *given: (path.write_bytes(data), seen(*given))[1])
    with pytest.raises(InputError, match="replaced or changed"):
        read_range(again, 0, Sorter(), None)


@pytest.mark.parametrize(("first", "end"), [(None, None), (2, None), (None, 4), (2, 4), (3, 3), (9, None)])
def test_runs_are_entered_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: int, end: int) -> None:
    monkeypatch.setattr(runs, "PIECE_BYTES", 1)
    monkeypatch.setattr(runs, "MARK_BYTES", 1)
    monkeypatch.setattr(runs, "BLOCK_EVENTS_MAX", 2)
    sorter = Sorter(place=tmp_path)
    for half in (LINES[::2], LINES[1::2]):
        cut = ranged(file(tmp_path, b"\n".join(half)))
        for number in range(len(cut.ranges)):
            read_range(cut, number, sorter, None)
        sorter.spill()
    sorter.spill()
    all_streams = list(decoded_streams(merged_runs(sorter.runs())))
    keys = [key for key, _ in all_streams]
    bounds = [None if at is None else (*keys[0][:2], str(at)) for at in (first, end)]
    found = list(decoded_streams(merged_runs(sorter.runs(), KeyRange(*bounds))))
    assert found == [one for one in all_streams if (first or 0) <= int(one[0][2]) < (7 if end is None else end)]
    assert len(keys) == 7
    sorter.close()
    assert len(list(tmp_path.glob("run-*"))) == 2


def test_room_for_temporary_files_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "shutil", stand_in(shutil, disk_usage=lambda _: SimpleNamespace(free=10)))
    path = file(tmp_path, b"\n".join(LINES))
    with open_history(path) as history:
        assert history.events_count == 40
    with pytest.raises(WorkError, match="for temporary files"):
        open_history(path, memory_bytes_max=1_000)
