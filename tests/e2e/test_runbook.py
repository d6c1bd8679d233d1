"""The runbook's commands as they are written, in a shell, with `cicsc` in place of the old program."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.shop import lay_out

PREFLIGHT = r"""
cicsc migration-preflight \
  --from ./bundle.v0.json \
  --to ./bundle.v1.json \
  --events ./events.v0.json \
  --migration v0_to_v1
"""

DRY_RUN = r"""
cicsc migration-dry-run \
  --from ./bundle.v0.json \
  --to ./bundle.v1.json \
  --events ./events.v0.json \
  --migration v0_to_v1 \
  --artifact ./artifacts/migration-dry-run.json
"""

ROLLBACK = r"""
cicsc migration-rollback \
  --to ./bundle.v1.json \
  --events ./events.v1.json \
  --migration v0_to_v1 \
  --out-events ./events.v0.rolledback.json
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out(tmp_path)


def in_shell(script: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    function = 'cicsc() { "$PYTHON" -m cicsc "$@"; }\n'
    environment = {**os.environ, "PYTHON": sys.executable}
    return subprocess.run(
        ["sh", "-c", function + script], cwd=folder, env=environment, capture_output=True, check=False
    )


def test_preflight(folder: Path) -> None:
    done = in_shell(PREFLIGHT, folder)
    report = json.loads(done.stdout)

    assert (done.returncode, report["ok"], done.stderr) == (0, True, b"")
    assert list(report["checks"]) == [
        "from_bundle_valid",
        "to_bundle_valid",
        "migration_exists",
        "version_forward",
        "migration_total",
        "history_integrity",
        "replay_verification",
    ]
    assert all(check["ok"] for check in report["checks"].values())


def test_dry_run_records_its_artifact(folder: Path) -> None:
    done = in_shell(DRY_RUN, folder)
    report = json.loads(done.stdout)
    artifact = json.loads((folder / "artifacts" / "migration-dry-run.json").read_bytes())

    assert (done.returncode, report["ok"]) == (0, True)
    assert report["artifact_path"] == "./artifacts/migration-dry-run.json"
    assert artifact == report["artifact"]
    assert artifact["version"] == "cicsc/migration-dry-run-v1"
    assert (artifact["source_events"], artifact["migrated_events"]) == (5, 5)
    assert artifact["preflight"]["checks"]["migration_total"] == {"ok": True}


def test_dry_run_gives_the_same_bytes_again(folder: Path) -> None:
    artifact = folder / "artifacts" / "migration-dry-run.json"
    in_shell(DRY_RUN, folder)
    first = artifact.read_bytes()
    in_shell(f"export TZ=Asia/Tokyo PYTHONHASHSEED=7 LC_ALL=C\n{DRY_RUN}", folder)

    assert artifact.read_bytes() == first


def test_rollback_gives_the_history_back(folder: Path) -> None:
    in_shell(DRY_RUN.rstrip() + " --out-events ./events.v1.json\n", folder)
    done = in_shell(ROLLBACK, folder)
    report = json.loads(done.stdout)

    assert (done.returncode, report["ok"], report["rolled_back_events"]) == (0, True, 5)
    assert report["source_checked"] is False
    before, after = (digest(folder, name) for name in ("events.v0.json", "events.v0.rolledback.json"))
    assert before == after


def test_unsafe_rollback_says_why_and_writes_nothing(folder: Path) -> None:
    bundle = json.loads((folder / "bundle.v1.json").read_bytes())
    transforms = bundle["core_ir"]["migrations"]["v0_to_v1"]["event_transforms"]
    transforms["noted"] = {"drop": True}
    transforms["paid"]["payload_map"] = {"a": {"lit": {"int": 1}}}
    (folder / "bundle.v1.json").write_text(json.dumps(bundle))
    (folder / "events.v1.json").write_text("[]")
    done = in_shell(ROLLBACK, folder)
    report = json.loads(done.stdout)

    assert (done.returncode, report["ok"]) == (1, False)
    assert sorted(report["reasons"]) == ["dropped event 'noted'", "payload_map on 'paid'"]
    assert set(report["error"]) == {"code", "message", "hint"}
    assert not (folder / "events.v0.rolledback.json").exists()


def test_inputs_are_left_as_they_were(folder: Path) -> None:
    before = checksums(folder)
    in_shell(PREFLIGHT + DRY_RUN.replace("./artifacts/migration-dry-run.json", "./events.v0.json"), folder)

    assert checksums(folder) == before


@pytest.mark.parametrize("command", [PREFLIGHT, DRY_RUN, ROLLBACK], ids=["preflight", "dry-run", "rollback"])
def test_the_commands_are_those_of_the_runbook(command: str, checkout: Path) -> None:
    runbook = checkout.parent / "shared" / "runbook.md"
    if not runbook.is_file():
        pytest.skip("the runbook is not here")

    assert command.strip().replace("cicsc ", "node cli/cicsc.mjs ", 1) in runbook.read_text("utf-8")


def digest(folder: Path, name: str) -> str:
    done = in_shell(f"cicsc history-verify --events {name}", folder)
    return str(json.loads(done.stdout)["digest"])


def checksums(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}
