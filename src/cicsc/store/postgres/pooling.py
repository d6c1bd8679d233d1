"""Whether a pooler between this program and the server hands out whole sessions.

One that gives each transaction another session (PgBouncer with `pool_mode = transaction`) would carry what is set for
ours into those of applications, and ours would run with what they have set. Such a pooler cannot be seen at once: it
gives the same session again while nobody else wants it. So somebody else comes and wants one.
"""

from __future__ import annotations

from contextlib import closing
from select import select
from typing import Final

import psycopg

from cicsc.errors import StoreError
from cicsc.store.postgres.address import Address

ANSWER_S: Final = 2.0
"""How long the second session is waited for; a pool whose sessions are all taken gives none."""

_PID: Final = b"select pg_catalog.pg_backend_pid()"


def require_whole_session(address: Address, connection: psycopg.Connection) -> None:
    """Raise STORE_UNSUPPORTED where each transaction of a connection may have another session; sets nothing.

    The process id that comes with a connection is the session's, unless a pooler made it up.
    """
    first = _pid(connection)
    if first == connection.info.backend_pid:
        return
    # Sessions that are given out in turn differ at once, and the one that was last given back is given to the next.
    if _pid(connection) != first or _pid_of_another(address) == first:
        raise StoreError(
            "STORE_UNSUPPORTED",
            f"cannot use store {address.name}: a pooler gives each transaction another session of the server",
            hint="nothing was set or changed; name the server itself, or a pool of whole sessions "
            "(PgBouncer: pool_mode = session)",
        )


def _pid(connection: psycopg.Connection) -> int:
    found: int = connection.execute(_PID).fetchone()[0]  # type: ignore[index]
    return found


def _pid_of_another(address: Address) -> int | None:
    """Return the process id of the session that another connection gets in a transaction; None if none in time."""
    try:
        opened = psycopg.connect(**address.parameters, autocommit=True)  # type: ignore[arg-type]
    except psycopg.Error:
        return None
    with closing(opened):
        pgconn = opened.pgconn
        pgconn.send_query(b"begin; " + _PID)
        while pgconn.is_busy():
            if not select([pgconn.socket], [], [], ANSWER_S)[0]:
                return None
            pgconn.consume_input()
        values = [result.get_value(0, 0) for result in iter(pgconn.get_result, None)]
        opened.execute(b"rollback")  # what is left in a transaction, a pooler ends
    return int(values[-1]) if values[-1] is not None else None
