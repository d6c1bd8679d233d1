"""Preflight, chapter 1 of the runbook: every check of a migration on the real history; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cicsc.operations.assess import Call, Outputs, assess
from cicsc.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Collection

    from cicsc.engine.choice import EngineName
    from cicsc.operations.arguments import Equivalence
    from cicsc.operations.sources import BundleSource, HistorySource
    from cicsc.report.models import Preflight


def preflight(
    source: BundleSource | None,
    target: BundleSource,
    events: HistorySource,
    migration: str,
    *,
    now: int | None = None,
    actor: str | None = None,
    tenants: Collection[str] = (),
    expected_hash: str | None = None,
    equivalence: Equivalence = "final",
    accept_source_violations: Collection[str] = (),
    workers: int | None = None,
    engine: EngineName = "local",
    spark_master: str | None = None,
    progress: Progress = SILENT,
) -> Preflight:
    """Check a migration from `source` to `target` on the whole history `events`.

    `now` (ms since the epoch, default: the history's largest ts) and `actor` are what constraints
    see. `tenants` restricts the history, all of it when empty; a `StoreSource` names its own, and `source` may
    then be None, since the store holds the active bundle. `expected_hash` is the digest that the
    history must have. `equivalence` compares each entity at its end, or after every event.
    `accept_source_violations` names constraints of the source that may be violated by the source.
    `workers` is how many processes share a large file, or a large history of a store on PostgreSQL (default: one
    for each core where processes can be forked safely, that is on Linux from a process with one thread); the
    result is the same for any number.
    With `engine` "spark" a Spark does the work, on `spark_master` (default: a Spark that runs or that spark-submit
    has made, else all cores of this machine); `events` is then a path, a folder or a glob, as Spark reads them.
    `progress` is told how far the work has come (see `cicsc.progress`), and changes nothing.

    A migration that must not go ahead is a report with ok false. Raises UsageError for a call that
    contradicts itself, InputError for an input that cannot be decoded, WorkError where the work
    could not be done (a full disk).
    """
    call = Call(
        source, target, events, migration, now, actor, tenants, expected_hash, equivalence, accept_source_violations,
        workers, engine, spark_master, progress=progress,
    )  # fmt: skip
    return assess(call, Outputs()).report
