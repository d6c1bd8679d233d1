"""The command line called in this process: exit code, the JSON object, and what stands on standard error."""

from __future__ import annotations

from pathlib import Path

import pytest

from cicsc.cli.main import main
from e2e.shop import lay_out
from unit.cli.calling import Call, Said


@pytest.fixture
def call(capfdbinary: pytest.CaptureFixture[bytes]) -> Call:
    def run(*words: str) -> Said:
        code = main(words)
        captured = capfdbinary.readouterr()
        return Said(code, captured.out, captured.err.decode())

    return run


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the runbook's files, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    return lay_out(tmp_path)
