"""Histories in a store, read by several processes, each with a connection of its own.

The streams of all tenants are cut into shares by their keys. Every worker enters the moment that the parent keeps
open, and reads each tenant up to its head, so all shares are of that moment although others write; that nothing
is missing is known by the number of events. The server sorts: a share is entered at its first stream, by the key
of the table.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from cicsc.durable import TemporaryFolder
from cicsc.engine.folding import SHARES_PER_WORKER, Folded, FoldedShare, fold_work, share_ends
from cicsc.engine.lines import WaitingRows, handed_on
from cicsc.engine.parts import conclude
from cicsc.history.integrity import FindingsTally
from cicsc.history.runs import EVERY_STREAM, KeyRange
from cicsc.operations.stored_streams import HeadStreams, require_seen
from cicsc.store import open_store
from cicsc.store.records import StoreHead

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from cicsc.engine.leaves import Digests
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow, RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.progress import Progress
    from cicsc.replay.snapshot import Snapshot
    from cicsc.store.protocol import Store, StoreMoment, TenantReading


class Piece(Struct, frozen=True):
    """Some streams of a tenant, up to its head."""

    tenant_id: str
    head: StoreHead
    within: KeyRange = EVERY_STREAM


class CutStore(Struct, frozen=True):
    """What workers need to read a store: its URL, the pieces of each share, and the moment that they share, if any."""

    url: str
    shares: Sequence[Sequence[Piece]]
    workers: int
    moment: str | None = None


def cut_tenant(reading: TenantReading, head: StoreHead, ends: Sequence[int]) -> list[Piece]:
    """Cut a generation of a tenant into pieces that end after about so many of its events, the last with the last."""
    cuts = reading.cuts(ends, head)
    ranges = pairwise([None, *cuts, None])
    return [Piece(reading.gate.tenant_id, head, KeyRange(first, end)) for first, end in ranges]


def cut_tenants(moment: StoreMoment, url: str, heads: Mapping[str, StoreHead], workers: int) -> CutStore:
    """Cut tenants, which come in order of their names, into shares for so many processes, as `share_ends` has it.

    A tenant that is smaller than the average share is not cut, and takes no look at the store. The moment has to stay
    open until all was read.
    """
    whole = sum(head.count for head in heads.values())
    ends = share_ends(workers * SHARES_PER_WORKER, whole)
    shares: list[list[Piece]] = [[] for _ in ends]
    before = 0
    for tenant_id, head in heads.items():
        share = min(bisect_right(ends, before), len(ends) - 1)
        after = before + head.count
        pieces = [Piece(tenant_id, head)]
        if head.count * len(ends) > whole:
            inside = ends[share : bisect_left(ends, after)]
            pieces = cut_tenant(moment.reading(tenant_id), head, [end - before for end in (*inside, after)])
        for number, piece in enumerate(pieces, share):
            shares[number].append(piece)
        before = after
    return CutStore(url, [share for share in shares if share], workers, moment.share())


def fold_store(
    plan: Plan,
    cut: CutStore,
    events: RowWriter[Event] | None = None,
    positions: RowWriter[PositionRow] | None = None,
    snapshots: RowWriter[Snapshot] | None = None,
    *,
    progress: Progress,
) -> tuple[Verdict, Digests]:
    """Migrate and verify what was cut, as `migrate_history` does.

    Raises StoreError STORE_DAMAGED where a tenant does not have the events that were counted, and STORE_MOMENT_LOST
    where the moment has ended.
    """
    assert snapshots is None, "only a cutover takes snapshots"
    with TemporaryFolder() as name:
        folder = Path(name)
        work = _ReadingWork(plan, cut, folder)
        folded = fold_work(plan, work, shares=len(cut.shares), folder=folder, workers=cut.workers, progress=progress)
        with closing(folded):  # so that no process goes on when writing has failed
            parts = handed_on(_all_seen(cut, folded), events, positions, progress)
            return conclude(plan, parts, FindingsTally(), progress)


def _all_seen(cut: CutStore, folded: Iterable[Folded[_Read]]) -> Iterator[Folded[WaitingRows]]:
    """Yield what came of each share, and at the end look whether all events were read."""
    seen: Counter[str] = Counter()
    for share in folded:
        seen.update(share.made.seen)
        yield Folded(share.part, share.made.rows)
    require_all_seen(cut, seen)


def require_all_seen(cut: CutStore, seen: Counter[str]) -> None:
    """Raise StoreError STORE_DAMAGED unless of each tenant as many events were read as were counted."""
    heads = {piece.tenant_id: piece.head for share in cut.shares for piece in share}
    for tenant_id, head in heads.items():
        require_seen(tenant_id, head, seen[tenant_id])


# --------------------------------------------------------------------------------------- in a worker's process


class StoreWork:
    """Work on a store, which is opened when the first share is, and stays open as long as the process lives."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: Store | None = None

    def store(self) -> Store:
        """Return the store, this process's own."""
        if self._opened is None:
            self._opened = open_store(self._url)
        return self._opened


class PiecesWork(StoreWork):
    """The shares of a cut, to be read."""

    def __init__(self, cut: CutStore) -> None:
        super().__init__(cut.url)
        self._cut = cut

    @contextmanager
    def open(self, share: int) -> Iterator[PiecesShare]:
        """Open a share, in a worker."""
        with closing(PiecesShare(self.store(), self._cut, share)) as opened:
            yield opened


class PiecesShare:
    """The pieces of a share that are read; `seen` counts the events of each tenant when they have passed."""

    def __init__(self, store: Store, cut: CutStore, share: int) -> None:
        self._store = store
        self._streams = self._streams_of(cut.shares[share], cut.moment)
        self.seen: Counter[str] = Counter()

    def streams(self) -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield the streams of all pieces."""
        return self._streams

    def close(self) -> None:
        """End what is being read."""
        self._streams.close()

    def _streams_of(self, pieces: Sequence[Piece], shared: str | None) -> Generator[tuple[StreamKey, Iterable[Event]]]:
        with self._store.moment(shared) as moment:
            for piece in pieces:
                found = HeadStreams(moment.reading(piece.tenant_id), piece.head, piece.within)
                yield from found
                self.seen[piece.tenant_id] += found.seen


class _Read(Struct, frozen=True):
    """What came of a share: rows, and how many events of each tenant were read."""

    rows: WaitingRows
    seen: Counter[str]


class _ReadingWork(StoreWork):
    def __init__(self, plan: Plan, cut: CutStore, folder: Path) -> None:
        super().__init__(cut.url)
        self._plan = plan
        self._cut = cut
        self._folder = folder

    @contextmanager
    def open(self, share: int) -> Iterator[FoldedShare[_Read]]:
        rows = WaitingRows(self._plan, self._folder)
        with closing(_ReadShare(self.store(), self._cut, share, rows)) as opened:
            yield opened


class _ReadShare(PiecesShare):
    def __init__(self, store: Store, cut: CutStore, share: int, rows: WaitingRows) -> None:
        super().__init__(store, cut, share)
        self._rows = rows
        self.writers = rows.writers()

    def made(self) -> _Read:
        return _Read(self._rows, self.seen)
