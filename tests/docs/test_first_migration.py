"""The first migration goes as its page tells: refused as it stands, safe with one more transform, reversible with an inverse."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from cicsc.cli.main import main
from docs.documents import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (CHECKOUT / "docs" / "first-migration.md").read_text("utf-8")
SOURCE, TARGET, TRANSFORM, INVERSE = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
HISTORY = re.findall(r"^```jsonl\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
TOLD = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PREFLIGHT = (
    "migration-preflight", "--from", "bundle.v1.json", "--to", "bundle.v2.json", "--events", "events.jsonl",
    "--migration", "v1_to_v2", "--summary", "always",
)  # fmt: skip


def corrected(*, inverse: bool) -> dict[str, Any]:
    """The target bundle with the transform that the page adds, and the inverse."""
    document: dict[str, Any] = json.loads(TARGET)
    migration = document["core_ir"]["migrations"]["v1_to_v2"]
    migration["event_transforms"] |= json.loads(f"{{{TRANSFORM}}}")
    return document if not inverse else (migration.update(json.loads(f"{{{INVERSE}}}")) or document)


@pytest.mark.parametrize(
    ("target", "exit_code", "told"),
    [
        (json.loads(TARGET), 1, TOLD[0]),
        (corrected(inverse=False), 0, TOLD[1]),
        (corrected(inverse=True), 0, TOLD[2]),
    ],
    ids=["forgotten", "mended", "with-inverse"],
)
def test_what_the_page_tells(
    target: dict[str, Any],
    exit_code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("bundle.v1.json", SOURCE), ("bundle.v2.json", json.dumps(target)), ("events.jsonl", HISTORY)):
        (tmp_path / name).write_text(text)

    assert main(["bundle-validate", "bundle.v1.json", "bundle.v2.json"]) == 0
    assert main(["history-verify", "--events", "events.jsonl", "--bundle", "bundle.v1.json"]) == 0
    assert main(PREFLIGHT) == exit_code
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in told.splitlines() if line.strip() != "..." and line not in lines] == []
