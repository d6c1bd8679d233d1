"""A writer that goes through the store: `python -m concurrency.store_writer NAME URL LEDGER THINK_S`.

Some append to the generation that they know, some through the runtime, some in a transaction with a receipt,
some by commands of the runtime that they ask for again once they have learned of a switch.
"""

from __future__ import annotations

import sys
from collections import defaultdict, deque
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from cicsc.errors import CicscError, StoreError
from cicsc.history.model import Event
from cicsc.runtime import CommandResult, Runtime
from cicsc.store import open_store
from cicsc.store.protocol import Store
from concurrency.writer import COMMAND, Gateway, Refused, Writer, event_type_of

WAYS = ("append", "runtime", "receipt", "command")

REMEMBERED = 4
"""Commands of a tenant that a writer asks for again when it has learned of a switch."""


class Done(NamedTuple):
    """A command that was acknowledged."""

    entity_id: str
    token: str
    seq: int
    version: int


class StoreGateway(Gateway):
    """Writes by the methods of a store, or of the runtime on it."""

    def __init__(self, store: Store, way: str) -> None:
        self._store = store
        self._runtime = Runtime(store)
        self._way = way
        self._done: defaultdict[str, deque[Done]] = defaultdict(lambda: deque(maxlen=REMEMBERED))
        if way == "command":
            self.events_max = 1

    def look(self, tenant_id: str) -> tuple[int, int]:
        gate = self._store.gate(tenant_id)
        return gate.active_version, gate.active_generation

    def write(self, tenant_id: str, place: tuple[int, int], entity_id: str, seq: int, tokens: list[str]) -> None:
        version, generation = place
        name = event_type_of(version)
        events = [
            Event(tenant_id, "Note", entity_id, number, name, {"token": token}, number, "writer")
            for number, token in enumerate(tokens, seq)
        ]
        try:
            if self._way == "append":
                self._store.append(tenant_id, events, generation=generation)
                return
            if self._way == "runtime":
                self._runtime.append(tenant_id, events)
                return
            if self._way == "command":
                (token,) = tokens
                program = Runtime(self._store, version=version)
                self._execute(program, tenant_id, Done(entity_id, token, seq, version))
                self._done[tenant_id].append(Done(entity_id, token, seq, version))
                return
            with self._store.transaction(tenant_id) as transaction:
                if transaction.receipt(tokens[0]) is None:
                    transaction.append(events)
                    transaction.put_receipt(tokens[0], {"seq": seq})
        except CicscError as error:
            raise Refused(error.code) from error

    def ask_again(self, tenant_id: str) -> list[int]:
        versions = []
        for done in self._done[tenant_id]:
            try:
                result = self._execute(self._runtime, tenant_id, done)
            except StoreError as error:
                if error.code not in {"STORE_LOCKED", "STORE_CONFLICT"}:
                    raise
                continue
            assert (result.repeated, result.version, result.last_seq) == (True, done.version, done.seq), result
            versions.append(done.version)
        return versions

    def _execute(self, runtime: Runtime, tenant_id: str, done: Done) -> CommandResult:
        """Ask for a command; its token is its id."""
        return runtime.execute(
            tenant_id,
            "Note",
            done.entity_id,
            COMMAND,
            {"token": done.token},
            actor="writer",
            command_id=done.token,
            expected_seq=done.seq - 1,
        )

    def read(self, tenant_id: str, entity_id: str, seq: int) -> list[str]:
        with self._store.reading(tenant_id) as reading:
            events = reading.events("Note", entity_id, after_seq=seq - 1)
            return [str(found.payload["token"]) for found in events]


if __name__ == "__main__":
    _, name, url, ledger, think_s = sys.argv
    with closing(open_store(url)) as opened:
        gateway = StoreGateway(opened, WAYS[int(name) // 2 % len(WAYS)])
        Writer(name, gateway, Path(ledger), float(think_s)).run()
