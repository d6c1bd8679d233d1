"""Behaviour as data: each folder beside this file is one case, run through the command line in process.

A case holds its inputs and `expected.json`:

    why      the sentence of the description that the case shows, such as "formats 4: drop wins over everything"
    prepare  optional: {"events.jsonl.gz": "events.jsonl"}, files compressed from others before the first run
    run      a list of calls, in order, each with
             command    what stands after `cicsc`, quoted as in a shell, with paths inside the folder
             stdin      optional: the file that standard input reads
             exit       the exit code
             stdout     optional: what standard output must hold, a list where it is JSON Lines
             files      optional: {"artifact.json": what it must hold, "out.jsonl": {"$lines": [...]},
                        "copy.json": {"$same_as": "other.json"}}
             no_files   optional: paths that must not exist afterwards

What must be held is a subset (`subset`). Whatever a case says, a call that fails must print one JSON
object with ok false, every file that it was given must be unchanged, and where the oracle can be asked
(`oracle_view`) it must agree with the artifact.
"""

from __future__ import annotations

import gzip
import io
import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cases.oracle_view import disagreements
from cases.subset import differences
from cicsc.cli.main import main

HERE = Path(__file__).parent
FOLDERS = sorted(path for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__")
CASE_KEYS = {"why", "prepare", "run"}
RUN_KEYS = {"command", "stdin", "exit", "stdout", "files", "no_files"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_case(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    case = read_case(folder)
    work = tmp_path / "case"
    shutil.copytree(folder, work)
    monkeypatch.chdir(work)
    for name, plain in case.get("prepare", {}).items():
        compress(work / plain, work / name)
    for call in case["run"]:
        before = {path: path.read_bytes() for path in work.iterdir() if path.is_file()}
        exit_code, output, errors = run_cli(call, monkeypatch, capfdbinary)
        said = f"{case['why']}\ncicsc {call['command']}\n{output.decode()}{errors.decode()}"
        assert exit_code == call["exit"], said
        found = [
            *stdout_differences(call, output),
            *file_differences(call, work),
            *changed_inputs(call, before),
            *disagreements(call, output, work),
        ]
        assert not found, "\n".join(found) + "\n" + said


def read_case(folder: Path) -> dict[str, Any]:
    """The expectation of a case, whose keys are all known, so that a misspelt one cannot be passed over."""
    path = folder / "expected.json"
    assert path.is_file(), f"{folder.name} has no expected.json"
    case: dict[str, Any] = json.loads(path.read_bytes())
    unknown = {*(case.keys() - CASE_KEYS), *(key for call in case["run"] for key in call.keys() - RUN_KEYS)}
    assert not unknown, f"{folder.name} holds unknown keys: {sorted(unknown)}"
    assert case["why"], folder.name
    assert case["run"], folder.name
    return case


def compress(plain: Path, target: Path) -> None:
    """Write a compressed copy of a file."""
    packed = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
    target.write_bytes(packed[target.suffix](plain.read_bytes()))


def run_cli(
    call: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[bytes]
) -> tuple[int, bytes, bytes]:
    """The exit code of a call and what it printed."""
    given = Path(call["stdin"]).read_bytes() if "stdin" in call else b""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    capture.readouterr()
    exit_code = main(shlex.split(call["command"]))
    output, errors = capture.readouterr()
    return exit_code, output, errors


def stdout_differences(call: dict[str, Any], output: bytes) -> list[str]:
    """What is wrong with standard output, beginning with what holds for every call that fails."""
    wanted = call.get("stdout")
    if call["exit"] == 0 and wanted is None:
        return []
    lines = [json.loads(line) for line in output.splitlines()] if isinstance(wanted, list) else None
    document = lines if lines is not None else json.loads(output)
    found = [] if call["exit"] == 0 else failure_differences(lines[-1] if lines else document, call["exit"])
    return found if wanted is None else [*found, *differences(wanted, document, "stdout")]


def failure_differences(document: object, exit_code: int) -> list[str]:
    """A call that fails says so; one that is wrong or could not be done says what happened and what to do."""
    found = differences({"ok": False}, document, "stdout")
    if exit_code > 1 and not found:
        assert isinstance(document, dict)
        error = document.get("error")
        if not isinstance(error, dict) or error.keys() < {"code", "message", "hint"}:
            found.append(f"stdout.error: expected code, message and hint, found {error!r}")
    return found


def file_differences(call: dict[str, Any], work: Path) -> list[str]:
    """What is wrong with the files that a call wrote, or should not have written."""
    found = [f"{name}: expected no file" for name in call.get("no_files", []) if (work / name).exists()]
    for name, wanted in call.get("files", {}).items():
        path = work / name
        if not path.is_file():
            found.append(f"{name}: expected a file")
        elif "$same_as" in wanted:
            same = path.read_bytes() == (work / wanted["$same_as"]).read_bytes()
            found += [] if same else [f"{name}: expected the bytes of {wanted['$same_as']}"]
        elif "$lines" in wanted:
            lines = [json.loads(line) for line in unpacked(path).splitlines()]
            found += differences(wanted["$lines"], lines, name)
        else:
            found += differences(wanted.get("$document", wanted), json.loads(unpacked(path)), name)
    return found


def unpacked(path: Path) -> bytes:
    """The content of a file, whether compressed or not."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def changed_inputs(call: dict[str, Any], before: dict[Path, bytes]) -> list[str]:
    """The files that a call changed and was not asked for."""
    asked = {Path(name).name for name in call.get("files", {})}
    return [
        f"{path.name}: was changed"
        for path, data in before.items()
        if path.name not in asked and (not path.exists() or path.read_bytes() != data)
    ]
