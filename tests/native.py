"""With and without the native part of the package: tests that must hold either way ask for both."""

from __future__ import annotations

import shlex
import shutil
import sysconfig
from pathlib import Path

import pytest

from cicsc.history import native as part

WAYS = ("native", "pure")


def compiler() -> list[str] | None:
    """The command of the C compiler, if there is one with the headers of Python."""
    command = shlex.split(sysconfig.get_config_var("CC") or "cc")
    has_headers = Path(sysconfig.get_path("include"), "Python.h").exists()
    return command if has_headers and shutil.which(command[0]) else None


def go(way: str, patch: pytest.MonkeyPatch) -> None:
    """Let what follows, in this process and those it starts, read with the native part or without."""
    patch.setenv("CICSC_PURE", "1" if way == "pure" else "")
    patch.setattr(part, "_part", part._loaded())
    if way == "native" and part.native_part() is None:
        assert compiler() is None, "the package was built without its native part, though there is a compiler"
        pytest.skip("no C compiler, so the package is pure Python")
