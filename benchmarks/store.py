"""The numbers of the store: a cutover against copying the same rows, and appends through the fence against none.

    python benchmarks/store.py [--events N] [--runs K] [--version 16|18] [--writers W] [--seconds S]
                               [--only cutover|appends|sqlite]

Starts a PostgreSQL of its own, with fsync on and its data on the disk, from the binaries that the tests use.
Medians of K runs, taken in turn; nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import workload
from appends import appends
from commands import generated
from measure import Ratio, Target, machine, table

from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle
from cicsc.history.sorted import open_history
from cicsc.operations.live.change import Terms
from cicsc.operations.live.cutover import Order, cut_over
from cicsc.operations.live.finalize import finalize_tenant
from cicsc.operations.live.rollback import RollbackOrder, roll_back_tenant
from cicsc.operations.live.run import Timing
from cicsc.store import open_store
from cicsc.store.protocol import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import postgres_server

TENANT = "tenant-1"
DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB", "max_wal_size": "4GB"}

COPY_OUT = "copy (select * from cicsc.event where tenant_id = 'tenant-1' and generation = 1) to stdout"
PLAIN_TABLE = """
drop table if exists plain_event;
create table plain_event (like cicsc.event including defaults including constraints);
alter table plain_event add primary key (tenant_id, generation, entity_type, entity_id, seq);
alter table plain_event add unique (tenant_id, generation, position, ordinal);
"""


def timed(work: Callable[[], object]) -> float:
    """Return how long some work takes, in wall seconds."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def fill(store: Store, folder: Path) -> tuple[Bundle, Bundle, int]:
    """Import the workload as one tenant; return both bundles and the number of events."""
    before, after = (load_bundle(folder / name) for name in ("from.json", "to.json"))
    store.initialise()
    store.put_bundle(before)
    store.create_tenant(TENANT, bundle_digest=before.digest, version=1, actor_id="benchmark")
    with open_history(folder / "events.jsonl") as history:
        events = (event for _, stream in history.streams() for event in stream)
        took = time.perf_counter()
        count = store.import_events(TENANT, events, generation=1, actor_id="benchmark")
        print(f"An import writes {count / (time.perf_counter() - took):,.0f} events/s.\n")
    return before, after, count


def copy_out_and_in(url: str) -> None:
    """Copy the rows out and into a table with the same indexes, in one transaction, without any check."""
    with psycopg.connect(url) as source, psycopg.connect(url) as target:
        target.execute(PLAIN_TABLE)
        target.commit()
        with source.cursor().copy(COPY_OUT) as out, target.cursor().copy("copy plain_event from stdin") as into:
            for data in out:
                into.write(data)


def cutovers(url: str, folder: Path, runs: int, kind: str) -> None:
    """Measure cutovers of one large tenant, each undone before the next."""
    with open_store(url) as store:
        before, after, count = fill(store, folder)
        order = Order(
            target=after, migration=workload.MIGRATION, operator="benchmark", execute=True, timing=Timing(60, 3600)
        )
        rows = []
        for _ in range(runs + 1):
            yardstick = timed(lambda: copy_out_and_in(url)) if kind == "postgres" else float("nan")
            began = time.perf_counter()
            report = cut_over(store, TENANT, order)
            took = time.perf_counter() - began
            if not report.ok:
                raise SystemExit(f"the cutover failed: {report.error}")
            rows.append((yardstick, took, report.pause_ms / 1000, report.predicted_pause_ms / 1000))
            go_back(store, before)
            if kind == "postgres":
                vacuum(url)
    rows = rows[1:] or rows
    copy, whole, pause, predicted = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio, paused = (Ratio.of((row[column] for row in rows), (row[0] for row in rows)) for column in (1, 2))
    cells = [
        [f"COPY out and COPY in of the same {count:,} rows, no checks (yardstick)", f"{copy:.1f}", "1", ""],
        [
            f"`migration-cutover` on {kind}, preflight included",
            f"{whole:.1f}",
            str(ratio),
            Target(2.0, 1.2).judged(ratio.median),
        ],
        ["of that the tenant is paused", f"{pause:.1f}", str(paused), ""],
        ["predicted before the pause began", f"{predicted:.1f}", "", ""],
    ]
    if kind != "postgres":
        cells = [[what, seconds, "", ""] for what, seconds, _, _ in cells[1:]]
    print(table(("what", "s", "ratio (least to most)", "target"), cells))


def go_back(store: Store, before: Bundle) -> None:
    """Reactivate the old generation and drop the new one, so that the next run finds what this one found."""
    terms = {"operator": "benchmark", "execute": True, "timing": Timing(60, 3600)}
    reports = [
        roll_back_tenant(store, TENANT, RollbackOrder(migration=workload.MIGRATION, **terms)),
        finalize_tenant(store, TENANT, Terms(**terms)),
    ]
    if not all(report.ok for report in reports) or store.gate(TENANT).active_bundle != before.digest:
        raise SystemExit(f"could not go back: {reports}")


def vacuum(url: str) -> None:
    """Clear away what going back has left; the server would otherwise do it in the midst of what is measured next."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum cicsc.event")
        connection.execute("checkpoint")


def main() -> None:
    """Start a server, make the workload where there is none, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--version", default="18", choices=postgres_server.VERSIONS)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--only", choices=("cutover", "appends", "sqlite"))
    arguments = parser.parse_args()
    folder = generated(arguments.events).folder
    print(f"{machine()}.")
    if arguments.only in {None, "cutover", "appends"}:
        print(f"PostgreSQL {arguments.version}, fsync on, medians of {arguments.runs} runs in turn.\n")
        server = postgres_server.PostgresServer(arguments.version, settings=DURABLE, in_memory=False)
        try:
            if arguments.only in {None, "cutover"}:
                cutovers(server.url(server.new_database()), folder, arguments.runs, "postgres")
            if arguments.only in {None, "appends"}:
                plain, fenced = (server.url(server.new_database()) for _ in range(2))
                appends(plain, fenced, arguments.writers, arguments.seconds, arguments.runs)
        finally:
            server.stop()
    if arguments.only in {None, "sqlite"}:
        with tempfile.TemporaryDirectory(prefix="cicsc-benchmark-") as place:
            cutovers(f"sqlite:///{place}/store.db", folder, arguments.runs, "sqlite")


if __name__ == "__main__":
    main()
