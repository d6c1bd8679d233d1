"""What may not stand in the tree: addresses nobody expects, folders of one machine, unhashed or differing pins."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from docs.documents import CHECKOUT, markdown_files, name_of, tracked_files

REQUIREMENTS = sorted((CHECKOUT / "requirements").glob("*.txt"))
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))

# Addresses are for readers: standards, licences, sources of data and of this project. A package index is never one.
KNOWN_HOSTS = frozenset(
    {
        "creativecommons.org",
        "data.4tu.nl",
        "doi.org",
        "github.com",
        "json-schema.org",
        "keepachangelog.com",
        "no-color.org",
        "semver.org",
        "spdx.org",
        "www.apache.org",
        "www.rfc-editor.org",
    }
)
_HOST = re.compile(r"\b(?:https?|ftp|file)://([\w.-]+)")
_RESERVED_HOST = re.compile(r"(?:.*\.)?(?:example(?:\.(?:com|org|net))?|invalid|test|localhost)")  # RFC 2606
_FOLDER_OF_ONE_MACHINE = re.compile(r"(?<![\w.~$})*-])/(?:home|root|Users|work|opt|mnt|media)/[\w.]")
_PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[\w.]+)(?: ; [\w.'<>=!* ]+)?(?P<hashes>(?: --hash=sha256:[0-9a-f]{64})+)"
)


def _readable(path: Path) -> str:
    """The text of a file, or nothing when it holds no text."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return ""


def _pins(path: Path) -> dict[str, str]:
    """Name and version of every pin; a line that is not exactly a hashed pin is an error."""
    lines = path.read_text("utf-8").replace(" \\\n    ", " ").splitlines()
    matches = [(line, _PIN.fullmatch(line)) for line in lines]
    assert [line for line, match in matches if match is None] == []
    return {match["name"]: match["version"] for _, match in matches if match}


def _name(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement)[0].lower()


def test_addresses_are_known() -> None:
    found = {(name_of(path), host) for path in tracked_files() for host in _HOST.findall(_readable(path))}

    assert sorted((p, h) for p, h in found if h not in KNOWN_HOSTS and not _RESERVED_HOST.fullmatch(h)) == []


def test_no_folder_of_one_machine_is_named() -> None:
    found = {
        (name_of(path), match) for path in tracked_files() for match in _FOLDER_OF_ONE_MACHINE.findall(_readable(path))
    }

    assert sorted(found) == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=name_of)
def test_requirements_are_hashed_pins_and_nothing_else(path: Path) -> None:
    assert _pins(path)


def test_requirements_agree_with_each_other() -> None:
    versions: dict[str, set[str]] = {}
    for path in REQUIREMENTS:
        for name, version in _pins(path).items():
            versions.setdefault(name, set()).add(version)

    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("runtime", PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["build"]),
        ("runtime", PYPROJECT["build-system"]["requires"]),
        ("test", PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["test"]),
        ("test", [name for extra in PYPROJECT["project"]["optional-dependencies"].values() for name in extra]),
        ("check", PYPROJECT["dependency-groups"]["check"]),
        ("mutation", PYPROJECT["dependency-groups"]["mutation"]),
        ("benchmark", PYPROJECT["dependency-groups"]["benchmark"]),
        ("lock", PYPROJECT["dependency-groups"]["lock"]),
    ],
)
def test_requirements_hold_all_that_pyproject_asks_for(file: str, asked: list[str]) -> None:
    pinned = _pins(CHECKOUT / "requirements" / f"{file}.txt")

    assert [requirement for requirement in asked if _name(requirement) not in pinned] == []


def test_documents_end_with_one_newline_and_hold_no_trailing_blanks() -> None:
    texts = {name_of(path): path.read_text("utf-8") for path in markdown_files()}

    assert [name for name, text in texts.items() if not text.endswith("\n") or text.endswith("\n\n")] == []
    assert [name for name, text in texts.items() if re.search(r"[ \t]+$", text, re.MULTILINE)] == []


def test_changelog_opens_with_unreleased() -> None:
    versions = re.findall(r"^## \[(.*?)\]", (CHECKOUT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)

    assert versions[0] == "Unreleased"
