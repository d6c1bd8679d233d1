"""A desk with the runbook's files for every test of bad input."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from bad_input.desk import TEMPORARY, Desk
from e2e.shop import lay_out


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Desk:
    """The working folder, laid out with a small application, its history and a place for temporary files."""
    folder = tmp_path / "desk"
    folder.mkdir()
    (folder / TEMPORARY).mkdir()
    lay_out(folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(tempfile, "tempdir", str(folder / TEMPORARY))
    return Desk(folder, monkeypatch, capfdbinary)
