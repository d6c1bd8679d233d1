"""Who may use a connection: one thread at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident

import pytest

from cicsc.store.sqlite.database import Database
from cicsc.store.user import OneUser


def test_threads_take_turns() -> None:
    user = OneUser()

    def enter() -> str:
        with user.inside():
            return "inside"

    with ThreadPoolExecutor(1) as pool:
        with user.inside(), pytest.raises(ValueError, match="another thread"):
            pool.submit(enter).result()
        assert pool.submit(enter).result() == "inside"


def test_thread_that_did_not_leave_comes_again() -> None:
    user = OneUser()
    user._threads[None] = get_ident()

    with user.inside():
        pass
    assert not user._threads


def test_statement_of_another_thread_in_the_midst_of_one(tmp_path: Path) -> None:
    database = Database(tmp_path / "a.db", wait_s=1, create=True)
    with ThreadPoolExecutor(1) as pool:
        elsewhere = lambda: pool.submit(database.run_script, "select 1").result()  # noqa: E731 - a function of SQL
        database._connection.create_scalar_function("elsewhere", elsewhere, 0)
        with pytest.raises(ValueError, match="another thread"):
            database.run_script("select elsewhere()")
    database.close()
