"""An operator's folder, in which a call that goes wrong must change nothing.

A `Desk` calls the command line in this process, or as a process of its own where limits, signals or
privileges are at stake. Whatever is asserted about a refusal beyond that stands in `refused`: exit code,
one JSON object, an error that names things, no traceback, and a folder that is byte for byte as before.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cicsc.cli.main import main
from e2e.running import COMMAND

Json = dict[str, Any]

SMALL_MEMORY = (sys.executable, str(Path(__file__).with_name("small_memory.py")))
"""The same program, with a budget as its first argument."""

TEMPORARY = "tmp"
"""The folder of temporary files, which is part of the desk, so that nothing may be left in it."""


@dataclass(frozen=True)
class Said:
    """What a call came to."""

    code: int
    out: bytes
    err: str

    @property
    def report(self) -> Json:
        found = json.loads(self.out.decode("utf-8"))
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> Json:
        assert self.report["ok"] is False, self
        error = self.report["error"]
        assert error.keys() == {"code", "message", "hint"}, self
        assert isinstance(error["message"], str), self
        assert error["message"], self
        return dict(error)


@dataclass
class Desk:
    folder: Path
    _monkeypatch: pytest.MonkeyPatch
    _capture: pytest.CaptureFixture[bytes]

    def put(self, name: str, content: bytes | str | object) -> str:
        """Write a file, a document that is neither bytes nor text as JSON, and return its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return name

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def call(self, *words: str, stdin: bytes = b"") -> Said:
        """Call in this process."""
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capture.readouterr()
        code = main(words)
        out, err = self._capture.readouterr()
        return Said(code, out, err.decode())

    def run(
        self,
        *words: str,
        before: Callable[[], None] | None = None,
        environment: dict[str, str] | None = None,
        program: Sequence[str] = COMMAND,
        stdin: bytes = b"",
    ) -> Said:
        """Call in a process of its own, in which `before` runs first."""
        with self.start(*words, before=before, environment=environment, program=program) as process:
            out, err = process.communicate(stdin, timeout=120)
        return Said(process.returncode, out, err.decode())

    def start(
        self,
        *words: str,
        before: Callable[[], None] | None = None,
        environment: dict[str, str] | None = None,
        program: Sequence[str] = COMMAND,
    ) -> subprocess.Popen[bytes]:
        """Start a process that reads the test's pipe, and keeps its temporary files on the desk."""
        own = {"TMPDIR": str(self.folder / TEMPORARY), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [*program, *words],
            cwd=self.folder,
            env={**os.environ, **own, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=before,  # noqa: PLW1509 (the tests start no threads)
        )

    def refuses(
        self, *words: str, code: str, exit_code: int = 2, says: str | tuple[str, ...] = (), stdin: bytes = b""
    ) -> Json:
        """Call in this process, assert that the call is refused and changes nothing, and return the error."""
        before = self.state()
        return self.refused(self.call(*words, stdin=stdin), before, code=code, exit_code=exit_code, says=says)

    def refused(
        self, said: Said, before: dict[str, str], *, code: str, exit_code: int = 2, says: str | tuple[str, ...] = ()
    ) -> Json:
        """Assert that a call was refused as asked, and that the desk is as it was before."""
        error = said.error
        assert (said.code, error["code"]) == (exit_code, code), said
        for words in (says,) if isinstance(says, str) else says:
            assert words in error["message"], (words, error["message"])
        self._is_quiet(said)
        assert said.err.startswith("cicsc: "), said.err
        assert self.state() == before
        return error

    def finds(self, *words: str, stdin: bytes = b"") -> Json:
        """Call in this process, assert that the verdict is no and nothing changed, and return the report."""
        before = self.state()
        said = self.call(*words, stdin=stdin)
        assert (said.code, said.report["ok"]) == (1, False), said
        self._is_quiet(said)
        assert self.state() == before
        return said.report

    def does(self, *words: str, stdin: bytes = b"") -> Json:
        """Call in this process, assert that all is well, and return the report."""
        said = self.call(*words, stdin=stdin)
        assert (said.code, said.report["ok"]) == (0, True), said
        self._is_quiet(said)
        return said.report

    def state(self) -> dict[str, str]:
        """Every file and folder of the desk, links and temporary files included, with its mode and digest."""
        return {path.relative_to(self.folder).as_posix(): _described(path) for path in sorted(self.folder.rglob("*"))}

    def _is_quiet(self, said: Said) -> None:
        for trace in ("Traceback", "Exception ignored", "Error:", "INTERNAL_ERROR"):
            assert trace not in said.err, said.err
        assert b"INTERNAL_ERROR" not in said.out, said.out


def _described(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    if stat.S_ISREG(mode):
        return f"{stat.filemode(mode)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return stat.filemode(mode)


def verify(events: str, *more: str) -> tuple[str, ...]:
    """The words of a call that only reads a history."""
    return ("history-verify", "--events", events, *more)


def preflight(**files: str) -> tuple[str, ...]:
    return _on_files("migration-preflight", files)


def dry_run(*more: str, **files: str) -> tuple[str, ...]:
    return (*_on_files("migration-dry-run", files), *more)


def rollback(*more: str, **files: str) -> tuple[str, ...]:
    """The words of a rollback of what the desk's dry run writes, without its source bundle."""
    given = {"to": "bundle.v1.json", "events": "events.v1.jsonl", "migration": "v0_to_v1", **files}
    return ("migration-rollback", *_flags(given), *more)


def _on_files(verb: str, files: dict[str, str]) -> tuple[str, ...]:
    given = {
        "source": "bundle.v0.json",
        "to": "bundle.v1.json",
        "events": "events.v0.json",
        "migration": "v0_to_v1",
        **files,
    }
    return (verb, *_flags(given))


def _flags(given: dict[str, str]) -> tuple[str, ...]:
    names = {"source": "--from"}
    return tuple(word for name, value in given.items() for word in (names.get(name, f"--{name}"), value))
