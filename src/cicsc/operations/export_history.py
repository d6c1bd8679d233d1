"""From a store to a file: whole histories, whose digest is that of what is stored."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cicsc.canonical import LeafHasher, RootHasher
from cicsc.errors import UsageError
from cicsc.history.output import event_writer
from cicsc.operations.sources import guard_outputs
from cicsc.operations.stored import StoredHistory, opened_history
from cicsc.progress import SILENT, Progress
from cicsc.report.store_models import HistoryExport, TenantExport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cicsc.history.model import Event
    from cicsc.history.rows import RowWriter
    from cicsc.operations.sources import StoreSource

_WRITTEN_AT_ONCE: Final = 1_000
"""Events handed to the writer at once."""


def export_history(
    source: StoreSource, out_events: str | Path, *, generation: int | None = None, progress: Progress = SILENT
) -> HistoryExport:
    """Write the histories of tenants to a file, in stream order; it appears whole or not at all.

    The format follows the ending. Each tenant is as it was at one moment. `generation` gives an
    earlier one, of one tenant, as long as the store keeps it. Raises UsageError, StoreError and WorkError.
    """
    path = Path(out_events)
    guard_outputs({"--store": source}, {"--out-events": path})
    with (
        opened_history(source, generation=generation, progress=progress) as history,
        event_writer(path) as writer,
    ):
        assert isinstance(history, StoredHistory)
        if generation is not None:
            _require_generation(history, generation)
        root = RootHasher()
        streams = dict.fromkeys(history.tenants, 0)
        for key, events in history.streams("writing"):
            leaf = LeafHasher()
            _write(writer, leaf, iter(events))
            root.update(key, leaf.count, leaf.hexdigest())
            streams[key[0]] += 1
    return HistoryExport(
        ok=True,
        events=history.events_count,
        streams=sum(streams.values()),
        digest=root.hexdigest(),
        out_events=str(out_events),
        tenants=[
            TenantExport(
                tenant_id=name,
                generation=held.head.generation,
                position=held.head.position,
                events=held.head.count,
                streams=streams[name],
            )
            for name, held in history.tenants.items()
        ],
    )


def _write(writer: RowWriter[Event], leaf: LeafHasher, events: Iterator[Event]) -> None:
    while batch := list(islice(events, _WRITTEN_AT_ONCE)):
        writer.write(batch)
        for event in batch:
            leaf.update(event)


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
