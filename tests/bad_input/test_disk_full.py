"""A disk that is full, at whatever byte: exit code 3, no output, no temporary file, the old files as they were."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bad_input.desk import SMALL_MEMORY, Desk, dry_run, rollback, verify
from bad_input.full_disk import FullDisk, Shim, file_limit
from e2e.shop import event, source, target

ORDERS = 400
OUTPUTS = ("--artifact", "new/a.json", "--out-events", "new/e.jsonl", "--out-positions", "new/p.csv")
FORMATS = [
    ("--artifact", "a.json"),
    *(("--out-events", f"e.{ending}") for ending in ("json", "jsonl", "jsonl.gz", "json.zst", "parquet")),
    *(("--out-positions", f"p.{ending}") for ending in ("json", "csv", "csv.gz", "jsonl.zst", "parquet")),
]


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Shim:
    return Shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """A desk with enough events that every output is longer than a few bytes."""
    rows = [
        event(1, "placed", {"total": number, "x": f"{number * 7919:x}"}, entity=f"o{number}")
        for number in range(ORDERS)
    ]
    desk.put("events.v0.json", rows)
    return desk


def is_refused(
    desk: Desk, words: tuple[str, ...], disk: FullDisk, program: tuple[str, ...] = (), stdin: bytes = b""
) -> dict[str, Any]:
    before = desk.state()
    given = {"program": program} if program else {}
    said = desk.run(*words, before=disk.before, environment=disk.environment, stdin=stdin, **given)
    error = desk.refused(said, before, code="DISK_FULL", exit_code=3, says="cannot write")
    assert "make room" in error["hint"]
    return error


@pytest.mark.parametrize(
    ("flag", "path"),
    [pytest.param(*one, id=one[1], marks=pytest.mark.slow if number % 4 else []) for number, one in enumerate(FORMATS)],
)
def test_file_that_the_kernel_refuses_to_let_grow(busy: Desk, flag: str, path: str) -> None:
    error = is_refused(busy, dry_run(flag, path), file_limit(600))

    assert path in error["message"] or "tmp" in error["message"]  # parquet waits in a temporary file


@pytest.mark.parametrize("path", ["e.jsonl", "e.json.zst"])
def test_old_file_survives_a_full_disk(busy: Desk, shim: Shim, path: str) -> None:
    busy.put(path, b"what was there before")
    is_refused(busy, dry_run("--out-events", path), shim.full_after(1_000))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.999])
def test_all_outputs_or_none(busy: Desk, shim: Shim, share: float) -> None:
    """Wherever the disk fills up, no output may stand there as if the run had been a success."""
    words = dry_run(*OUTPUTS)
    busy.does(*words)
    written = sum(path.stat().st_size for path in (busy.folder / "new").iterdir())
    for path in (busy.folder / "new").iterdir():
        path.unlink()

    is_refused(busy, words, shim.full_after(int(share * written)))


def test_disk_that_tells_only_at_the_end(busy: Desk, shim: Shim) -> None:
    is_refused(busy, dry_run("--out-events", "e.jsonl"), shim.full_at_fsync())


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_rollback_on_a_full_disk(busy: Desk, shim: Shim, share: float) -> None:
    busy.does(*dry_run("--out-events", "events.v1.jsonl"))
    size = (busy.folder / "events.v1.jsonl").stat().st_size
    is_refused(
        busy, rollback("--from", "bundle.v0.json", "--out-events", "back.jsonl"), shim.full_after(int(share * size))
    )


@pytest.mark.parametrize("room", [100, 5_000])
def test_temporary_files_of_a_history_that_does_not_fit(busy: Desk, shim: Shim, room: int) -> None:
    program = (*SMALL_MEMORY, "20000")
    rows = json.loads(busy.read("events.v0.json"))
    busy.put("e.jsonl", "".join(json.dumps(row) + "\n" for row in rows * 12))
    error = is_refused(busy, verify("e.jsonl"), shim.full_after(room), program)

    assert "/tmp/cicsc-" in error["message"]


def test_temporary_files_of_rows_that_do_not_fit(busy: Desk, shim: Shim) -> None:
    positive = {"ge": [{"var": {"rows_count": True}}, {"lit": {"int": 0}}]}
    query = {
        "source": {"snap": {"type": "Order"}},
        "pipeline": [{"group_by": {"keys": [], "aggs": {"n": {"count": {}}}}}],
    }
    rule = {"kind": "bool_query", "on_type": "Order", "args": {}, "query": query, "assert": positive}
    for name, document in (("bundle.v0.json", source()), ("bundle.v1.json", target())):
        document["core_ir"]["constraints"]["some"] = rule
        busy.put(name, document)
    program = (*SMALL_MEMORY, "10000000")  # the history fits, the rows do not
    many = [event(1, "placed", {"total": number}, entity=f"o{number}") for number in range(3_000)]
    busy.put("events.v0.json", many)
    assert busy.run(*verify("events.v0.json", "--bundle", "bundle.v0.json"), program=program).code == 0

    is_refused(busy, verify("events.v0.json", "--bundle", "bundle.v0.json"), shim.full_after(100), program)


def test_temporary_file_of_parquet_from_a_pipe(busy: Desk, shim: Shim) -> None:
    """A disk without room is no fault of the input."""
    busy.does(*dry_run("--out-events", "e.parquet"))
    is_refused(busy, verify("-"), shim.full_after(1_000), stdin=busy.read("e.parquet"))


def test_no_room_for_any_temporary_file(busy: Desk) -> None:
    before = busy.state()
    limit = file_limit(0)
    said = busy.run(*verify("events.v0.json"), program=(*SMALL_MEMORY, "2000"), before=limit.before)

    error = busy.refused(said, before, code="WRITE_FAILED", exit_code=3, says="temporary")
    assert error["hint"]


def test_folder_that_was_made_for_an_output_goes_with_it(busy: Desk, shim: Shim) -> None:
    is_refused(busy, dry_run("--out-events", "new/folder/e.jsonl"), shim.full_after(1_000))


def test_place_of_temporary_files_that_does_not_exist(busy: Desk) -> None:
    """Python looks for another place; only where there is none, the work cannot be done."""
    busy.put(
        "e.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in json.loads(busy.read("events.v0.json")) * 3)
    )
    said = busy.run(*verify("e.jsonl"), program=(*SMALL_MEMORY, "20000"), environment={"TMPDIR": "/nowhere"})

    assert said.report["events"] == 3 * ORDERS
    assert not list(Path("/tmp").glob("cicsc-*/run-*"))


def test_standard_output_that_is_full(busy: Desk) -> None:
    before = busy.state()
    with Path("/dev/full").open("wb") as full:
        said = busy.run(*verify("events.v0.json"), before=lambda: os.dup2(full.fileno(), 1))

    assert (said.code, said.out) == (3, b"")
    assert "cannot write the report to standard output" in said.err
    assert "Traceback" not in said.err
    assert busy.state() == before
