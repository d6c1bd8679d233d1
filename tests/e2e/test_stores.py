"""The way of a history into a store, through a dry run, and out again, with the real command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bad_input.privileges import without_override
from e2e.running import COMMAND, report, run
from e2e.shop import lay_out, long_history

STORY = r"""
set -e
cicsc store-init
cicsc tenant-create --tenant acme --bundle bundle.v0.json
cicsc tenant-create --tenant bmart --bundle bundle.v0.json
cicsc history-import --events events.v0.json
cicsc tenant-list
cicsc store-check
cicsc migration-preflight --all --to bundle.v1.json --migration v0_to_v1
cicsc migration-dry-run --tenant acme --to bundle.v1.json --migration v0_to_v1 --artifact plan.json
cicsc history-verify --all
cicsc history-export --all --out-events out.jsonl
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out(tmp_path)


def test_story(folder: Path) -> None:
    function = 'cicsc() { "$PYTHON" -m cicsc "$@"; }\n'
    environment = {**os.environ, "PYTHON": sys.executable, "CICSC_STORE": "sqlite:///shop.db"}
    done = subprocess.run(["sh", "-c", function + STORY], cwd=folder, env=environment, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, b"")
    artifact = json.loads((folder / "plan.json").read_bytes())
    assert artifact["heads"]["acme"]["generation"] == 1
    digests = [
        report(run("history-verify", "--events", name, folder=folder))["digest"]
        for name in ("events.v0.json", "out.jsonl")
    ]
    assert digests[0] == digests[1]


RIGHTS = "give this user the right"
FURTHER_PLACES = (
    ("events.v0.json/shop.db", "there is no folder", "make the folder"),
    ("shut", "it is a folder", "name a file inside it"),
    ("pipe", "it is no regular file", "name a file"),
    ("loop.db", "unable to open database file", "see whether the path leads to a file"),
    ("n" * 300, "its name has 300 bytes", "name another place"),
    ("shut/shop.db", "permission denied", RIGHTS),
    ("closed/shop.db", "no file may be made in its folder", RIGHTS),
    ("closed/there.db", "no file may be made in its folder", RIGHTS),
    ("read_only.db", "the file may not be read and written", RIGHTS),
)


@pytest.mark.parametrize(
    ("place", "cause", "next_step"),
    [
        ("no/such/shop.db", "there is no folder", "make the folder"),
        ("secret.db", "the file may not be read and written", RIGHTS),
        *(pytest.param(*place, marks=pytest.mark.slow) for place in FURTHER_PLACES),
    ],
)
def test_place_that_cannot_hold_a_store(folder: Path, place: str, cause: str, next_step: str) -> None:
    closed = folder / "closed"
    closed.mkdir()
    for name in ("closed/there.db", "secret.db"):
        run("store-init", "--store", f"sqlite:///{name}", folder=folder)
    (folder / "read_only.db").touch(mode=0o444)
    (folder / "loop.db").symlink_to("loop.db")
    os.mkfifo(folder / "pipe")
    (folder / "secret.db").chmod(0)
    (folder / "shut").mkdir(mode=0)
    closed.chmod(0o555)
    done = without_rights("store-init", "--store", f"sqlite:///{place}", folder=folder)
    closed.chmod(0o755)
    error = report(done)["error"]

    assert (done.returncode, error["code"]) == (3, "STORE_UNREACHABLE")
    assert f"{place}': {cause}" in error["message"]
    assert next_step in error["hint"]
    assert not (closed / "shop.db").exists()


def test_missing_folder_is_named_before_store_init_is(folder: Path) -> None:
    error = report(run("tenant-list", "--store", "sqlite:///no/shop.db", folder=folder))["error"]

    assert error["code"] == "STORE_NOT_INITIALISED"
    assert "there is no folder" in error["message"]
    assert error["hint"].startswith("make the folder")


def test_store_that_cannot_be_written_to(folder: Path) -> None:
    run("store-init", "--store", "sqlite:///shop.db", folder=folder)
    (folder / "shop.db").chmod(0o444)
    words = ("tenant-create", "--store", "sqlite:///shop.db", "--tenant", "t", "--bundle", "bundle.v0.json")
    done = without_rights(*words, folder=folder)

    assert (done.returncode, report(done)["error"]["code"]) == (3, "STORE_UNREACHABLE")
    assert RIGHTS in report(done)["error"]["hint"]


def without_rights(*words: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run as a user that permissions hold for."""
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, check=False, preexec_fn=without_override)


def test_psycopg_that_is_not_installed(folder: Path) -> None:
    (folder / "psycopg.py").write_text("raise ImportError('not here')\n")
    search = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = run("tenant-list", "--store", "postgresql://h/d", folder=folder, environment={"PYTHONPATH": search})

    assert (done.returncode, report(done)["error"]["code"]) == (2, "STORE_DRIVER_MISSING")
    assert "cicsc[postgres]" in report(done)["error"]["hint"]


@pytest.mark.slow
def test_import_that_is_interrupted_can_be_run_again(folder: Path) -> None:
    store = ("--store", "sqlite:///shop.db")
    run("store-init", *store, folder=folder)
    run("tenant-create", *store, "--tenant", "acme", "--bundle", "bundle.v0.json", folder=folder)
    (folder / "long.jsonl").write_text("".join(long_history(20_000)))
    work = subprocess.Popen(
        [*COMMAND, "history-import", *store, "--events", "long.jsonl"], cwd=folder, stdout=subprocess.PIPE
    )
    wal = folder / "shop.db-wal"
    while work.poll() is None and not (wal.exists() and wal.stat().st_size > 100_000):
        time.sleep(0.005)
    work.send_signal(signal.SIGINT)
    out, _ = work.communicate()

    assert (work.returncode, json.loads(out)["error"]["code"]) == (3, "INTERRUPTED")
    again = report(run("history-import", *store, "--events", "long.jsonl", folder=folder))
    assert (again["ok"], again["tenants"][0]["events"], again["tenants"][0]["snapshots"]) == (True, 60_000, 20_000)
    assert report(run("store-check", *store, folder=folder))["ok"] is True
