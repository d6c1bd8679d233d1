"""Outputs that would overwrite an input or each other, or cannot be written: refused, with everything as it was."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bad_input.desk import Desk, dry_run, rollback
from bad_input.privileges import without_override
from e2e.running import COMMAND

OUTPUTS = ("--artifact", "--out-events", "--out-positions")
INPUTS = {"--from": "source", "--to": "to", "--events": "events"}


def itself(folder: Path, name: str) -> str:
    return name


def relative(folder: Path, name: str) -> str:
    return f"tmp/../{name}"


def absolute(folder: Path, name: str) -> str:
    return str(folder / name)


def dotted(folder: Path, name: str) -> str:
    return f"././/{name}"


def symbolic_link(folder: Path, name: str) -> str:
    (folder / f"link.{name}").symlink_to(name)
    return f"link.{name}"


def link_of_a_link(folder: Path, name: str) -> str:
    (folder / f"first.{name}").symlink_to(folder / name)
    (folder / f"second.{name}").symlink_to(f"first.{name}")
    return f"second.{name}"


def hard_link(folder: Path, name: str) -> str:
    (folder / f"hard.{name}").hardlink_to(folder / name)
    return f"hard.{name}"


def linked_folder(folder: Path, name: str) -> str:
    (folder / "way").symlink_to(folder, target_is_directory=True)
    return f"way/{name}"


def descriptor(folder: Path, name: str) -> str:
    return f"/proc/self/cwd/{name}"


WAYS = [itself, relative, absolute, dotted, symbolic_link, link_of_a_link, hard_link, linked_folder, descriptor]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
Way = Callable[[Path, str], str]


@every_way
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("given", INPUTS)
def test_output_that_is_an_input(desk: Desk, way: Way, output: str, given: str) -> None:
    name = {"--from": "bundle.v0.json", "--to": "bundle.v1.json", "--events": "events.v0.json"}[given]
    path = way(desk.folder, name)
    error = desk.refuses(*dry_run(output, path), code="OUTPUT_IS_INPUT", says=(output, given, repr(str(Path(path)))))

    assert "another path" in error["hint"]


@every_way
@pytest.mark.parametrize("given", ["--from", "--to", "--events"])
def test_rollback_onto_an_input(desk: Desk, way: Way, given: str) -> None:
    desk.does(*dry_run("--out-events", "events.v1.json"))
    name = {"--from": "bundle.v0.json", "--to": "bundle.v1.json", "--events": "events.v1.json"}[given]
    path = way(desk.folder, name)
    words = rollback("--from", "bundle.v0.json", "--out-events", path, events="events.v1.json")
    desk.refuses(*words, code="OUTPUT_IS_INPUT", says=("--out-events", given))


@every_way
def test_input_that_is_itself_a_link_to_the_output(desk: Desk, way: Way) -> None:
    path = way(desk.folder, "events.v0.json")
    desk.refuses(*dry_run("--out-events", "events.v0.json", events=path), code="OUTPUT_IS_INPUT", says="--events")


@pytest.mark.parametrize(("one", "other"), [(0, 1), (0, 2), (1, 2)])
@pytest.mark.parametrize("way", [itself, relative, absolute, dotted, linked_folder], ids=lambda way: way.__name__)
def test_outputs_that_are_the_same_new_file(desk: Desk, way: Way, one: int, other: int) -> None:
    words = (OUTPUTS[one], "new.json", OUTPUTS[other], way(desk.folder, "new.json"))
    desk.refuses(*dry_run(*words), code="OUTPUTS_COLLIDE", says=(OUTPUTS[one], OUTPUTS[other]))


def test_outputs_that_are_links_to_the_same_new_file(desk: Desk) -> None:
    for name in ("a.json", "b.json"):
        (desk.folder / name).symlink_to("new.json")
    desk.refuses(*dry_run("--artifact", "a.json", "--out-events", "b.json"), code="OUTPUTS_COLLIDE")


def test_link_to_a_new_file_is_followed(desk: Desk) -> None:
    (desk.folder / "link.json").symlink_to("tmp/new.json")
    desk.does(*dry_run("--artifact", "link.json"))

    assert (desk.folder / "link.json").is_symlink()
    assert (desk.folder / "tmp" / "new.json").is_file()


@pytest.mark.parametrize("output", OUTPUTS)
def test_folder_for_an_output(desk: Desk, output: str) -> None:
    (desk.folder / "sub.json").mkdir()
    desk.refuses(
        *dry_run(output, "sub.json"), code="NOT_A_FILE", exit_code=3, says=("cannot write", "sub.json", "folder")
    )


@pytest.mark.parametrize("output", OUTPUTS)
def test_file_in_place_of_a_folder_of_an_output(desk: Desk, output: str) -> None:
    path = "events.v0.json/o.json"
    desk.refuses(*dry_run(output, path), code="UNWRITABLE", exit_code=3, says=("cannot write", path, "not a directory"))


@pytest.mark.parametrize("output", OUTPUTS)
def test_device_for_an_output(desk: Desk, output: str) -> None:
    (desk.folder / "full.json").symlink_to("/dev/full")
    desk.refuses(*dry_run(output, "full.json"), code="NOT_A_FILE", exit_code=3, says=("/dev/full", "no regular file"))
    assert Path("/dev/full").is_char_device()


@pytest.mark.parametrize("path", ["/dev/stdout", "report.json"])
@pytest.mark.parametrize("output", OUTPUTS)
def test_file_that_the_report_goes_to_for_an_output(desk: Desk, output: str, path: str) -> None:
    """The output would take its place, and the report be lost with exit code 0."""
    report = desk.folder / "report.json"
    words = [*COMMAND, *dry_run(output, path)]
    with report.open("wb") as stdout:
        done = subprocess.run(words, cwd=desk.folder, stdout=stdout, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, json.loads(report.read_bytes())["error"]["code"]) == (2, "STDOUT_TAKEN")


@pytest.mark.parametrize("output", OUTPUTS)
def test_named_pipe_for_an_output(desk: Desk, output: str) -> None:
    os.mkfifo(desk.folder / "pipe.json")
    desk.refuses(*dry_run(output, "pipe.json"), code="NOT_A_FILE", exit_code=3, says="no regular file")


@pytest.mark.parametrize("output", OUTPUTS)
def test_link_to_itself_for_an_output(desk: Desk, output: str) -> None:
    (desk.folder / "loop.json").symlink_to("loop.json")
    before = desk.state()
    said = desk.call(*dry_run(output, "loop.json"))

    desk.refused(said, before, code=said.error["code"], exit_code=3, says="cannot write")


@pytest.mark.parametrize("output", OUTPUTS)
def test_name_that_is_too_long_for_an_output(desk: Desk, output: str) -> None:
    desk.refuses(*dry_run(output, "n" * 300 + ".json"), code="UNWRITABLE", exit_code=3, says="name too long")


@pytest.mark.parametrize("output", OUTPUTS)
def test_place_where_nothing_can_be_created(desk: Desk, output: str) -> None:
    before = desk.state()
    said = desk.call(*dry_run(output, "/proc/cicsc/o.json"))

    desk.refused(said, before, code=said.error["code"], exit_code=3, says=("cannot write", "/proc/cicsc/o.json"))


@pytest.mark.parametrize("mode", [0o555, 0o333])
@pytest.mark.parametrize("output", OUTPUTS)
def test_folder_without_permission(desk: Desk, output: str, mode: int) -> None:
    """What may be written but not read cannot be brought to the disk: refused before anything is in its place."""
    desk.put("shut/o.json", b"what was there before")
    shut = desk.folder / "shut"
    before = desk.state()
    shut.chmod(mode)
    said = desk.run(*dry_run(output, "shut/o.json"), before=without_override)
    shut.chmod(0o755)

    desk.refused(
        said, before, code="UNWRITABLE", exit_code=3, says=("cannot write", "shut/o.json", "permission denied")
    )


def test_one_output_that_cannot_be_written_keeps_the_others_from_being_written(desk: Desk) -> None:
    """Whichever it is, no other file may tell of a run that failed."""
    good = dict(zip(OUTPUTS, ("a.json", "e.jsonl", "p.csv"), strict=True))
    (desk.folder / "sub.json").mkdir()
    for output in OUTPUTS:
        words = [word for pair in {**good, output: "sub.json"}.items() for word in pair]
        desk.refuses(*dry_run(*words), code="NOT_A_FILE", exit_code=3)


@pytest.mark.parametrize("name", ["o.txt", "o", "o.gz", "o.json.bz2", "o.JSONL", ".json", "o.jsonl.", "o.avro"])
@pytest.mark.parametrize("output", ["--out-events", "--out-positions"])
def test_ending_that_names_no_format(desk: Desk, output: str, name: str) -> None:
    error = desk.refuses(*dry_run(output, name), code="FORMAT_UNKNOWN", says=repr(name))

    assert ".jsonl" in error["hint"]


@pytest.mark.parametrize("output", OUTPUTS)
def test_outputs_are_refused_before_a_history_is_read(desk: Desk, output: str) -> None:
    """An operator should not wait for an hour to learn of a wrong path."""
    (desk.folder / "sub.json").mkdir()
    desk.refuses(*dry_run(output, "sub.json", events="gone.jsonl"), code="NOT_A_FILE", exit_code=3)


def test_nothing_is_written_where_the_verdict_is_no_but_the_artifact(desk: Desk) -> None:
    before = desk.state()
    words = dry_run(
        "--artifact",
        "new/a.json",
        "--out-events",
        "new/e.json",
        "--out-positions",
        "new/p.json",
        to="bundle.v1.diverging.json",
    )
    assert desk.call(*words).code == 1

    assert {name: found for name, found in desk.state().items() if not name.startswith("new")} == before
    assert [path.name for path in (desk.folder / "new").iterdir()] == ["a.json"]


def test_files_of_an_earlier_run_survive_a_verdict_of_no(desk: Desk) -> None:
    words = ("--out-events", "e.json", "--out-positions", "p.json")
    desk.does(*dry_run(*words))
    desk.finds(*dry_run(*words, to="bundle.v1.diverging.json"))


@pytest.mark.parametrize("path", ["back.json", "new/folder/back.json"])
def test_rollback_that_is_refused_writes_nothing(desk: Desk, path: str) -> None:
    desk.finds(*rollback("--from", "bundle.v0.json", "--out-events", path, events="events.v0.json"))


@pytest.mark.parametrize("path", ["o.json", "new/folder/o.json"])
def test_input_that_cannot_be_decoded_writes_nothing(desk: Desk, path: str) -> None:
    desk.put("e.jsonl", b"{")
    for output in OUTPUTS:
        desk.refuses(*dry_run(output, path, events="e.jsonl"), code="JSON_INVALID")
