"""Sorting a history of any length in bounded memory.

Records are gathered up to a budget; what exceeds it goes to a temporary folder as sorted runs. A
history within the budget never touches the disk. Records come from `intake` and leave through
`sorted`, merged.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Final

from cicsc.durable import TemporaryFolder
from cicsc.history.merging import MergedStream, merged
from cicsc.history.model import StreamKey
from cicsc.history.native import framed_blocks, gathered_blocks, new_gatherer
from cicsc.history.runs import (
    EVERY_STREAM,
    Block,
    Framed,
    Groups,
    KeyRange,
    Run,
    blocks_of,
    framed,
    open_run,
    sorted_blocks,
    write_run,
)
from cicsc.progress import SILENT, Amount, Progress

MEMORY_BYTES_MAX: Final = 384 * 1024 * 1024
"""Memory that gathered records may take, their share of the tables that hold them included.

With half of it a million events become twice as many runs, and a preflight takes a twentieth longer.
"""

RUNS_MAX: Final = 128
"""Runs that are merged, and so open, at once."""

_EVENT_OVERHEAD_BYTES: Final = 80
_STREAM_OVERHEAD_BYTES: Final = 600


class Sorter:
    """Gathers records by stream, and gives them back in order.

    Records are put into `groups` directly, by the one loop that has no time for a call per event, or into
    the `gatherer`, where there is one; `account` must be called after each batch of them. Temporary
    files go to a folder made in `temporary_folder`, or to `place` itself, which is not removed.
    """

    def __init__(
        self,
        memory_bytes_max: int = MEMORY_BYTES_MAX,
        temporary_folder: Path | None = None,
        place: Path | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.groups: Groups = {}
        self.gatherer = new_gatherer()
        self._memory_bytes_max = memory_bytes_max
        self._gathered = 0
        self._parent = temporary_folder
        self._place = place
        self._progress = progress
        self._folder: TemporaryFolder | None = None
        self._runs: list[Run] = []

    def account(self, events: int = 0, size: int = 0) -> None:
        """Count what a batch added to `groups`, in events and bytes; spill when the budget is exceeded."""
        self._gathered += size + events * _EVENT_OVERHEAD_BYTES
        if self._in_memory() + len(self.groups) * _STREAM_OVERHEAD_BYTES > self._memory_bytes_max:
            self.spill()

    def _in_memory(self) -> int:
        return self._gathered + (0 if self.gatherer is None else self.gatherer.size)

    @property
    def size(self) -> int:
        """How many bytes were gathered, about."""
        return self._in_memory() + sum(run.size for run in self._runs)

    def spill(self) -> None:
        """Write what is in memory as runs."""
        self._sort()
        if self.gatherer is not None and self.gatherer.size:
            self._runs.append(self._write(framed_blocks(self.gatherer)))
        if self.groups:
            self._runs.append(self._write(framed(sorted_blocks(self.groups))))
        self._forget()

    def drain(self) -> Iterator[Block]:
        """Yield what is in memory as blocks, for others to sort further, and forget it."""
        yield from chain.from_iterable(self._blocks())
        self._forget()

    def _sort(self) -> None:
        """Sort what was gathered; streams in which an order is due among equals are ordered with the others."""
        if self.gatherer is not None:
            for key, seqs, records in self.gatherer.sort():
                group = self.groups.setdefault(key, ([], []))
                group[0].extend(seqs)
                group[1].extend(records)
                self._gathered += sum(map(len, records)) + len(records) * _EVENT_OVERHEAD_BYTES

    def _blocks(self) -> list[Iterator[Block]]:
        """Return what is in memory as blocks, which come by key in each."""
        self._sort()
        gathered = [] if self.gatherer is None else [gathered_blocks(self.gatherer)]
        return [*gathered, sorted_blocks(self.groups)]

    def _forget(self) -> None:
        self.groups.clear()
        self._gathered = 0
        if self.gatherer is not None:
            self.gatherer.clear()

    def take(self, block: Block) -> None:
        """Gather the records of a block that was drained elsewhere."""
        seqs, records = self.groups.setdefault(block.key, ([], []))
        seqs.extend(block.seqs)
        records.extend(block.text.split(b"\n"))
        self.account(len(block.seqs), len(block.text))

    def finish(self, shared_by: int = 1) -> None:
        """Bring the number of runs down to what can be merged at once, with those of as many others as share."""
        runs_max = max(2, RUNS_MAX // shared_by)
        while len(self._runs) > runs_max:
            merging, self._runs = self._runs[:runs_max], self._runs[runs_max:]
            with ExitStack() as stack:
                runs = [stack.enter_context(open_run(run)) for run in merging]
                self._runs.append(self._write(framed(_merged_blocks(runs))))
            for run in merging:
                run.path.unlink()

    def runs(self) -> tuple[Run, ...]:
        """Return everything as runs, for others to read while this one is open."""
        self.spill()
        return tuple(self._runs)

    def adopt(self, runs: Iterable[Run]) -> None:
        """Take in runs that others have written into the folder of this one."""
        for run in runs:
            self._progress.note(Amount(temporary_bytes=run.size))
            self._runs.append(run)

    def streams(self) -> Iterator[tuple[StreamKey, MergedStream]]:
        """Yield the streams by key; each is to be consumed before the next is asked for."""
        with ExitStack() as stack:
            runs = [stack.enter_context(open_run(run)) for run in self._runs]
            yield from merged([*runs, *self._blocks()])

    def close(self) -> None:
        """Forget everything, and remove the temporary folder."""
        self._forget()
        self._runs = []
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def folder(self) -> Path:
        """Return the folder for temporary files, which is removed when this is closed."""
        if self._place is not None:
            return self._place
        if self._folder is None:
            self._folder = TemporaryFolder(self._parent)
        return Path(self._folder.name)

    def _write(self, pieces: Iterator[Framed]) -> Run:
        run = write_run(self.folder() / f"run-{secrets.token_hex(8)}", pieces)
        self._progress.note(Amount(temporary_bytes=run.size))
        return run


def merged_runs(runs: Iterable[Run], wanted: KeyRange = EVERY_STREAM) -> Iterator[tuple[StreamKey, MergedStream]]:
    """Yield the wanted streams of some runs, as `Sorter.streams` does."""
    with ExitStack() as stack:
        yield from merged([stack.enter_context(open_run(run, wanted)) for run in runs])


def _merged_blocks(runs: list[Iterator[Block]]) -> Iterator[Block]:
    for key, stream in merged(runs):
        for seqs, text in stream.pieces:
            yield from blocks_of(key, seqs, text.split(b"\n"))
