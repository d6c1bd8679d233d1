"""Histories of a store written to a file by several processes, to the very bytes that one writes.

Each worker reads shares of the streams, makes the lines that they are in a file, and hashes them. The lines wait until
those of the shares before are written, which the parent does, and so do the leaves of the digest.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from cicsc.durable import TemporaryFolder
from cicsc.engine.folding import each_share
from cicsc.engine.leaves import Chain, LeavesPair
from cicsc.engine.lines import WaitingRows
from cicsc.history.integrity import FindingsTally
from cicsc.migration.plan import NOTHING
from cicsc.operations.copying import Written, copy_streams
from cicsc.operations.stored_shares import PiecesShare, PiecesWork, require_all_seen
from cicsc.progress import Amount

if TYPE_CHECKING:
    from cicsc.engine.folding import Streams
    from cicsc.history.model import Event
    from cicsc.history.rows import RowWriter
    from cicsc.operations.stored_shares import CutStore
    from cicsc.progress import Progress

_EVENTS: Final = replace(NOTHING, migrated=True)
"""Asks for rows of events, and for nothing else."""


def write_shares(cut: CutStore, writer: RowWriter[Event], progress: Progress) -> Written:
    """Write all that was cut; raises StoreError as `fold_store` does."""
    chain = Chain()
    streams: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    with TemporaryFolder() as name:
        copy = partial(_copy, Path(name))
        shares = each_share(copy, PiecesWork(cut), shares=len(cut.shares), workers=cut.workers, progress=progress)
        with closing(shares):  # so that no process goes on when writing has failed
            for copied in shares:
                progress.note(Amount(temporary_bytes=copied.rows.hand_on(writer, None)))
                chain.add(copied.leaves)
                copied.leaves.close()
                streams.update(copied.streams)
                seen.update(copied.seen)
    require_all_seen(cut, seen)
    digest = chain.finish(FindingsTally()).given
    assert digest is not None
    return Written(digest, streams)


# --------------------------------------------------------------------------------------- in a worker's process


class _Copied(Struct, frozen=True):
    """What came of a share: lines, leaves, and of each tenant how many streams there are, and events that were read."""

    rows: WaitingRows
    leaves: LeavesPair
    streams: Counter[str]
    seen: Counter[str]


def _copy(folder: Path, share: PiecesShare, streams: Streams) -> _Copied:
    rows, leaves = WaitingRows(_EVENTS, folder), LeavesPair(folder)
    copied = copy_streams(streams, rows.writers().migrated, partial(leaves.add, "given"))
    return _Copied(rows, leaves, copied, share.seen)
