"""What takes the products of the stream function, stream by stream; the engine supplies it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow
    from cicsc.replay.snapshot import Snapshot

Side = Literal["source", "target"]
Part = Literal["given", "made"]


class StreamSink(Protocol):
    """Takes what migrating a stream produces, in stream order."""

    def migrated(self, events: list[Event]) -> None:
        """Take the next migrated events of the stream."""

    def positions(self, rows: list[PositionRow]) -> None:
        """Take the next rows of the position map: tenant, type, id, old seq, new seq or None."""

    def leaf(self, part: Part, key: StreamKey, count: int, digest: str) -> None:
        """Take the leaf digest (hexadecimal) of the stream as it was given, or of what was made of it."""

    def row(self, side: Side, check: int, source: int, row: list[object]) -> None:
        """Take a row that a query constraint keeps of the stream's tenant."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take what the migrated stream folds to under the target."""
