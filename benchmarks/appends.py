"""Appends through the fence against the same store without it: one event a transaction, by writers of several kinds."""

from __future__ import annotations

import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from multiprocessing.synchronize import Barrier
from typing import Final

import psycopg
import workload
from measure import Ratio, Target, table

from cicsc.bundle.load import load_bundle
from cicsc.history.model import Event
from cicsc.runtime import Runtime
from cicsc.store import open_store

TENANT: Final = "writers"
ENTITY_TYPE: Final = "Parcel"
EVENT_TYPE: Final = "parcel_scanned"
PAYLOAD: Final = {"place": "depot", "delay_s": 5, "remark": "x" * 80}
INSERT: Final = (
    "insert into cicsc.event (tenant_id, generation, entity_type, entity_id, seq, event_type, payload, ts, actor_id)"
    f" values ('{TENANT}', 1, '{ENTITY_TYPE}', %s, %s, '{EVENT_TYPE}', %s, %s, 'benchmark')"
)

Append = Callable[[int], object]
"""Appends the event of a seq to the writer's stream."""


@contextmanager
def by_runtime(url: str, stream: str) -> Iterator[Append]:
    """Append as an application does that uses this library."""
    with open_store(url) as store:
        runtime = Runtime(store)
        yield lambda seq: runtime.append(
            TENANT, [Event(TENANT, ENTITY_TYPE, stream, seq, EVENT_TYPE, PAYLOAD, seq, "benchmark")]
        )


@contextmanager
def by_transactions(url: str, stream: str) -> Iterator[Append]:
    """Append by plain SQL as drivers do by default: a transaction is begun, and committed."""
    with psycopg.connect(url) as connection:

        def append(seq: int) -> None:
            connection.execute(INSERT, (stream, seq, json.dumps(PAYLOAD), seq))
            connection.commit()

        yield append


@contextmanager
def by_statements(url: str, stream: str) -> Iterator[Append]:
    """Append by plain SQL with as little as there can be: one statement that commits by itself."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield lambda seq: connection.execute(INSERT, (stream, seq, json.dumps(PAYLOAD), seq))


Way = Callable[[str, str], AbstractContextManager[Append]]

WAYS: Final[dict[str, Way]] = {
    "`Runtime.append`": by_runtime,
    "plain SQL: begin, insert, commit": by_transactions,
    "plain SQL: insert alone, autocommit": by_statements,
}


def append_for(
    way: Way, url: str, stream: str, seconds: float, together: Barrier, result: multiprocessing.Queue
) -> None:
    """Append for some seconds, from when all writers are ready; put how many events a second were acknowledged."""
    with way(url, stream) as append:
        seqs = count(1)
        append(next(seqs))
        together.wait()
        began = time.perf_counter()
        while (took := time.perf_counter() - began) < seconds:
            append(last := next(seqs))
    result.put((last - 1) / took)


def append_rate(way: Way, url: str, writers: int, seconds: float) -> float:
    """Return the events a second of some writers together."""
    context = multiprocessing.get_context("spawn")
    result, together = context.Queue(), context.Barrier(writers)
    moment = time.time_ns()
    processes = [
        context.Process(target=append_for, args=(way, url, f"{moment}-{number}", seconds, together, result))
        for number in range(writers)
    ]
    for process in processes:
        process.start()
    rates = [result.get() for _ in processes]
    for process in processes:
        process.join()
    return sum(rates)


def prepare(url: str, *, fenced: bool) -> None:
    """Make a store with a tenant; take the fence away from its events where there is to be none."""
    bundle = load_bundle(workload.bundles()[0])
    with open_store(url) as store:
        store.initialise()
        store.put_bundle(bundle)
        store.create_tenant(TENANT, bundle_digest=bundle.digest, version=1, actor_id="benchmark")
    if not fenced:
        with psycopg.connect(url) as connection:
            connection.execute("drop trigger fence_insert on cicsc.event")


def appends(plain: str, fenced: str, writers: int, seconds: float, runs: int) -> None:
    """Measure appends into a store that is `fenced`, and into one that is not, each named by its URL."""
    prepare(plain, fenced=False)
    prepare(fenced, fenced=True)
    cells = []
    for name, way in WAYS.items():
        rates = [[append_rate(way, url, writers, seconds) for url in (plain, fenced)] for _ in range(runs + 1)][1:]
        without, through = (statistics.median(column) for column in zip(*rates, strict=True))
        ratio = Ratio.of((row[1] for row in rates), (row[0] for row in rates))
        judged = Target(0.8, 0.95, at_least=True).judged(ratio.median)
        cells.append([name, f"{without:,.0f}", f"{through:,.0f}", str(ratio), judged])
    what = f"one event a transaction, {writers} writers, fsync on"
    heads = (what, "events/s without the fence (yardstick)", "through it", "ratio (least to most)", "target")
    print(table(heads, cells))
