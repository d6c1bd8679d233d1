"""A writer in plain SQL, as a program in another language is: `python -m concurrency.plain_writer NAME URL LEDGER THINK_S`.

It knows the tables and nothing of this package, and uses the SQLite that Python brings, which no process may open beside
the store's. Some write one statement at a time, others keep a transaction open for a while.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from abc import abstractmethod
from contextlib import suppress
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from concurrency.writer import Gateway, Refused, Writer, event_type_of

HOLD_S = 0.02
"""How long a transaction is kept open by those that do; between two of them they leave others time."""

WAIT_S = 30
POLL_S = 0.003
"""How long a program waits for the lock of a file, and how often it looks; SQLite's own 0.1 s would miss it for seconds."""

COLUMNS = "(tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id)"
LOOK = "select active_version, active_generation from {}gate where tenant_id = {}"
READ = (
    "select payload from {0}event where tenant_id = {1} and entity_type = 'Note' and entity_id = {1} and generation ="
    " (select active_generation from {0}gate where tenant_id = {1}) and seq >= {1} order by seq"
)


CODES = MappingProxyType(
    {
        "CI001": "TENANT_PAUSED",
        "CI002": "STALE_GENERATION",
        "CI003": "UNKNOWN_EVENT_TYPE",
        "CI004": "WRONG_SEQ",
        "23505": "WRONG_SEQ",
    }
)
"""What a server answers, by SQLSTATE."""


class PlainGateway(Gateway):
    """Writes by statements; `mark` stands for a parameter, `schema` before the name of a table."""

    mark: str
    schema: str

    def __init__(self, *, holds: bool) -> None:
        self._holds = holds
        if holds:
            self.think_factor = 4

    def look(self, tenant_id: str) -> tuple[int, int]:
        ((version, generation),) = self._run(LOOK.format(self.schema, self.mark), [tenant_id])
        return version, generation

    def write(self, tenant_id: str, place: tuple[int, int], entity_id: str, seq: int, tokens: list[str]) -> None:
        version, generation = place
        name = event_type_of(version)
        rows = [
            (tenant_id, generation, "Note", entity_id, number, name, f'{{"token": "{token}"}}', number, "plain")
            for number, token in enumerate(tokens, seq)
        ]
        if not self._holds:
            self._insert(rows)
            return
        self._run(self.begin, [])
        try:
            for row in rows:
                self._insert([row])
            time.sleep(HOLD_S)
            self._run("commit", [])
        except Refused:
            with suppress(Refused):
                self._run("rollback", [])
            raise

    def read(self, tenant_id: str, entity_id: str, seq: int) -> list[str]:
        rows = self._run(READ.format(self.schema, self.mark), [tenant_id, entity_id, tenant_id, seq])
        return [payload.split('"')[3] for (payload,) in rows]

    begin = "begin"

    def _insert(self, rows: list[tuple[object, ...]]) -> None:
        places = "(" + ", ".join([self.mark] * 9) + ")"
        statement = f"insert into {self.schema}event {COLUMNS} values " + ", ".join([places] * len(rows))
        self._run(statement, list(chain.from_iterable(rows)))

    @abstractmethod
    def _run(self, statement: str, parameters: list[object]) -> list[tuple[object, ...]]:
        """Run a statement; raises Refused."""


class SqliteGateway(PlainGateway):
    """A file; its fence puts the code first in its message."""

    mark, schema, begin = "?", "", "begin immediate"

    def __init__(self, path: str, *, holds: bool) -> None:
        super().__init__(holds=holds)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0)

    def _run(self, statement: str, parameters: list[object]) -> list[tuple[object, ...]]:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                return self._connection.execute(statement, parameters).fetchall()
            except sqlite3.IntegrityError as error:
                raise Refused(str(error).partition(":")[0]) from error
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise Refused("UNKNOWN") from error
            time.sleep(POLL_S)


class PostgresGateway(PlainGateway):
    """A server; the fence has SQLSTATEs of its own."""

    mark, schema = "%s", "cicsc."

    def __init__(self, url: str, *, holds: bool) -> None:
        import psycopg  # noqa: PLC0415 - who writes to a file loads no driver

        super().__init__(holds=holds)
        self._errors = psycopg.Error
        self._connection = psycopg.connect(url, autocommit=True, application_name="plain writer")

    def _run(self, statement: str, parameters: list[object]) -> list[tuple[object, ...]]:
        try:
            cursor = self._connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []
        except self._errors as error:
            raise Refused(CODES.get(error.sqlstate or "", "UNKNOWN")) from error


if __name__ == "__main__":
    _, name, url, ledger, think_s = sys.argv
    kind, _, path = url.partition(":///")
    holds = int(name) % 8 == 1
    gateway = SqliteGateway(path, holds=holds) if kind == "sqlite" else PostgresGateway(url, holds=holds)
    Writer(name, gateway, Path(ledger), float(think_s)).run()
