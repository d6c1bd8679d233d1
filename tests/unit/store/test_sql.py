from __future__ import annotations

from pathlib import Path

import pytest

from cicsc.store.sql import read_queries, read_script


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package, named as no other, to put files into."""
    folder = tmp_path / f"package_of_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_script_is_the_whole_file(package: Path) -> None:
    (package / "a.sql").write_text("-- é\nselect 1;\n", "utf-8")

    assert read_script(package.name, "a.sql") == "-- é\nselect 1;\n"


def test_queries_go_by_their_names(package: Path) -> None:
    text = "-- What they are for.\n\n-- name: one\nselect 1;\n\n-- name: two\nselect 2 -- here\nfrom t\n;\n"
    (package / "q.sql").write_text(text, "utf-8")

    queries = read_queries(package.name, "q.sql")

    assert dict(queries) == {"one": "select 1", "two": "select 2 -- here\nfrom t\n"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("select 1;\n-- name: one\nselect 1;\n", "before the first name"),
        ("-- name: one\nselect 1;\n-- name: one\nselect 2;\n", "twice"),
        ("-- name: one\n\n-- name: two\nselect 2;\n", "without a statement"),
    ],
    ids=["before", "twice", "empty"],
)
def test_file_that_is_not_one_of_queries(package: Path, text: str, what: str) -> None:
    (package / "q.sql").write_text(text, "utf-8")

    with pytest.raises(ValueError, match=what):
        read_queries(package.name, "q.sql")
