"""Every relative link of a document leads to a file of the project, and every anchor to a heading."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from docs.documents import anchors, links, markdown_files, name_of, sections, tracked_files

DOCUMENTS = markdown_files()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_resolve(document: Path) -> None:
    targets = links(document.read_text("utf-8"))

    assert [target for target in targets if not _resolves(document, target)] == []


def _resolves(document: Path, target: str) -> bool:
    if target.startswith(("https://", "http://", "mailto:")):
        return True
    name, _, anchor = unquote(target).partition("#")
    path = (document.parent / name).resolve() if name else document
    if not _is_of_the_project(path):
        return False
    return not anchor or (path.suffix == ".md" and anchor in anchors(path.read_text("utf-8")))


def _is_of_the_project(path: Path) -> bool:
    return any(file == path or path in file.parents for file in tracked_files())


def test_links_are_found_outside_code_only() -> None:
    text = "[a](b.md#c) `[no](no.md)` [d](e.md 'x')\n```\n[no](no.md)\n```\n![f](<g.png>) [h](i_(j).md)\n"

    assert links(text) == ["b.md#c", "e.md", "g.png", "i_(j).md"]


def test_anchors_follow_the_headings() -> None:
    text = "# One `two`, three\n## Again\n## Again\n```sh\n# no heading\n```\n"

    assert anchors(text) == {"one-two-three", "again", "again-1"}


def test_sections_hold_their_subsections_and_blocks() -> None:
    text = "# A\na\n## `b`\nb\n```sh\n# no heading\n```\n### C\nc\n## D\nd\n"

    assert sections(text)["`b`"] == "## `b`\nb\n```sh\n# no heading\n```\n### C\nc"
