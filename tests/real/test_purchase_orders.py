"""The purchase order example: on its excerpt, and (slow) on the complete log of 338,247 events it was taken from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.documents import shell_script
from real.calling import call, example_of

EXCERPT_DIGEST = "da2eb8f727eb48deb7217c1dd7ebff8412c5c5ad29e7102a270737315c11579f"


@pytest.fixture(scope="module")
def example(checkout: Path) -> Path:
    return checkout / "examples" / "purchase_orders"


@pytest.fixture(scope="module")
def log(real_logs: Path) -> Path:
    return real_logs / "bpic2019_purchase_items.jsonl.gz"


def migration(example: Path, target: str, events: Path) -> list[object]:
    """The flags of the example's migration to one of its targets."""
    source = example / "bundle.v1.json"
    return ["--from", source, "--to", example / target, "--events", events, "--migration", "v1_to_v2"]


def test_excerpt_migrates_and_means_the_same_after_every_event(example: Path) -> None:
    flags = migration(example, "bundle.v2.json", example / "events.jsonl")
    dry_run = call("migration-dry-run", *flags, "--equivalence", "every-event")

    artifact = dry_run["artifact"]
    assert dry_run.exit_code == 0
    assert (artifact["source_events"], artifact["migrated_events"]) == (3_895, 3_863)
    assert artifact["source_digest"] == EXCERPT_DIGEST
    assert artifact["migrated_digest"] == "70f15eac94a6c273462f2d3bd6d155bf722a66ff21da1ad4ff9704d78b5f4c5c"
    assert artifact["preflight"]["verify"]["source_verify"]["entities_count"] == 324


def test_excerpt_refuses_the_broken_version(example: Path) -> None:
    refused = call("migration-preflight", *migration(example, "bundle.v2.broken.json", example / "events.jsonl"))

    assert refused.exit_code == 1
    diverged = refused["verify"]["equivalence"]["diverged_by_field"]
    assert diverged == {"purchase_order_item.attrs.net_receipts": 32}
    assert example_of(refused) == ("4507001690_00010", 2, "Cancel Goods Receipt", "attrs.net_receipts", -1, 1)


def test_excerpt_rolls_back_from_the_reversible_version(example: Path, tmp_path: Path) -> None:
    renamed, target = tmp_path / "renamed.jsonl", "bundle.v2.reversible.json"
    call("migration-dry-run", *migration(example, target, example / "events.jsonl"), "--out-events", renamed)

    back = call("migration-rollback", *migration(example, target, renamed))

    assert back.exit_code == 0
    assert (back["rolled_back_events"], back["rolled_back_digest"]) == (3_895, EXCERPT_DIGEST)


@pytest.mark.slow
@pytest.mark.parametrize("document", ["README.md", "docs/runbook.md"])
def test_story_of_a_document_runs_as_printed(document: str, checkout: Path, example: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(example, tmp_path / "example")
    script = shell_script((checkout / document).read_text("utf-8"))

    told = subprocess.run(
        ["sh", "-exc", f"cicsc() {{ '{sys.executable}' -m cicsc \"$@\"; }}\n{script}"],
        cwd=folder,
        capture_output=True,
        check=False,
    )
    back = call("history-verify", "--events", folder / "events.v1.jsonl", "--expected-hash", EXCERPT_DIGEST)

    assert told.returncode == 0, told.stderr.decode() + told.stdout.decode()
    assert back.exit_code == 0


@pytest.mark.slow
def test_demo_runs_and_leaves_everything_in_its_folder(example: Path, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "cicsc"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cicsc "$@"\n', "utf-8")
    command.chmod(0o755)
    searched = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    before = sorted(example.iterdir())

    demo, second = (
        subprocess.run(
            ["sh", example / "run.sh", tmp_path / "demo"], env=searched, cwd=tmp_path, capture_output=True, check=False
        )
        for _ in range(2)
    )

    assert demo.returncode == 0, demo.stderr.decode()
    assert b"refused, as it must be" in demo.stdout
    assert (second.returncode, second.stdout) == (2, b"")
    assert b"demo holds the store of an earlier run; name another folder" in second.stderr
    assert sorted(example.iterdir()) == before
    assert {"artifact.json", "events.back.jsonl", "refused.json"} <= {
        path.name for path in (tmp_path / "demo").iterdir()
    }


@pytest.mark.slow
def test_complete_log_migrates_and_means_the_same(example: Path, log: Path) -> None:
    dry_run = call("migration-dry-run", *migration(example, "bundle.v2.json", log), "--equivalence", "every-event")

    artifact = dry_run["artifact"]
    assert dry_run.exit_code == 0
    assert (artifact["source_events"], artifact["migrated_events"]) == (338_247, 337_880)
    assert artifact["source_digest"] == "15e97bc47d403911e8dc95a71027e762aaea1377821b840d151a59ea316596d9"
    assert artifact["migrated_digest"] == "e92e11aeac3199bbdcac34023320c6c6772969616667000727a497077ba764af"
    assert artifact["preflight"]["verify"]["source_verify"]["entities_count"] == 11_973


@pytest.mark.slow
def test_complete_log_refuses_the_broken_version(example: Path, log: Path) -> None:
    refused = call("migration-preflight", *migration(example, "bundle.v2.broken.json", log))

    assert refused.exit_code == 1
    diverged = refused["verify"]["equivalence"]["diverged_by_field"]
    assert diverged == {"purchase_order_item.attrs.net_receipts": 945}
    assert example_of(refused) == ("4507001690_00010", 2, "Cancel Goods Receipt", "attrs.net_receipts", -1, 1)


@pytest.mark.slow
def test_complete_log_rolls_back_from_the_reversible_version(example: Path, log: Path, tmp_path: Path) -> None:
    renamed, target = tmp_path / "renamed.jsonl", "bundle.v2.reversible.json"
    forward = call("migration-dry-run", *migration(example, target, log), "--out-events", renamed)

    back = call("migration-rollback", *migration(example, target, renamed))

    assert (forward.exit_code, back.exit_code) == (0, 0)
    assert forward["artifact"]["migrated_digest"] == "3ba6d9d02038355b7bcf4ebe4e43809706ba840d8450f5094522133384fa013f"
    assert back["rolled_back_digest"] == forward["artifact"]["source_digest"]
