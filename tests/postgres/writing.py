"""What a program does that writes by itself, and the code of what it is refused with."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from cicsc.store.postgres.driver_errors import FENCE_CODES

PLACES = "(%s, %s, %s, %s, %s, %s, %s, %s, %s)"
COLUMNS = "(tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id)"
INSERT = f"insert into cicsc.event {COLUMNS} values {PLACES}"
COPY = f"copy cicsc.event {COLUMNS} from stdin"


def insert(connection: psycopg.Connection, *rows: tuple[object, ...]) -> None:
    statement = f"insert into cicsc.event {COLUMNS} values " + ", ".join([PLACES] * len(rows))
    connection.execute(statement, [value for row in rows for value in row])


def copy(connection: psycopg.Connection, *rows: tuple[object, ...]) -> None:
    with connection.cursor().copy(COPY) as writer:
        for row in rows:
            writer.write_row(row)


def refusal(call: Any, *arguments: object) -> str:
    with pytest.raises(psycopg.Error) as caught:
        call(*arguments)
    return FENCE_CODES.get(caught.value.sqlstate or "", str(caught.value))
