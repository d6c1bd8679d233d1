"""The life of a process that carries a scenario out, and dies or stops around one of its commits, or calls, if it was told to."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from cicsc.store import open_store
from crash.driver import Call, Watcher
from crash.scenarios import carry_out

for _url in ("sqlite:///none", "postgresql://none"):  # drivers are loaded when they are needed, which is before a fork
    open_store(_url)

Death = tuple[int, str, int]


class Executioner(Watcher):
    """Sends this process a signal before or after one of its commits, or at any of its calls."""

    def __init__(self, death: Death) -> None:
        self._signal, self._when, self._left = death

    def call(self, call: Call, carry_out: Callable[[], Any]) -> Any:
        counts = call.is_commit or self._when == "at"
        self._left -= counts
        is_due = counts and self._left == 0
        if is_due and self._when != "after":
            os.kill(os.getpid(), self._signal)
        result = carry_out()
        if is_due and self._when == "after":
            os.kill(os.getpid(), self._signal)
        return result


def live(request: dict[str, Any]) -> dict[str, Any]:
    """Carry out what a request of the fork server asks for; return its answer."""
    if request["death"] is not None:
        Executioner(request["death"]).watch()
    with open_store(request["url"]) as store:
        return carry_out(request["start"], store, request["tenant"], request["options"])
