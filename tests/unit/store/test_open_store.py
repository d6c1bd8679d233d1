from __future__ import annotations

from pathlib import Path

import pytest

from cicsc.errors import StoreError, UsageError
from cicsc.store import open_store


def test_opening_creates_nothing(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/store.db") as store:
        assert store.schema_version() is None

    assert list(tmp_path.iterdir()) == []


def test_three_slashes_begin_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with open_store("sqlite:///my store%20.db") as store:
        store.initialise()

    assert (tmp_path / "my store%20.db").exists()


def test_what_is_no_text_is_no_url() -> None:
    with pytest.raises(UsageError, match=r"^cannot open a store: expected its URL as a string, found int$") as caught:
        open_store(5)  # type: ignore[arg-type]

    assert caught.value.code == "STORE_URL_INVALID"


@pytest.mark.parametrize(
    "url", ["", "store.db", "sqlite:", "sqlite://", "sqlite:///", "sqlite://store.db", "sqlite:///a\0b", "mysql://h/d"]
)
def test_url_that_names_no_store(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)

    assert caught.value.code == "STORE_URL_INVALID"
    assert caught.value.hint is not None
    assert "sqlite:///shop.db" in caught.value.hint


def test_password_of_a_url_is_not_told() -> None:
    with pytest.raises(UsageError) as caught:
        open_store("mysql://ann:secret@host/database")

    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_folder_has_to_be_there(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path}/missing/store.db") as store, pytest.raises(StoreError) as caught:
        store.initialise()

    assert caught.value.code == "STORE_UNREACHABLE"
    assert not (tmp_path / "missing").exists()
