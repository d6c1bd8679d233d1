"""A program of its own that writes to SQLite files by plain SQL, with the SQLite that Python brings.

It has to be a process of its own: a lock on a file is one of the whole process, so two SQLite libraries in one process do
not see each other's. Reads requests from standard input, one JSON array per line, and answers each with a line:

    ["open", PATH]                              ["opened", NUMBER]
    ["execute", NUMBER, STATEMENT, PARAMETERS]  ["rows", ROWS] | ["refused", TEXT] | ["failed", TEXT]
    ["close", NUMBER]                           ["closed"]
"""

from __future__ import annotations

import atexit
import json
import sqlite3
import subprocess
import sys
from functools import cache
from typing import Any

LOCK_WAIT_S = 5


def serve() -> None:
    """Answer requests until standard input ends."""
    connections: list[sqlite3.Connection] = []
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(connections, json.loads(line))) + "\n")
        sys.stdout.flush()


def _answer(connections: list[sqlite3.Connection], request: list[Any]) -> list[object]:
    match request:
        case ["open", path]:
            connections.append(sqlite3.connect(path, isolation_level=None, timeout=LOCK_WAIT_S))
            return ["opened", len(connections) - 1]
        case ["execute", number, statement, parameters]:
            try:
                return ["rows", connections[number].execute(statement, parameters).fetchall()]
            except sqlite3.IntegrityError as error:
                return ["refused", str(error)]
            except sqlite3.Error as error:
                return ["failed", str(error)]
        case ["close", number]:
            connections[number].close()
            return ["closed"]
    raise ValueError(request)


class OtherProgram:
    """The program, and the way to ask it."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *request: object) -> list[Any]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return list(json.loads(self._process.stdout.readline()))

    def stop(self) -> None:
        """End the program."""
        self._process.communicate()


@cache
def other_program() -> OtherProgram:
    """Start the program when it is first asked for; it ends with the tests."""
    program = OtherProgram()
    atexit.register(program.stop)
    return program


if __name__ == "__main__":
    serve()
