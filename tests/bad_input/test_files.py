"""Inputs that cannot be opened, or are another thing than the file that was meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bad_input.desk import Desk, dry_run, preflight, rollback, verify
from bad_input.privileges import without_override

PLACES = {
    "--events": lambda name: dry_run("--artifact", "a.json", "--out-events", "e.jsonl", events=name),
    "--from": lambda name: dry_run("--artifact", "a.json", "--out-events", "e.jsonl", source=name),
    "--to": lambda name: dry_run("--artifact", "a.json", "--out-events", "e.jsonl", to=name),
    "verify --events": verify,
    "verify --bundle": lambda name: verify("events.v0.json", "--bundle", name),
    "replay --events": lambda name: ("history-replay", "--events", name, "--bundle", "bundle.v0.json"),
    "replay --bundle": lambda name: ("history-replay", "--events", "events.v0.json", "--bundle", name),
    "rollback --events": lambda name: rollback("--out-events", "e.jsonl", events=name),
    "rollback --to": lambda name: rollback("--out-events", "e.jsonl", to=name, events="events.v0.json"),
    "rollback --from": lambda name: rollback("--from", name, "--out-events", "e.jsonl", events="events.v0.json"),
}
"""Every flag that names an input."""

Words = Callable[[str], tuple[str, ...]]
every_place = pytest.mark.parametrize(("flag", "words"), PLACES.items(), ids=PLACES)


def holds_events(flag: str) -> bool:
    return flag.endswith("events")


@every_place
def test_missing_file(desk: Desk, flag: str, words: Words) -> None:
    code = "FILE_NOT_FOUND" if holds_events(flag) else "BUNDLE_NOT_FOUND"
    error = desk.refuses(*words("nowhere.json"), code=code, says="'nowhere.json'")

    assert error["hint"]


@every_place
def test_folder_for_a_file(desk: Desk, flag: str, words: Words) -> None:
    (desk.folder / "sub.json").mkdir()
    code = "NOT_A_FILE" if holds_events(flag) else "BUNDLE_IS_A_FOLDER"
    desk.refuses(*words("sub.json"), code=code, says=("'sub.json'", "folder", "expected a"))


@every_place
def test_empty_file(desk: Desk, flag: str, words: Words) -> None:
    desk.put("zero.json", b"")
    code = "HISTORY_EMPTY" if holds_events(flag) else "BUNDLE_EMPTY"
    desk.refuses(*words("zero.json"), code=code, says=("'zero.json'", "empty", "expected a JSON"))


@every_place
def test_file_of_spaces(desk: Desk, flag: str, words: Words) -> None:
    desk.put("blank.json", b" \n\t\r\n")
    code = "JSON_INVALID" if holds_events(flag) else "BUNDLE_EMPTY"
    desk.refuses(*words("blank.json"), code=code, says=("'blank.json'", "expected a JSON"))


@every_place
def test_file_of_a_byte_order_mark_alone(desk: Desk, flag: str, words: Words) -> None:
    desk.put("bom.json", b"\xef\xbb\xbf")
    code = "HISTORY_EMPTY" if holds_events(flag) else "JSON_INVALID"
    desk.refuses(*words("bom.json"), code=code, says="'bom.json'")


@every_place
def test_file_in_place_of_a_folder(desk: Desk, flag: str, words: Words) -> None:
    code = "FILE_UNREADABLE" if holds_events(flag) else "BUNDLE_UNREADABLE"
    desk.refuses(*words("events.v0.json/e.json"), code=code, says="'events.v0.json/e.json'")


@every_place
def test_link_to_itself(desk: Desk, flag: str, words: Words) -> None:
    (desk.folder / "loop.json").symlink_to("loop.json")
    code = "FILE_UNREADABLE" if holds_events(flag) else "BUNDLE_UNREADABLE"
    desk.refuses(*words("loop.json"), code=code, says="'loop.json'")


@every_place
def test_link_to_nothing(desk: Desk, flag: str, words: Words) -> None:
    (desk.folder / "dangling.json").symlink_to("gone.json")
    code = "FILE_NOT_FOUND" if holds_events(flag) else "BUNDLE_NOT_FOUND"
    desk.refuses(*words("dangling.json"), code=code, says="'dangling.json'")


@every_place
@pytest.mark.parametrize("name", ["n" * 300 + ".json", "nul\0.json"], ids=["too-long", "nul"])
def test_name_that_no_file_can_have(desk: Desk, flag: str, words: Words, name: str) -> None:
    before = desk.state()
    said = desk.call(*words(name))

    assert desk.refused(said, before, code=said.error["code"])["code"].startswith(("FILE_", "BUNDLE_"))
    assert "\0" not in said.err


@pytest.mark.parametrize("flag", ["verify --events", "verify --bundle", "--to"])
def test_file_without_permission(desk: Desk, flag: str) -> None:
    desk.put("secret.json", desk.read("events.v0.json"))
    (desk.folder / "secret.json").chmod(0o600)
    before = desk.state()
    (desk.folder / "secret.json").chmod(0)
    said = desk.run(*PLACES[flag]("secret.json"), before=without_override)
    (desk.folder / "secret.json").chmod(0o600)
    code = "FILE_UNREADABLE" if holds_events(flag) else "BUNDLE_UNREADABLE"

    assert (said.code, said.error["code"]) == (2, code)
    assert "permission denied" in said.error["message"].lower()
    assert desk.state() == before


def test_names_are_shown_without_what_controls_a_terminal(desk: Desk) -> None:
    name = "a\x1b[31m\nb\u202e.json"
    before = desk.state()
    said = desk.call(*verify(name))

    desk.refused(said, before, code="FILE_NOT_FOUND", says="no such file")
    assert not set("\x1b\u202e") & set(said.err)
    assert said.err.count("\n") == 2  # the message and the hint


def test_name_that_is_not_text(desk: Desk) -> None:
    desk.refuses(*verify(os.fsdecode(b"caf\xe9.json")), code="ARGUMENT_NOT_TEXT", says="caf\\udce9")


@pytest.mark.parametrize(
    "name", ['it\'s "a" file; rm -rf.jsonl', "--tenant.jsonl", "ключ 😀.jsonl", " .jsonl", "a\nb.jsonl"]
)
def test_odd_names_are_names(desk: Desk, name: str) -> None:
    lines = b"".join(line + b"\n" for line in desk.read("events.v0.json")[1:-1].replace(b"}, {", b"}\n{").splitlines())
    desk.put(name, lines)

    assert desk.does("history-verify", f"--events={name}")["events"] == 5
    out = "out " + name
    desk.does(*dry_run(f"--out-events={out}"))
    assert (desk.folder / out).is_file()


def test_zero_bytes_of_lines_are_an_empty_history(desk: Desk) -> None:
    desk.put("zero.jsonl", b"")

    assert desk.does(*verify("zero.jsonl"))["events"] == 0
    assert desk.does(*verify("-"))["events"] == 0


def test_bundle_for_events(desk: Desk) -> None:
    error = desk.refuses(
        *verify("bundle.v0.json"), code="JSON_INVALID", says=("'bundle.v0.json'", "expected a JSON array", "'{'")
    )
    assert error["hint"] == "is this a bundle, perhaps? --events is for the history"
    (desk.folder / "b.jsonl").symlink_to("bundle.v0.json")
    found = desk.finds(*verify("b.jsonl"))

    assert found["history_integrity"]["counts"] == {"MALFORMED_EVENT": 1}
    assert "tenant_id: expected a string, found nothing" in found["history_integrity"]["findings"][0]["message"]


def test_events_for_a_bundle(desk: Desk) -> None:
    found = desk.finds(*preflight(source="events.v0.json"))["checks"]["from_bundle_valid"]

    assert found["problems"][0] == {"path": "$", "message": "expected a bundle, an object, found a list of 5"}
    assert found["problems_total"] == 1


def test_the_same_file_may_be_read_twice(desk: Desk) -> None:
    found = desk.finds(*preflight(to="bundle.v0.json"))

    assert "'v0_to_v1'" in found["checks"]["migration_exists"]["detail"]


def test_pipe_is_read_once(desk: Desk) -> None:
    reader, writer = os.pipe()
    os.write(writer, desk.read("events.v0.json"))
    os.close(writer)
    try:
        assert desk.does(*verify(f"/dev/fd/{reader}"))["events"] == 5
    finally:
        os.close(reader)


def test_device_that_is_empty(desk: Desk) -> None:
    assert Path("/dev/null").exists()
    assert desk.does(*verify("/dev/null"))["events"] == 0
    desk.refuses("history-verify", "--events", "events.v0.json", "--bundle", "/dev/null", code="BUNDLE_EMPTY")


def test_device_without_end(desk: Desk) -> None:
    desk.refuses(*verify("/dev/zero"), code="JSON_ENCODING", says="'/dev/zero' at line 1")
    desk.refuses(*preflight(to="/dev/zero"), code="BUNDLE_TOO_LARGE", says="'/dev/zero'")
