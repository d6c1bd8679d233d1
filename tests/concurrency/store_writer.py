"""A writer that goes through the store: `python -m concurrency.store_writer NAME URL LEDGER THINK_S`.

Some append to the generation that they know, some through the runtime, some in a transaction with a receipt.
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from cicsc.errors import CicscError
from cicsc.history.model import Event
from cicsc.runtime import Runtime
from cicsc.store import open_store
from cicsc.store.protocol import Store
from concurrency.writer import Gateway, Refused, Writer, event_type_of

WAYS = ("append", "runtime", "receipt")


class StoreGateway(Gateway):
    """Writes by the methods of a store, or of the runtime on it."""

    def __init__(self, store: Store, way: str) -> None:
        self._store = store
        self._runtime = Runtime(store)
        self._way = way

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
            with self._store.transaction(tenant_id) as transaction:
                if transaction.receipt(tokens[0]) is None:
                    transaction.append(events)
                    transaction.put_receipt(tokens[0], {"seq": seq})
        except CicscError as error:
            raise Refused(error.code) from error

    def read(self, tenant_id: str, entity_id: str, seq: int) -> list[str]:
        with self._store.reading(tenant_id) as reading:
            events = reading.events("Note", entity_id, after_seq=seq - 1)
            return [str(found.payload["token"]) for found in events]


if __name__ == "__main__":
    _, name, url, ledger, think_s = sys.argv
    with closing(open_store(url)) as opened:
        gateway = StoreGateway(opened, WAYS[int(name) // 2 % len(WAYS)])
        Writer(name, gateway, Path(ledger), float(think_s)).run()
