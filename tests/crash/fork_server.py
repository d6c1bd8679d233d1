"""Processes that die, at hand in milliseconds: a warm process that has loaded everything and forks a child per request.

It holds no connection, so that a child is as good as a process started anew. It reads requests from standard input, one
JSON object per line, and answers each with a line:

    {"start": NAME, "url", "tenant", "options", "death"}   {"process": PID}
    {"wait": PID}                                          {"ended": "exited" | "killed" | "stopped", "answer": ...}

A death is [SIGNAL, "before" or "after", N]: the process sends itself the signal around its N-th commit. A process that is
stopped can be waited for again, once it goes on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

Death = tuple[int, str, int]


def serve() -> None:
    """Answer requests until standard input ends."""
    from crash.child import live  # noqa: PLC0415 - the client needs none of what a child does

    answers: dict[int, int] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            answer = _wait(request["wait"], answers)
        else:
            answer = {"process": _fork(partial(live, request), answers)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    for process in answers:  # nobody waits for them any more, since a test failed
        os.kill(process, signal.SIGKILL)


def _fork(work: Callable[[], dict[str, Any]], answers: dict[int, int]) -> int:
    reader, writer = os.pipe()
    process = os.fork()
    if process == 0:
        _die_after(work, writer)
    os.close(writer)
    answers[process] = reader
    return process


def _die_after(work: Callable[[], dict[str, Any]], writer: int) -> None:
    status = 1
    try:
        with os.fdopen(writer, "w") as output:
            json.dump(work(), output)
        status = 0
    finally:
        os._exit(status)


def _wait(process: int, answers: dict[int, int]) -> dict[str, Any]:
    _, status = os.waitpid(process, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return {"ended": "stopped", "answer": None}
    with os.fdopen(answers.pop(process)) as reader:
        text = reader.read()
    if os.WIFSIGNALED(status):
        return {"ended": "killed", "answer": None}
    return {"ended": "exited", "answer": json.loads(text)}


class ForkServer:
    """The warm process, and the way to ask it."""

    def __init__(self) -> None:
        tests = Path(__file__).resolve().parents[1]
        path = os.pathsep.join([str(tests.parent / "src"), str(tests), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from crash.fork_server import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )

    def start(
        self, name: str, url: str, tenant_id: str, options: dict[str, Any], death: Death | None = None
    ) -> DyingProcess:
        """Start a process that carries a scenario out."""
        request = {"start": name, "url": url, "tenant": tenant_id, "options": options, "death": death}
        return DyingProcess(self, self.ask(request)["process"])

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the fork server is gone"
        return dict(json.loads(line))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class DyingProcess:
    """A process that carries a scenario out, as long as it lives."""

    def __init__(self, server: ForkServer, process: int) -> None:
        self._server = server
        self._process = process
        self.answer: dict[str, Any] | None = None
        self.ended = ""

    def wait(self) -> str:
        """Wait until it has ended or stopped; return which: exited, killed or stopped."""
        found = self._server.ask({"wait": self._process})
        self.ended, self.answer = found["ended"], found["answer"]
        return self.ended

    def kill(self) -> None:
        """Kill it. It stays known until it is waited for, so no other process can have its number."""
        os.kill(self._process, signal.SIGKILL)

    def go_on(self) -> None:
        """Let a stopped one go on."""
        os.kill(self._process, signal.SIGCONT)
