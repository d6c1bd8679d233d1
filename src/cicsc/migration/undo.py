"""The one function that takes a stream back, and proves that it is the way back.

Each event of the target history goes through the inverse, and what comes out goes forward again: only
if that gives the very event back, extra fields included, is the stream undone. Where the source
bundle is known, the undone stream must replay under it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from msgspec import Struct, field

from cicsc.bundle.model import Bundle, Migration
from cicsc.canonical import LeafHasher
from cicsc.expression.values import equal
from cicsc.history.integrity import FindingsTally, checked_sequence
from cicsc.history.model import Event
from cicsc.migration.inverse import has_way_back, inverse_of
from cicsc.migration.tally import Tally
from cicsc.migration.transform import compile_rules, successors
from cicsc.replay.fold import Fold
from cicsc.replay.reducers import compile_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cicsc.history.model import StreamKey
    from cicsc.migration.transform import Rule
    from cicsc.migration.verdict import Which
    from cicsc.replay.reducers import TypeProgram
    from cicsc.replay.snapshot import Snapshot

_BATCH_EVENTS_MAX: Final = 1_000


class UndoPlan(Struct, frozen=True):
    """A migration's inverse and the migration itself, compiled.

    `programs` is None without a source bundle. A plan that only inspects takes nothing back: the
    migration has obstacles, and those of the history are looked for as well. `snapshots` asks for
    what the regained streams fold to under the source.
    """

    migration: Migration
    source: Bundle | None
    back: Mapping[str, Mapping[str, Rule]]
    forward: Mapping[str, Mapping[str, Rule]]
    programs: Mapping[str, TypeProgram] | None
    only_inspect: bool
    snapshots: bool = False
    _ways: dict[tuple[str, str], bool] = field(default_factory=dict)

    def has_way_back(self, entity_type: str, event_type: str) -> bool:
        """Tell of an event type whether it stems from one of the source; found out once for each."""
        name = (entity_type, event_type)
        found = self._ways.get(name)
        if found is None:
            found = self._ways[name] = has_way_back(self.migration, self.source, entity_type, event_type)
        return found


class UndoVerdict(Struct):
    """What is known after some streams were taken back; merges like `Verdict`.

    `no_way_back` and `not_replayable` count events by (entity type, event type), `not_restored` holds
    the events that the round trip changes.
    """

    events: int = 0
    integrity: FindingsTally = field(default_factory=FindingsTally)
    no_way_back: dict[tuple[str, str], int] = field(default_factory=dict)
    not_replayable: dict[tuple[str, str], int] = field(default_factory=dict)
    not_restored: Tally[str] = field(default_factory=Tally)

    def merge(self, other: UndoVerdict) -> None:
        """Take in the verdict on other streams."""
        self.events += other.events
        self.integrity.merge(other.integrity)
        self.not_restored.merge(other.not_restored)
        for mine, others in ((self.no_way_back, other.no_way_back), (self.not_replayable, other.not_replayable)):
            for name, count in others.items():
                mine[name] = mine.get(name, 0) + count


class UndoSink(Protocol):
    """Takes what taking a stream back produces, in stream order."""

    def migrated(self, events: list[Event]) -> None:
        """Take the next events of the stream, as they were before the migration."""

    def leaf(self, which: Which, key: StreamKey, count: int, digest: str) -> None:
        """Take the leaf digest (hexadecimal) of the stream as it was given, or of what was regained from it."""

    def snapshot(self, snapshot: Snapshot) -> None:
        """Take what the regained stream folds to under the source."""


def compile_undo(
    migration: Migration, source: Bundle | None, *, only_inspect: bool, snapshots: bool = False
) -> UndoPlan:
    """Compile the way back of a migration, which may be taken if the migration has no obstacle of its own."""
    inverse = inverse_of(migration)
    return UndoPlan(
        migration,
        source,
        {name: compile_rules(changes) for name, changes in inverse.types.items()},
        {name: compile_rules(changes) for name, changes in migration.types.items()},
        None if source is None else compile_types(source),
        only_inspect,
        snapshots,
    )


def undo_stream(plan: UndoPlan, key: StreamKey, events: Iterable[Event], verdict: UndoVerdict, sink: UndoSink) -> None:
    """Take one stream back, adding to `verdict` and `sink`."""
    entity_type = key[1]
    back, forward = plan.back.get(entity_type, {}), plan.forward.get(entity_type, {})
    fold = None if plan.programs is None else Fold(plan.programs.get(entity_type))
    given, regained = LeafHasher(), LeafHasher()
    batch: list[Event] = []
    count = 0
    for event in checked_sequence(key, events, verdict.integrity):
        count += 1
        given.update(event)
        if not plan.has_way_back(entity_type, event.event_type):
            _count(verdict.no_way_back, event)
            continue
        if plan.only_inspect:
            continue
        undone = _undone(back.get(event.event_type), event)
        if undone is None or not restores(forward.get(undone.event_type), undone, event):
            message = f"stream {key!r} at seq {event.seq}: event type {event.event_type!r} is not restored"
            verdict.not_restored.include((*key, event.seq), message)
            continue
        if fold is not None and not fold.apply(undone.event_type, undone.payload, undone):
            _count(verdict.not_replayable, undone)
        regained.update(undone)
        batch.append(undone)
        if len(batch) >= _BATCH_EVENTS_MAX:
            sink.migrated(batch)
            batch = []
    if batch:
        sink.migrated(batch)
    verdict.events += count
    sink.leaf("given", key, count, given.hexdigest())
    if regained.count:
        sink.leaf("made", key, regained.count, regained.hexdigest())
        if plan.snapshots and fold is not None:
            sink.snapshot(fold.snapshot(key, regained.count))


def _undone(rule: Rule | None, event: Event) -> Event | None:
    """Return the event as it was, or None where the inverse does not make exactly one of it."""
    emitted = successors(rule, event)
    if len(emitted) != 1:
        return None
    event_type, payload = emitted[0]
    return Event(
        event.tenant_id, event.entity_type, event.entity_id, event.seq, event_type, payload, event.ts, event.actor_id,
        event.extra,
    )  # fmt: skip


def restores(rule: Rule | None, undone: Event, event: Event) -> bool:
    """Tell whether `rule`, from one side of the migration to the other, makes the very event of the undone one."""
    emitted = successors(rule, undone)
    if len(emitted) != 1:
        return False
    event_type, payload = emitted[0]
    return event_type == event.event_type and (payload is event.payload or equal(payload, event.payload))


def _count(counts: dict[tuple[str, str], int], event: Event) -> None:
    name = (event.entity_type, event.event_type)
    counts[name] = counts.get(name, 0) + 1
