"""What a store on a server is called by, and what is said where its URL leads nowhere; no password is ever shown."""

from __future__ import annotations

import traceback

import pytest

from cicsc.errors import CicscError, StoreError, UsageError
from cicsc.store import open_store
from cicsc.store.postgres.address import parse_address

PASSWORD = "gr8%sEcret"


def shown(error: CicscError) -> str:
    return f"{error!r} {error.message} {error.hint} {''.join(traceback.format_exception(error))}"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://ann@db.example:6432/shop", "postgresql://ann@db.example:6432/shop"),
        ("postgresql://ann:secret@db.example/shop", "postgresql://ann@db.example/shop"),
        ("postgresql://db.example/shop?user=ann&password=secret", "postgresql://ann@db.example/shop"),
        ("postgres://ann@/shop?host=/run/postgresql", "postgresql://ann@/run/postgresql/shop"),
        ("postgresql://?hostaddr=127.0.0.1", "postgresql://127.0.0.1/"),
        ("postgresql://?service=shop&password=secret", "postgresql:///?service=shop"),
    ],
)
def test_address_is_named_without_its_password(url: str, name: str) -> None:
    address = parse_address(url)

    assert address.name == name
    assert "secret" not in repr(address)


def test_address_names_what_the_environment_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGUSER", "ann")
    monkeypatch.setenv("PGPASSWORD", "secret")

    assert parse_address("postgresql:///shop").name == "postgresql://ann@db.example/shop"
    assert parse_address("postgresql://bob@/?service=shop").name == "postgresql://bob@/?service=shop"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{PASSWORD}@db.example/shop",  # % is not followed by two digits
        "postgresql://ann:gr8sEcret@db.example/shop?unheard=of",
        "postgresql://ann:gr8sEcret@[::1/shop",
    ],
)
def test_url_that_cannot_be_understood_is_not_shown(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_store(url)

    assert caught.value.code == "STORE_URL_INVALID"
    assert "sEcret" not in shown(caught.value)


def test_each_server_that_was_tried_is_told() -> None:
    url = "postgresql://ann:gr8sEcret@127.0.0.1:1,127.0.0.2:2/shop"

    with open_store(url) as store, pytest.raises(StoreError) as caught:
        store.schema_version()

    assert caught.value.code == "STORE_UNREACHABLE"
    assert 'server at "127.0.0.1", port 1' in caught.value.message
    assert 'server at "127.0.0.2", port 2' in caught.value.message
    assert "PGPASSWORD" in str(caught.value.hint)
    assert "sEcret" not in shown(caught.value)


def test_parameter_that_the_driver_refuses_is_a_wrong_call() -> None:
    with (
        open_store("postgresql://ann@db.example/shop?connect_timeout=soon") as store,
        pytest.raises(UsageError) as caught,
    ):
        store.schema_version()

    assert caught.value.code == "STORE_URL_INVALID"
    assert "bad value for connect_timeout: 'soon'" in caught.value.message
