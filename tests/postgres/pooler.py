"""A pooler in front of a real server, as the protocol has it (PostgreSQL documentation, "Frontend/Backend Protocol").

It passes on whole messages, so all that is said to clients comes from the server, but for the process id, which it makes
up as poolers do. A client has a session from its first message on: in the mode "transaction" until it is in no
transaction, in the mode "session" until it goes. Whoever finds all sessions taken waits.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, LifoQueue, Queue
from typing import Literal, Self

Mode = Literal["session", "transaction"]

_MADE_UP_PID = 1
_SYNC, _QUERY, _TERMINATE = b"S", b"Q", b"X"
_READY, _KEY = b"Z", b"K"


class Pooler:
    """Listens on a socket in a folder, port 5432, until it is closed; gives out so many sessions of the server.

    It gives out the one that was last given back, or, `in_turn`, the one that has waited longest.
    """

    def __init__(self, server: Path, folder: Path, mode: Mode, sessions: int, *, in_turn: bool = False) -> None:
        self._server = server / ".s.PGSQL.5432"
        self._mode = mode
        self._idle: Queue[_Wire] = Queue() if in_turn else LifoQueue()
        self._left = sessions - 1
        self._start = self._greeting = b""
        self._open: list[_Wire] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        for wire in self._open:
            wire.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = _Wire(self._listening.accept()[0])
                self._open.append(client)
                self._start = client.start()
                if not self._greeting:
                    self._idle.put(self._new())
                client.send(self._greeting)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _new(self) -> _Wire:
        session = _Wire(socket.socket(socket.AF_UNIX))
        self._open.append(session)
        session.connect(self._server)
        session.send(self._start)
        self._greeting = session.until_ready()
        return session

    def _session(self) -> _Wire:
        with suppress(Empty):
            return self._idle.get_nowait()
        if not self._left:
            return self._idle.get()
        self._left -= 1
        return self._new()

    def _serve(self, client: _Wire) -> None:
        session: _Wire | None = None
        with suppress(OSError, EOFError):
            while True:
                kind, message = client.message()
                if kind == _TERMINATE:
                    break
                session = session or self._session()
                session.send(message)
                if kind in {_SYNC, _QUERY}:
                    answer = session.until_ready()
                    if self._mode == "transaction" and answer.endswith(b"I"):
                        self._idle.put(session)
                        session = None
                    client.send(answer)
        if session is not None:  # nobody else wants what a client has left in it
            session.close()
            with suppress(OSError, EOFError):
                self._idle.put(self._new())


class _Wire:
    """One end of a connection, message by message."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._file = end.makefile("rb")

    def connect(self, path: Path) -> None:
        self._end.connect(str(path))

    def close(self) -> None:
        with suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)

    def send(self, data: bytes) -> None:
        self._end.sendall(data)

    def _read(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def start(self) -> bytes:
        """Return the first message, which has no kind."""
        length = self._read(4)
        return length + self._read(struct.unpack("!i", length)[0] - 4)

    def message(self) -> tuple[bytes, bytes]:
        """Return the kind of the next message, and the whole of it."""
        head = self._read(5)
        return head[:1], head + self._read(struct.unpack("!i", head[1:])[0] - 4)

    def until_ready(self) -> bytes:
        """Return all messages of a server up to the one that it is ready, with the process id made up."""
        said = b""
        while True:
            kind, message = self.message()
            said += struct.pack("!cii", _KEY, 12, _MADE_UP_PID) + message[9:] if kind == _KEY else message
            if kind == _READY:
                return said
