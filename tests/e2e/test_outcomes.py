"""Exit codes and standard output of the whole program."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from e2e.running import COMMAND, migration, report, run
from e2e.shop import lay_out, long_history, source, write

LOCALES = [
    {"LC_ALL": "C"},
    {"PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out(tmp_path)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (migration("migration-preflight"), 0),
        (migration("migration-preflight", target="bundle.v1.diverging.json"), 1),
        (migration("migration-dry-run", target="bundle.v1.diverging.json"), 1),
        (migration("migration-preflight", "--expected-hash", "0" * 64), 1),
        (migration("migration-preflight", "--accept-source-violations", "total_is_negative"), 2),
        (migration("migration-preflight", target="nowhere.json"), 2),
        (migration("migration-preflight", target="."), 2),
        (migration("migration-dry-run", "--artifact", "bundle.v0.json"), 2),
        (migration("migration-dry-run", "--artifact", "bundle.v0.json/under/a/file.json"), 3),
        (("history-verify", "--events", "events.v0.json", "--bundle", "bundle.v0.json"), 0),
        (("history-verify", "--events", "bundle.v0.json"), 2),
        (("history-verify", "--events", "nowhere.jsonl"), 2),
        (("bundle-validate", "bundle.v0.json"), 0),
        (("bundle-validate", "events.v0.json"), 1),
        (("bundle-schema",), 0),
        (("no-such-verb",), 2),
        (("migration-preflight", "--nope"), 2),
    ],
)
def test_exit_codes_and_one_json_object(folder: Path, words: tuple[str, ...], code: int) -> None:
    done = run(*words, folder=folder)

    assert done.returncode == code
    assert report(done).get("ok", True) is (code == 0)
    if code >= 2:
        assert set(report(done)["error"]) == {"code", "message", "hint"}
    assert b"Traceback" not in done.stderr


def test_standard_input_is_a_history(folder: Path) -> None:
    done = run("history-verify", "--events", "-", folder=folder, stdin=(folder / "events.v0.json").read_bytes())

    assert (done.returncode, report(done)["events"]) == (0, 5)


def test_replay_prints_a_line_per_entity(folder: Path) -> None:
    done = run("history-replay", "--events", "events.v0.json", "--bundle", "bundle.v0.json", folder=folder)
    lines = [json.loads(line) for line in done.stdout.splitlines()]

    assert done.returncode == 0
    assert [(line["tenant_id"], line["entity_id"], line["state"], line["attrs"]["total"]) for line in lines] == [
        ("acme", "o1", "paid", 12),
        ("acme", "o2", "new", 7),
        ("bmart", "o1", "new", 3),
    ]


def test_replay_of_one_entity_step_by_step(folder: Path) -> None:
    entity = ("--tenant", "acme", "--type", "Order", "--id", "o1", "--steps")
    done = run("history-replay", "--events", "events.v0.json", "--bundle", "bundle.v0.json", *entity, folder=folder)

    assert [json.loads(line)["last_seq"] for line in done.stdout.splitlines()] == [1, 2, 3]


def test_replay_ends_with_the_error_on_one_line(folder: Path) -> None:
    bundle = source()
    del bundle["core_ir"]["types"]["Order"]["reducer"]["noted"]
    write(folder / "partial.json", bundle)
    done = run("history-replay", "--events", "events.v0.json", "--bundle", "partial.json", folder=folder)
    *snapshots, last = [json.loads(line) for line in done.stdout.splitlines()]

    assert (done.returncode, len(snapshots)) == (1, 3)
    assert (last["ok"], last["error"]["code"]) == (False, "NOT_REPLAYABLE")
    assert "'noted'" in last["error"]["message"]


@pytest.mark.parametrize("locale", LOCALES, ids="+".join)
def test_output_is_utf8_whatever_the_locale(folder: Path, locale: dict[str, str]) -> None:
    events = (folder / "events.v0.json").read_text("utf-8").replace("bmart", "b\u00fcro \u6f22")
    (folder / "events.v0.json").write_text(events, "utf-8")
    done = run(*migration("migration-dry-run", "--summary", "always"), folder=folder, environment=locale)

    assert done.returncode == 0
    assert "b\u00fcro \u6f22" in report(done)["artifact"]["heads"]
    assert b"safe to cut over" in done.stderr


@pytest.mark.parametrize("locale", LOCALES, ids="+".join)
def test_messages_survive_a_locale_that_cannot_show_them(folder: Path, locale: dict[str, str]) -> None:
    done = run("bundle-validate", "b\u00fcro.json", folder=folder, environment=locale)

    assert (done.returncode, report(done)["ok"]) == (2, False)
    assert b"Traceback" not in done.stderr


def test_a_reader_that_goes_away_leaves_the_verdict(folder: Path) -> None:
    script = '"$@" | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"'
    words = (*COMMAND, *migration("migration-preflight"))
    done = subprocess.run(["bash", "-c", script, "-", *words], cwd=folder, capture_output=True, check=False)

    assert (done.stdout, done.stderr) == (b"0\n", b"")


def test_a_reader_that_goes_away_cuts_a_replay_short(folder: Path) -> None:
    (folder / "long.jsonl").write_text("".join(long_history(2_000)))
    script = '"$@" | head -n 1; echo "${PIPESTATUS[0]}"'
    words = (*COMMAND, "history-replay", "--events", "long.jsonl", "--bundle", "bundle.v0.json")
    done = subprocess.run(["bash", "-c", script, "-", *words], cwd=folder, capture_output=True, check=False)
    first, code = done.stdout.splitlines()

    assert json.loads(first)["entity_id"] == "o0"
    assert (code, done.stderr) == (b"3", b"")


@pytest.mark.parametrize("mode", ["auto", "never"])  # it stands nowhere else, so it is told even where nothing is
def test_a_full_standard_output_is_work_not_done(folder: Path, mode: str) -> None:
    with Path("/dev/full").open("wb") as full:
        words = [*COMMAND, *migration("migration-preflight", "--summary", mode)]
        done = subprocess.run(words, cwd=folder, stdout=full, stderr=subprocess.PIPE, check=False)

    assert done.returncode == 3
    assert done.stderr.startswith(b"cicsc: cannot write the report to standard output: No space left on device\n")
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_closed_standard_output_is_refused_before_any_work(folder: Path) -> None:
    script = '"$@" >&-'
    words = (*COMMAND, *migration("migration-dry-run", "--artifact", "artifact.json"))
    done = subprocess.run(["bash", "-c", script, "-", *words], cwd=folder, capture_output=True, check=False)

    assert done.returncode == 3
    assert done.stderr.startswith(b"cicsc: standard output is closed")
    assert not (folder / "artifact.json").exists()


def test_a_closed_standard_error_changes_nothing(folder: Path) -> None:
    words = (*COMMAND, *migration("migration-preflight", "--summary", "always"))
    done = subprocess.run(["bash", "-c", '"$@" 2>&-', "-", *words], cwd=folder, capture_output=True, check=False)

    assert (done.returncode, report(done)["ok"]) == (0, True)


@pytest.mark.parametrize(("mode", "expected"), [("auto", False), ("always", True), ("never", False)])
def test_summary_appears_when_asked_for(folder: Path, mode: str, expected: bool) -> None:
    done = run(*migration("migration-preflight", "--summary", mode), folder=folder)

    assert (b"migration v0_to_v1: safe to cut over\n" in done.stderr) is expected
    assert b"\x1b" not in done.stderr


def test_never_keeps_standard_error_empty_also_on_errors(folder: Path) -> None:
    done = run("bundle-validate", "nowhere.json", "--summary", "never", folder=folder)

    assert (done.returncode, done.stderr) == (2, b"")
