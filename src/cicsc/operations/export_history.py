"""From a store to a file: whole histories, whose digest is that of what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cicsc.canonical import RootHasher
from cicsc.engine.choice import worker_count
from cicsc.errors import UsageError
from cicsc.history.output import event_writer
from cicsc.operations.copying import Written, copy_streams
from cicsc.operations.sources import StoreSource, guard_outputs
from cicsc.operations.stored import StoredHistory, opened_history
from cicsc.progress import SILENT, Progress
from cicsc.report.store_models import HistoryExport, TenantExport

if TYPE_CHECKING:
    from cicsc.history.model import Event
    from cicsc.history.rows import RowWriter


def export_history(
    source: StoreSource,
    out_events: str | Path,
    *,
    generation: int | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> HistoryExport:
    """Write the histories of tenants to a file, in stream order; it appears whole or not at all.

    The format follows the ending. Each tenant is as it was at one moment. `generation` gives an
    earlier one, of one tenant, as long as the store keeps it. `workers` processes share a large history of a
    store on PostgreSQL, by default one for each core; the file is the same for any number. Raises UsageError,
    StoreError and WorkError.
    """
    if not isinstance(source, StoreSource):
        raise UsageError(
            "SOURCE_UNKNOWN",
            f"cannot export from {type(source).__name__}: expected a StoreSource",
            hint="a file is a history already; dry_run writes it as it is migrated",
        )
    path = Path(out_events)
    guard_outputs({"--store": source}, {"--out-events": path})
    count = worker_count(workers)
    with (
        opened_history(source, generation=generation, settled=True, workers=count, progress=progress) as history,
        event_writer(path) as writer,
    ):
        assert isinstance(history, StoredHistory)
        if generation is not None:
            _require_generation(history, generation)
        written = _write(history, writer, progress)
    return HistoryExport(
        ok=True,
        events=history.events_count,
        streams=written.streams.total(),
        digest=written.digest,
        out_events=str(out_events),
        tenants=[
            TenantExport(
                tenant_id=name,
                generation=held.head.generation,
                position=held.head.position,
                events=held.head.count,
                streams=written.streams[name],
            )
            for name, held in history.tenants.items()
        ],
    )


def _write(history: StoredHistory, writer: RowWriter[Event], progress: Progress) -> Written:
    cut = history.cut("writing")
    if cut is None:
        root = RootHasher()
        streams = copy_streams(history.streams("writing"), writer.write, root.update)
        return Written(root.hexdigest(), streams)
    from cicsc.operations.export_shares import write_shares  # noqa: PLC0415 (loads multiprocessing)

    return write_shares(cut, writer, progress)


def _require_generation(history: StoredHistory, generation: int) -> None:
    """Raise UsageError unless the one tenant has the generation, and readers may see it."""
    if len(history.tenants) != 1:
        raise UsageError(
            "INVALID_VALUE",
            f"--generation is of one tenant, found {len(history.tenants)}",
            hint="generations of different tenants have nothing to do with each other; export one at a time",
        )
    for tenant_id, held in history.tenants.items():
        gate = held.gate
        is_there = generation == gate.active_generation or held.head.count > 0
        if not is_there or generation == gate.staging_generation:
            raise UsageError(
                "NO_SUCH_GENERATION",
                f"tenant {tenant_id!r} has no generation {generation}: its active one is {gate.active_generation}",
                hint="without --generation the active one is exported",
            )
