"""What the page on applications shows runs on a SQLite store; on PostgreSQL the tests of rights run its SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import cicsc
from cicsc.bundle.load import load_bundle
from conformance.store.desk import PlainSqlite
from docs.documents import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cicsc.store.protocol import Store

PAGE = (CHECKOUT / "docs" / "applications.md").read_text("utf-8")
PAY = {
    "input": {"total": {"type": "int"}},
    "guard": {"expr": {"lit": {"bool": True}}},
    "emits": [{"event_type": "paid", "payload": {"total": {"var": {"input": {"field": "total"}}}}}],
}
ORDER = {
    "id_type": "string",
    "states": ["new"],
    "initial_state": "new",
    "attrs": {},
    "commands": {"pay": PAY},
    "reducer": {"created": [], "paid": []},
}
SHOP = load_bundle({"core_ir": {"version": 0, "types": {"Order": ORDER}}})


def shown(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return block


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.chdir(tmp_path)
    with cicsc.open_store("sqlite:///shop.db") as store:
        store.initialise()
        store.put_bundle(SHOP)
        store.create_tenant("acme", bundle_digest=SHOP.digest, version=1, actor_id="ann")
        yield store


def types_of(store: Store) -> list[str]:
    return [event.event_type for _, events in store.streams("acme") for event in events]


def test_python_as_shown(shop: Store, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Store] = {}
    exec(shown("python"), names)  # type: ignore[arg-type]
    names["store"].close()

    assert capsys.readouterr().out == "1 new False\n"
    assert types_of(shop) == ["paid"]


def test_sql_as_shown(shop: Store, tmp_path: Path) -> None:
    with PlainSqlite(tmp_path / "shop.db") as program:
        statements = [one for one in shown("sql").replace("cicsc.", "").split(";\n") if one.strip()]
        assert [program.execute(one) for one in statements] == [[(1, 1)], [], []]
    assert types_of(shop) == ["created"]
