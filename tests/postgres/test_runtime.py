"""Commands on PostgreSQL, where writers of one stream meet: who comes second tries again; and a reply that is lost."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from cicsc.errors import FenceError, StoreError
from cicsc.runtime import Runtime
from cicsc.runtime import runtime as module
from cicsc.store.postgres.store import PostgresStore
from conformance.runtime.bank import ACTOR, AMOUNT, NUMBER, bank, call, command, text
from conformance.store.history import INSERT, stored
from conformance.store.postgres_desk import PostgresDesk
from postgres.conftest import Connect

BANK = bank(
    deposit=command(call("allowed", ACTOR, text("deposit")), {"deposited": {"amount": AMOUNT}}, amount=NUMBER),
    swap=command({"lit": {"bool": True}}, {"deposited": {"amount": AMOUNT}}, amount=NUMBER),
)
STATEMENT = INSERT.replace("{event}", "cicsc.event").replace("?", "%s")


@pytest.fixture
def store(store: PostgresStore) -> PostgresStore:
    store.put_bundle(BANK)
    store.create_tenant("b", bundle_digest=BANK.digest, version=3, actor_id="ann")
    Runtime(store).execute("b", "Account", "1", "open", {"owner": 1}, actor="ann")
    return store


class Intruder:
    """A host that writes the next event itself while a guard is asked, some times."""

    def __init__(self, connect: Connect, times: int) -> None:
        self.connection = connect()
        self.left = times
        self.asked = 0

    def allowed(self, *_: object) -> bool:
        self.asked += 1
        if self.left:
            self.left -= 1
            row = ("b", 1, "Account", "1", self.asked + 1, "deposited", '{"amount": 100}', 5, "mallory")
            self.connection.execute(STATEMENT, row)
        return True


def deposit(store: PostgresStore, intruder: Intruder, **more) -> int:
    runtime = Runtime(store, host={"allowed": intruder.allowed})
    result = runtime.execute("b", "Account", "1", "deposit", {"amount": 1}, actor="ann", **more)
    assert result.snapshot.attrs["balance"] == 1 + 100 * (result.last_seq - 2)
    return result.last_seq


def test_who_comes_second_decides_anew(store: PostgresStore, connect: Connect) -> None:
    intruder = Intruder(connect, times=3)

    assert deposit(store, intruder) == 5
    assert intruder.asked == 4


def test_attempts_are_bounded(store: PostgresStore, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ATTEMPTS_MAX", 3)
    intruder = Intruder(connect, times=100)
    with pytest.raises(FenceError) as caught:
        deposit(store, intruder)

    assert (caught.value.code, intruder.asked) == ("WRONG_SEQ", 3)
    assert [event.actor_id for event in stored(store, "b")] == ["ann"] + ["mallory"] * 3


@pytest.mark.parametrize("more", [{}, {"command_id": "c1"}])
def test_expected_seq_is_not_tried_again(store: PostgresStore, connect: Connect, more: dict[str, str]) -> None:
    intruder = Intruder(connect, times=1)
    with pytest.raises(FenceError) as caught:
        deposit(store, intruder, expected_seq=1, **more)

    assert (caught.value.code, intruder.asked) == ("WRONG_SEQ", 1)
    assert store.head("b").count == 2


@pytest.mark.parametrize("more", [{}, {"expected_seq": 1}])
def test_command_that_was_done_elsewhere_meanwhile_is_found_by_its_id(
    store: PostgresStore, desk: PostgresDesk, more: dict[str, int]
) -> None:
    words = ("b", "Account", "1", "deposit", {"amount": 1})
    elsewhere = []

    def allowed(*_: object) -> bool:
        if not elsewhere:
            elsewhere.append(None)
            with desk.open() as other:
                runtime = Runtime(other, host={"allowed": lambda *_: True})
                elsewhere.append(runtime.execute(*words, actor="ann", command_id="c1"))
        return True

    result = Runtime(store, host={"allowed": allowed}).execute(*words, actor="ann", command_id="c1", **more)

    assert (result.repeated, elsewhere[1].repeated) == (True, False)
    assert (result.events, result.snapshot) == (elsewhere[1].events, elsewhere[1].snapshot)
    assert store.head("b").count == 2


@pytest.mark.parametrize(
    ("name", "more", "statements"),
    [("swap", {}, 10), ("swap", {"command_id": "c1"}, 12), ("look", {}, 8)],
)
def test_few_statements_are_needed(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, name: str, more: dict[str, str], statements: int
) -> None:
    runtime = Runtime(store)
    runtime.execute("b", "Account", "1", "look", {}, actor="ann")
    seen = []
    execute = psycopg.Connection.execute
    monkeypatch.setattr(psycopg.Connection, "execute", lambda *words: (seen.append(words[1]), execute(*words))[1])
    runtime.execute("b", "Account", "1", name, {"amount": 1} if name == "swap" else {}, actor="ann", **more)

    assert len(seen) <= statements


# ------------------------------------------------------------------------------------ a reply that is lost


class LossyLine:
    """Stands between client and server; once told to, it lets a commit through and hangs up instead of answering."""

    def __init__(self, server: Path, folder: Path) -> None:
        self.loses = False
        self._server = str(server / ".s.PGSQL.5432")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / ".s.PGSQL.5432"))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with socket.socket(socket.AF_UNIX) as server, client, suppress(OSError):
            server.connect(self._server)
            answers = threading.Thread(target=_forward, args=(server, client), daemon=True)
            lost = False
            while data := client.recv(65536):
                lost = self.loses and b"commit\0" in data  # not what begins "read committed"
                if lost:
                    client.shutdown(socket.SHUT_WR)  # from here on no answer gets through
                elif not answers.is_alive():
                    answers.start()
                server.sendall(data)
                if lost:
                    break
            server.shutdown(socket.SHUT_WR)  # the server ends once it has done what it was sent
            answers.join()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            with suppress(OSError):
                target.sendall(data)


@contextmanager
def lossy_line(desk: PostgresDesk) -> Iterator[tuple[LossyLine, str]]:
    """A line to the server, and the URL of the store over it."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory(prefix="cicsc-line-")))
        line = LossyLine(desk.server.folder, folder)
        opened.callback(line.close)
        yield line, desk.url.replace(str(desk.server.folder), str(folder))


def test_lost_reply_is_had_by_asking_again(desk: PostgresDesk, store: PostgresStore) -> None:
    words = ("b", "Account", "1", "swap", {"amount": 7})
    with lossy_line(desk) as (line, url), PostgresStore(url) as own:
        runtime = Runtime(own)
        runtime.execute("b", "Account", "1", "look", {}, actor="ann")
        line.loses = True
        with pytest.raises(StoreError) as caught:
            runtime.execute(*words, actor="ann", command_id="c1")
        line.loses = False
        again = runtime.execute(*words, actor="ann", command_id="c1")

    assert caught.value.code == "STORE_OUTCOME_UNKNOWN"
    assert again.repeated
    assert [event.payload for event in again.events] == [{"amount": 7}]
    assert store.head("b").count == 2
