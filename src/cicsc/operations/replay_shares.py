"""A history replayed by several processes, to the very snapshots that one gives, in the same order.

Each worker replays shares of the streams. Its snapshots wait in a temporary file until those of the shares before have
been taken, and are then read a batch at a time.
"""

from __future__ import annotations

import pickle
from collections import Counter
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cicsc.durable import TemporaryFolder
from cicsc.engine.folding import each_share
from cicsc.engine.shares import RunsWork, cut_runs
from cicsc.engine.spool import Spool
from cicsc.operations.replaying import Found, replayed
from cicsc.operations.stored_shares import PiecesWork, require_all_seen
from cicsc.progress import Amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cicsc.engine.folding import Share, Streams
    from cicsc.history.sorted import SortedHistory
    from cicsc.operations.replaying import Wanted
    from cicsc.operations.stored_shares import CutStore, PiecesShare
    from cicsc.progress import Progress
    from cicsc.replay.snapshot import Snapshot

_BATCH_SNAPSHOTS: Final = 256


def replay_runs(history: SortedHistory, wanted: Wanted, found: Found, workers: int) -> Iterator[Snapshot]:
    """Yield the snapshots of a history of files, and add to `found` what they are not."""
    cut, progress = cut_runs(history, workers), history.progress
    replay = partial(_replay, wanted, cut.folder)
    shares = each_share(replay, RunsWork(cut), shares=len(cut.shares), workers=workers, progress=progress)
    with closing(shares):  # so that no process goes on when nobody takes the snapshots
        yield from _taken(shares, found, progress)


def replay_pieces(cut: CutStore, wanted: Wanted, found: Found, progress: Progress) -> Iterator[Snapshot]:
    """Yield the snapshots of what was cut of a store, and add to `found` what they are not.

    Raises StoreError as `fold_store` does.
    """
    seen: Counter[str] = Counter()
    with TemporaryFolder() as name:
        replay = partial(_replay_pieces, wanted, Path(name))
        shares = each_share(replay, PiecesWork(cut), shares=len(cut.shares), workers=cut.workers, progress=progress)
        with closing(shares):  # so that no process goes on when nobody takes the snapshots
            for share, counts in shares:
                seen.update(counts)
                yield from _taken((share,), found, progress)
    require_all_seen(cut, seen)


def _taken(shares: Iterable[_Replayed], found: Found, progress: Progress) -> Iterator[Snapshot]:
    for share in shares:
        found.merge(share.found)
        progress.note(Amount(temporary_bytes=share.snapshots.size))
        with closing(share.snapshots) as waiting:
            reader = waiting.reader()
            while reader.tell() < waiting.size:
                yield from pickle.load(reader)  # noqa: S301 (our own)


# --------------------------------------------------------------------------------------- in a worker's process


class _Replayed(Struct, frozen=True):
    """What came of a share: batches of snapshots, and what was found."""

    snapshots: Spool
    found: Found


def _replay(wanted: Wanted, folder: Path, _share: Share, streams: Streams) -> _Replayed:
    spool, found = Spool(folder), Found()
    snapshots = replayed(streams, wanted, found)
    while batch := list(islice(snapshots, _BATCH_SNAPSHOTS)):
        spool.append(pickle.dumps(batch))
    return _Replayed(spool, found)


def _replay_pieces(
    wanted: Wanted, folder: Path, share: PiecesShare, streams: Streams
) -> tuple[_Replayed, Counter[str]]:
    return _replay(wanted, folder, share, streams), share.seen
