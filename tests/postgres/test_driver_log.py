"""What the driver logs does not stand beside what a command tells."""

from __future__ import annotations

import subprocess
import sys

from cicsc.store.postgres.store import PostgresStore
from conformance.store.history import add_tenant
from conformance.store.postgres_desk import PostgresDesk

LOSING = """
import sys
import psycopg
from cicsc.errors import StoreError
from cicsc.history.model import Event
from cicsc.store import open_store

def ending():
    for number in range(10_000):
        if number == 5_000:
            with psycopg.connect(sys.argv[1], autocommit=True) as other:
                other.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'cicsc'")
        yield Event("t", "Order", str(number), 1, "created", {}, 1, "ann")

with open_store(sys.argv[1]) as store:
    try:
        store.import_events("t", ending(), generation=1, actor_id="ann")
    except StoreError as error:
        print(error.code)
"""

LEAVING = """
import sys
import psycopg
from cicsc.errors import StoreError
from cicsc.store import open_store

with open_store(sys.argv[1]) as store:
    gates = store.gates()
    next(gates)
    with psycopg.connect(sys.argv[1], autocommit=True) as other:
        other.execute("select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'cicsc'")
    del gates
    print(store.gate("t").tenant_id)
"""


def test_rows_that_are_left_when_their_connection_is_lost_say_nothing(store: PostgresStore, desk: PostgresDesk) -> None:
    add_tenant(store, "u")
    store.close()

    found = subprocess.run([sys.executable, "-c", LEAVING, desk.url], capture_output=True, text=True, check=False)

    assert (found.stdout, found.stderr, found.returncode) == ("t\n", "", 0)


def test_connection_that_is_lost_amid_a_copy_is_told_once(store: PostgresStore, desk: PostgresDesk) -> None:
    store.close()

    found = subprocess.run([sys.executable, "-c", LOSING, desk.url], capture_output=True, text=True, check=False)

    assert (found.stdout, found.stderr, found.returncode) == ("STORE_UNREACHABLE\n", "", 0)
