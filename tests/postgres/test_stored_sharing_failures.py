"""What cannot be read by several processes, or is cut short, is told and leaves nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import cicsc
from cicsc.errors import StoreError, WorkError
from cicsc.operations import stored_shares
from cicsc.store.postgres.store import PostgresStore
from cicsc.store.records import StoreHead
from postgres.sharing import dry_run, only_cut, sharing, store

__all__ = ["sharing", "store"]


@contextmanager
def struck(strike: Callable[[], None], opened: Any, self: Any, number: int) -> Iterator[Any]:
    with opened(self, number) as found:
        if number == 1:
            write = found.writers.migrated
            found.writers.migrated = lambda events: (strike(), write(events))
        yield found


def no_room() -> None:
    raise StoreError("STORE_FULL", "no room")


@only_cut
@pytest.mark.parametrize(
    ("strike", "code"), [(lambda: os.kill(os.getpid(), signal.SIGKILL), "WORKER_LOST"), (no_room, "STORE_FULL")]
)
def test_a_worker_that_fails_leaves_nothing(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strike: Any, code: str
) -> None:
    opened, source = stored_shares._ReadingWork.open, cicsc.StoreSource(store, None)
    with monkeypatch.context() as patched:
        patched.setattr(stored_shares._ReadingWork, "open", lambda *share: struck(strike, opened, *share))
        with pytest.raises((WorkError, StoreError)) as caught:
            dry_run(tmp_path, "out", source, workers=2)

    assert caught.value.code == code
    assert list((tmp_path / "out").iterdir()) == []
    assert len(dry_run(tmp_path, "again", source, workers=2)) == 3


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupted() -> None:
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(60)  # the parent ends this process


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Heed SIGINT, which the caller of the tests may ignore (nohup, a background job)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@only_cut
@pytest.mark.parametrize(
    ("strike", "error"), [(killed, WorkError), (no_room, StoreError), (interrupted, KeyboardInterrupt)]
)
def test_what_is_cut_short_leaves_nothing(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strike: Callable[[], None], error: Any
) -> None:
    streams, source = stored_shares.PiecesShare.streams, cicsc.StoreSource(store, None)

    def striking(self: stored_shares.PiecesShare) -> Iterator[Any]:
        for key, stream in streams(self):
            if key == ("large", "Order", "7"):
                strike()
            yield key, stream

    with monkeypatch.context() as patched:
        patched.setattr(stored_shares.PiecesShare, "streams", striking)
        with pytest.raises(error):
            cicsc.export_history(source, tmp_path / "out.jsonl", workers=2)
        with pytest.raises(error):
            list(cicsc.replay_history(source, workers=2))

    assert list(tmp_path.iterdir()) == []
    assert not multiprocessing.active_children()
    assert cicsc.export_history(source, tmp_path / "out.jsonl", workers=2).ok


def test_fewer_events_than_were_counted_are_told(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source, count = cicsc.StoreSource(store, ["large"]), store.head("large").count
    monkeypatch.setattr(stored_shares, "cut_tenants", partial(of_more, stored_shares.cut_tenants))
    for read in (
        lambda: cicsc.verify_history(source, workers=2),
        lambda: cicsc.export_history(source, tmp_path / "out.jsonl", workers=2),
        lambda: list(cicsc.replay_history(source, workers=2)),
    ):
        with pytest.raises(StoreError, match=f"counted {count + 1} events up to .*, read {count}") as caught:
            read()
        assert caught.value.code == "STORE_DAMAGED"

    assert list(tmp_path.iterdir()) == []


def of_more(cut_tenants: Any, moment: Any, url: str, heads: dict[str, StoreHead], workers: int) -> Any:
    """Cut as if there had been one event more."""
    more = {name: replace(head, count=head.count + 1) for name, head in heads.items()}
    return cut_tenants(moment, url, more, workers)
