"""A program that writes all the time, and keeps a ledger of what was acknowledged to it, outside of the database.

How it writes is the business of `store_writer` and `plain_writer`; this module knows neither driver nor store. It works
on the tenant that the last line of its standard input names, and ends with its input. The ledger has a line of JSON for
each step, written when the step is over:

    ["tried", TENANT, NUMBERS]                                     before anything is sent
    ["acknowledged", TENANT, ENTITY, SEQ, NUMBERS, VERSION, STARTED, ENDED]   after the commit; SEQ is that of the first
    ["refused", TENANT, CODE, VERSION, STARTED, ENDED]
    ["moved", TENANT, VERSION]                                     the program has looked which version is active
    ["repeated", TENANT, VERSION, NOW]                             a command of VERSION was asked for again when NOW was active, and not done again

A token is the writer's name and a number that it uses once. Times are of the clock that all processes share.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from abc import ABC, abstractmethod
from itertools import count
from pathlib import Path
from random import Random

COMMAND = "note"

EVENT_TYPES = ("noted", "jotted")
"""Of the odd and of the even versions."""

STREAMS = 4
SHARED_STREAMS = 2
SHARED_ONE_IN = 8
"""A writer has some streams of its own, and writes now and then to one that all write to."""

EVENTS_MAX = 3
"""Events in one transaction."""

RACES_MAX = 3
"""How often a writer tries to be the next in a stream before it gives these events up; nobody acknowledged them."""

PAUSE_S = 0.02
PAUSE_S_MAX = 0.3
"""How long a writer waits before it tries again while the tenant is paused, at first and at most; each time twice as long."""


def event_type_of(version: int) -> str:
    """The one event type that a version of the application knows."""
    return EVENT_TYPES[(version - 1) % 2]


class Refused(Exception):  # noqa: N818 - an answer, and not always an error
    """What a store answered instead of an acknowledgement; nothing is known of the outcome when `code` is "UNKNOWN"."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Gateway(ABC):
    """How a writer reaches the store, and how much longer than others it thinks before it writes again."""

    think_factor = 1
    events_max = EVENTS_MAX

    @abstractmethod
    def look(self, tenant_id: str) -> tuple[int, int]:
        """Return the active version and generation."""

    @abstractmethod
    def write(self, tenant_id: str, place: tuple[int, int], entity_id: str, seq: int, tokens: list[str]) -> None:
        """Write an event for each token, the first with `seq`, as a program of version and generation `place`."""

    @abstractmethod
    def read(self, tenant_id: str, entity_id: str, seq: int) -> list[str]:
        """Return the tokens of a stream in the active generation from `seq` on, in order."""

    def ask_again(self, tenant_id: str) -> list[int]:
        """Ask for what was acknowledged once more, as who lost the answer does; return the versions it was done in."""
        return []


class Writer:
    """One writer and its ledger."""

    def __init__(self, name: str, gateway: Gateway, ledger: Path, think_s: float) -> None:
        self._name = name
        self._think_s = think_s * gateway.think_factor
        self._gateway = gateway
        self._ledger = ledger.open("a", buffering=1)
        self._numbers = count(1)
        self._random = Random(name)
        self._tenant: str | None = None
        self._is_over = False
        self._next_seqs: dict[tuple[str, str], int] = {}

    def run(self) -> None:
        """Write until standard input ends."""
        threading.Thread(target=self._listen, daemon=True).start()
        working_on, place = "", (0, 0)
        while not self._is_over:
            tenant = self._tenant
            if tenant is None:
                time.sleep(0.01)
                continue
            if tenant != working_on:
                working_on, place = tenant, self._look(tenant)
            place = self._append(tenant, place)
            time.sleep(self._random.uniform(0, self._think_s))

    def _listen(self) -> None:
        for line in sys.stdin:
            self._tenant = line.rstrip("\n")
        self._is_over = True

    def _look(self, tenant: str) -> tuple[int, int]:
        place = self._gateway.look(tenant)
        self._note("moved", tenant, place[0])
        return place

    def _append(self, tenant: str, place: tuple[int, int]) -> tuple[int, int]:
        """Try to write some events until they are there, or others were faster too often; return what is known now."""
        numbers = [next(self._numbers) for _ in range(self._random.randint(1, self._gateway.events_max))]
        tokens = [f"{self._name}-{number}" for number in numbers]
        entity = self._entity()
        seq = self._next_seqs.get((tenant, entity), 1)
        self._note("tried", tenant, numbers)
        races, pause_s = 0, PAUSE_S
        while races < RACES_MAX and not self._is_over:
            started = time.monotonic()
            code = self._written(tenant, place, entity, seq, tokens)
            ended = time.monotonic()
            if code is not None:
                self._note("refused", tenant, code, place[0], started, ended)
            if code == "TENANT_PAUSED":
                time.sleep(self._random.uniform(pause_s / 2, pause_s))
                pause_s = min(2 * pause_s, PAUSE_S_MAX)
                continue
            if code in {"STALE_GENERATION", "UNKNOWN_EVENT_TYPE"}:
                place = self._look(tenant)
                for version in self._gateway.ask_again(tenant):
                    self._note("repeated", tenant, version, place[0])
                continue
            if code is not None:  # another was faster, or the outcome is not known: what is there decides
                found = self._gateway.read(tenant, entity, seq)
                if tokens[0] not in found:
                    seq += len(found)
                    races += 1
                    continue
                seq += found.index(tokens[0])
            self._note("acknowledged", tenant, entity, seq, numbers, place[0], started, ended)
            seq += len(tokens)
            break
        self._next_seqs[tenant, entity] = seq
        return place

    def _entity(self) -> str:
        if self._random.randrange(SHARED_ONE_IN) == 0:
            return f"shared-{self._random.randrange(SHARED_STREAMS)}"
        return f"{self._name}-{self._random.randrange(STREAMS)}"

    def _written(self, tenant: str, place: tuple[int, int], entity: str, seq: int, tokens: list[str]) -> str | None:
        """Write; return the code of a refusal, None when it is acknowledged."""
        try:
            self._gateway.write(tenant, place, entity, seq, tokens)
        except Refused as refused:
            return refused.code
        return None

    def _note(self, *entry: object) -> None:
        self._ledger.write(json.dumps(entry) + "\n")
