"""The verdict on some streams, which merges with the verdict on others.

    Verdict
    ├── integrity      findings about the events themselves
    ├── source, target a SideVerdict each: what was replayed, and which constraints were violated
    └── divergence     where the target is not what the source is related to

Merging is associative and commutative. Sizes depend on the bundles, never on the history: findings
are counted in full and listed up to a cap. What a stream produces goes into a `StreamSink` instead, which the
engine supplies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Protocol

from msgspec import Struct, field

from cicsc.history.integrity import FindingsTally
from cicsc.migration.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import PositionRow
    from cicsc.replay.snapshot import Snapshot

Side = Literal["source", "target"]
Which = Literal["given", "made"]
"""Which history a leaf is of: the one that was given, or the one that is made of it."""

REPLAY: Final = "replay"
"""The kind of a violation that says that a bundle cannot replay an event."""


class Violation(Struct, frozen=True):
    """One place where a bundle's rules do not hold; `sample` says where, in the report's terms."""

    constraint_id: str
    kind: str
    on_type: str
    message: str
    sample: Mapping[str, object]


class SideVerdict(Struct):
    """What one bundle says of its side of the history; violations by (kind, constraint id, type)."""

    events: int = 0
    entities: int = 0
    violations: dict[tuple[str, str, str], Tally[Violation]] = field(default_factory=dict)

    def violated(self, kind: str, constraint_id: str, on_type: str) -> Tally[Violation]:
        """Return the tally of one constraint, to be added to."""
        return self.violations.setdefault((kind, constraint_id, on_type), Tally())

    def merge(self, other: SideVerdict) -> None:
        """Take in the verdict on other streams of the same side."""
        self.events += other.events
        self.entities += other.entities
        for name, tally in other.violations.items():
            self.violations.setdefault(name, Tally()).merge(tally)


class Divergence(Struct, frozen=True):
    """The smallest example of a target that is not what its source is related to."""

    tenant_id: str
    entity_type: str
    entity_id: str
    seq: int
    event_type: str
    field: str
    expected: object
    found: object
    source_snapshot: Mapping[str, object]
    target_snapshot: Mapping[str, object]


class DivergenceVerdict(Struct):
    """How many streams diverge, in which fields, and the example with the fewest events."""

    streams: int = 0
    by_field: dict[str, int] = field(default_factory=dict)
    size: tuple[int, StreamKey] | None = None
    example: Divergence | None = None

    def is_smaller(self, size: tuple[int, StreamKey]) -> bool:
        """Tell whether an example of `size`, its events and its stream, would replace the one kept."""
        return self.size is None or size < self.size

    def merge(self, other: DivergenceVerdict) -> None:
        """Take in the divergences of other streams."""
        self.streams += other.streams
        for name, count in other.by_field.items():
            self.by_field[name] = self.by_field.get(name, 0) + count
        if other.size is not None and self.is_smaller(other.size):
            self.size, self.example = other.size, other.example


class Verdict(Struct):
    """What is known after some streams were migrated and verified.

    `source_events` counts all events that came in, `broken_streams` those streams that were not
    replayed because their events are not intact, `unmatched` by (entity type, event type) the events
    of a fan-out for which no condition held, `not_restored` those that a declared inverse does not give back.
    """

    source_events: int = 0
    compared_streams: int = 0
    broken_streams: int = 0
    integrity: FindingsTally = field(default_factory=FindingsTally)
    source: SideVerdict = field(default_factory=SideVerdict)
    target: SideVerdict = field(default_factory=SideVerdict)
    divergence: DivergenceVerdict = field(default_factory=DivergenceVerdict)
    unmatched: dict[tuple[str, str], int] = field(default_factory=dict)
    not_restored: Tally[str] = field(default_factory=Tally)

    def merge(self, other: Verdict) -> None:
        """Take in the verdict on other streams."""
        self.source_events += other.source_events
        self.compared_streams += other.compared_streams
        self.broken_streams += other.broken_streams
        self.integrity.merge(other.integrity)
        self.source.merge(other.source)
        self.target.merge(other.target)
        self.divergence.merge(other.divergence)
        for name, count in other.unmatched.items():
            self.unmatched[name] = self.unmatched.get(name, 0) + count
        self.not_restored.merge(other.not_restored)


class StreamSink(Protocol):
    """Takes what migrating a stream produces, in stream order."""

    takes_lines: bool
    """Whether migrated events become lines, so that their records are of use, which lists of events may have."""

    def migrated(self, events: list[Event]) -> None:
        """Take the next migrated events of the stream."""

    def positions(self, rows: Iterable[PositionRow]) -> None:
        """Take the next rows of the position map, as `Moves` where these are all of the stream."""

    def leaf(self, which: Which, key: StreamKey, count: int, digest: str) -> None:
        """Take the leaf digest (hexadecimal) of the stream as it was given, or of what was made of it."""

    def row(self, side: Side, check: int, source: int, row: list[object]) -> None:
        """Take a row that a query constraint keeps of the stream's tenant."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take what the migrated stream folds to under the target."""
