"""The command that shares a tenant between processes is killed at any instant; its workers are left, and end by themselves.

Whatever happened, the tenant is open when the lease is over, on one version, with all its events, and who
comes next finds nothing in the way.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicsc.canonical import canonical_bytes
from cicsc.operations.live.recovery import recover_tenant
from cicsc.operations.stored import SHARED_EVENTS_MIN
from cicsc.store.check import check_store
from cicsc.store.postgres.store import PostgresStore
from conformance.operations.application import V1, V2
from conformance.store.history import event
from conformance.store.postgres_desk import PostgresDesk
from crash.conftest import RUNS
from postgres_server import PostgresServers

KILLS = 60 if RUNS else 3
STREAMS = 13_000
PER_STREAM = 4
LEASE_S = 1.0

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(postgres_servers: PostgresServers) -> Iterator[PostgresDesk]:
    desk = PostgresDesk(postgres_servers.server("18"))
    yield desk
    desk.drop()


def command(url: str, folder: Path, lease_s: float = LEASE_S) -> subprocess.Popen[bytes]:
    words = [
        "migration-cutover",
        "--store",
        url,
        "--tenant",
        "t",
        "--to",
        str(folder / "v2.json"),
        "--migration",
        "to_2",
    ]
    words += ["--operator", "ann", "--lease", str(lease_s), "--workers", "3", "--execute"]
    return subprocess.Popen(
        [sys.executable, "-m", "cicsc", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder
    )


def rows_of(store: PostgresStore, generation: int) -> list[object]:
    with store.reading("t") as reading:
        return list(reading.rows(generation))


def test_tenant_is_whole_whenever_the_command_is_killed(desk: PostgresDesk, tmp_path: Path) -> None:
    assert STREAMS * PER_STREAM >= SHARED_EVENTS_MIN
    desk.initialised().close()
    (tmp_path / "v2.json").write_bytes(canonical_bytes(V2.document))
    with PostgresStore(desk.url) as store:
        store.put_bundle(V1)
        store.create_tenant("t", bundle_digest=V1.digest, version=1, actor_id="ann")
        kinds = ["created", *["paid"] * (PER_STREAM - 1)]
        events = (event(f"{n:06}", seq, kind) for n in range(STREAMS) for seq, kind in enumerate(kinds, 1))
        store.import_events("t", events, generation=1, actor_id="ann")
        before = rows_of(store, 1)

        choice, phases = random.Random(4), set()
        for _ in range(KILLS):
            process = command(desk.url, tmp_path)
            while store.runs.holder("t") is None and process.poll() is None:
                time.sleep(0.01)
            time.sleep(choice.uniform(0.0, 1.9))
            process.kill()
            process.communicate()  # returns when the workers have ended too, since these have its standard output
            phases.add(settled(store))
            if store.gate("t").active_version == 2:
                break
            assert rows_of(store, 1) == before
        assert phases - {"none"}

        if store.gate("t").active_version == 1:
            process = command(desk.url, tmp_path, lease_s=60)  # nobody has to wait for its end
            answer, _ = process.communicate()
            assert process.returncode == 0, answer
        assert store.gate("t").active_version == 2
        assert store.head("t").count == len(before)
        assert rows_of(store, 1) == before
        assert check_store(store).ok


def settled(store: PostgresStore) -> str:
    """Let the next one end what was left; see that the tenant is open, with one generation; tell how far it was."""
    holder = store.runs.holder("t")
    phase = "none" if holder is None else holder.phase
    if holder is not None:
        time.sleep(LEASE_S + 0.2)
        recover_tenant(store, "t", actor_id="ann", lease_s=LEASE_S)
    gate = store.gate("t")
    assert (gate.owner, gate.is_paused) == (None, False)
    if gate.active_version == 1:
        assert store.runs.generations("t") == [1]
    return phase
