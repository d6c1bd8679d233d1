"""The one function that migrates and verifies a stream; every engine calls it.

Events come in seq order and are consumed once, so a stream of any length passes in bounded memory.
The source bundle folds each event, the rules turn it into its successors, the target bundle folds
these, and at the end the two folds must be related. What is found goes into a `Verdict` that merges
with others; what is produced goes into a `StreamSink`, which the engine supplies.
"""

from __future__ import annotations

from operator import is_
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from cicsc.canonical import LeafHasher
from cicsc.history.integrity import checked_sequence, is_intact
from cicsc.history.leaves import add_to_leaf
from cicsc.history.model import Event, EventList, known_plain
from cicsc.history.rows import Moves
from cicsc.history.runs import encode_records
from cicsc.migration.inspection import inspect_stream
from cicsc.migration.quick import pass_quickly
from cicsc.migration.transform import successors
from cicsc.migration.verdict import REPLAY, Divergence, Verdict, Violation
from cicsc.replay.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cicsc.history.model import StreamKey
    from cicsc.history.rows import PositionRow
    from cicsc.migration.plan import Plan, SidePlan, TypePlan
    from cicsc.migration.quick import Passed
    from cicsc.migration.relation import Difference
    from cicsc.migration.transform import Rule
    from cicsc.migration.verdict import Side, SideVerdict, StreamSink, Which

_BATCH_EVENTS_MAX: Final = 1_000
_LOCATE_EVENTS_MAX: Final = 100_000
"""Events of a stream that is folded once more to find where it began to diverge; longer ones name their last event."""


def migrate_stream(plan: Plan, key: StreamKey, events: Iterable[Event], verdict: Verdict, sink: StreamSink) -> None:
    """Migrate and verify one stream, adding to `verdict` and `sink`.

    A stream whose events are not intact is reported, but not judged: replaying what is left of it
    would prove nothing. It has a digest, but what it would become has none.
    """
    if not plan.judges:
        inspect_stream(key, events, verdict, sink, digests=plan.digests)
        return
    restoring = plan.of_type(key[1]).restoring
    if restoring is not None:
        events = restoring.watched(key, events, verdict)
    run = _StreamRun(plan, key, sink)
    if isinstance(events, list):
        if run.pass_quickly(events):
            verdict.source_events += run.source_seq
            run.conclude(verdict, events)
            return
        run = _StreamRun(plan, key, sink)
    findings = verdict.integrity.total
    run.consume(checked_sequence(key, events, verdict.integrity))
    verdict.source_events += run.source_seq
    if verdict.integrity.total > findings:
        verdict.broken_streams += 1
        run.leaf("given")
        return
    run.conclude(verdict, events if isinstance(events, list) else None)


class _StreamRun:
    """One pass over one stream."""

    __slots__ = (
        "_buffer",
        "_diverged",
        "_example",
        "_found",
        "_key",
        "_last",
        "_leaves",
        "_map",
        "_plan",
        "_produces",
        "_sink",
        "_type_plan",
        "since",
        "source",
        "source_seq",
        "target",
        "target_seq",
    )  # fmt: skip

    def __init__(self, plan: Plan, key: StreamKey, sink: StreamSink) -> None:
        self._plan = plan
        self._type_plan: TypePlan = plan.of_type(key[1])
        self._key = key
        self._sink = sink
        self.source = Fold(self._type_plan.source.program)
        self.target = Fold(self._type_plan.target.program)
        self.source_seq = 0
        self.target_seq = 0
        self._leaves = (LeafHasher(), LeafHasher()) if plan.digests else None
        self._produces = plan.digests or plan.migrated
        self._buffer: list[Event] = []
        self._map: list[PositionRow] = []
        self._found: Verdict | None = None
        self._last: Event | None = None
        self.since: dict[str, Event] = {}
        self._diverged: set[str] = set()
        self._example: Divergence | None = None

    def pass_quickly(self, events: list[Event]) -> bool:
        """Do what `consume` does, much faster, if there is nothing special about any event; else tell so.

        Then this run is of no use any more, but nothing has left it.
        """
        plan = self._plan
        if plan.every_event or not is_intact(events):
            return False
        folds = (self.source, self.target)
        passed = pass_quickly(self._type_plan.steps, self._key, events, folds, makes=self._produces)
        if passed is None:
            return False
        self.source_seq, self.target_seq = len(events), passed.seq
        self._last = events[-1] if events else None
        self._take(events, passed)
        return True

    def _take(self, events: list[Event], passed: Passed) -> None:
        """Hash and hand on what became of all events."""
        made = passed.made
        if made is not None:
            is_same = len(made) == len(events) and all(map(is_, made, events))
            became = events if is_same else self._listed(made, known_plain(events) and not self._type_plan.makes_floats)
            if self._leaves is not None:
                given, hasher = self._leaves
                add_to_leaf(given, events)
                if is_same:
                    hasher.copy_of(given)
                else:
                    add_to_leaf(hasher, became)
            if self._plan.migrated:
                self._hand_on(became)
        if self._plan.positions:
            self._sink.positions(Moves(self._key, passed.counts))

    def _listed(self, made: list[Event], is_plain: bool) -> EventList:
        """Return events with what is known, and their records where these are wanted twice: to hash, and as lines."""
        is_written = self._plan.migrated and self._sink.takes_lines and len(made) <= _BATCH_EVENTS_MAX
        records = encode_records(made) if is_plain and is_written and self._leaves is not None else b""
        return EventList(made, is_plain=is_plain, records=records)

    def _hand_on(self, made: list[Event]) -> None:
        if len(made) <= _BATCH_EVENTS_MAX:
            self._sink.migrated(made)
            return
        for start in range(0, len(made), _BATCH_EVENTS_MAX):
            batch = made[start : start + _BATCH_EVENTS_MAX]
            self._sink.migrated(EventList(batch, is_plain=known_plain(made)))

    def consume(self, events: Iterable[Event]) -> None:
        """Fold and transform every event."""
        rules, source, plan = self._type_plan.rules, self.source, self._plan
        emit = self._emit
        event = None
        for event in events:
            self.source_seq += 1
            event_type, payload = event.event_type, event.payload
            if not source.apply(event_type, payload, event):
                self._unreplayable("source", event, event.seq, event_type)
            if self._leaves is not None:
                self._leaves[0].update(event)
            before = self.target_seq
            if rules is not None:
                rule = rules.get(event_type)
                if rule is None:
                    emit(event, event_type, payload)
                elif (always := rule.always) is not None:
                    emit(
                        event, always.event_type, payload if always.payload is None else always.payload(payload, event)
                    )
                else:
                    self._follow(rule, event)
            if plan.positions:
                self._map_positions(event.seq, before)
            if plan.every_event:
                self._compare(event)
            if len(self._buffer) >= _BATCH_EVENTS_MAX or len(self._map) >= _BATCH_EVENTS_MAX:
                self._flush()
        self._last = event

    def _follow(self, rule: Rule, event: Event) -> None:
        """Emit what a rule makes of an event that is dropped or fanned out."""
        emitted = successors(rule, event)
        for event_type, payload in emitted:
            self._emit(event, event_type, payload)
        if rule.fans_out and not emitted:
            name = (event.entity_type, event.event_type)
            unmatched = self._verdict().unmatched
            unmatched[name] = unmatched.get(name, 0) + 1

    def _emit(self, event: Event, event_type: str, payload: dict[str, object]) -> None:
        """Let the target fold what `event` becomes, and make the migrated event only where it is asked for."""
        self.target_seq += 1
        if not self.target.apply(event_type, payload, event):
            self._unreplayable("target", event, self.target_seq, event_type)
        if self._produces:
            self._produce(event, event_type, payload)

    def _produce(self, event: Event, event_type: str, payload: dict[str, object]) -> None:
        seq = self.target_seq
        if payload is not event.payload or event_type != event.event_type or seq != event.seq:
            event = Event(*self._key, seq, event_type, payload, event.ts, event.actor_id, event.extra)
        if self._leaves is not None:
            self._leaves[1].update(event)
        if self._plan.migrated:
            self._buffer.append(event)

    def _map_positions(self, old_seq: int, before: int) -> None:
        key = self._key
        if self.target_seq == before:
            self._map.append((*key, old_seq, None))
        self._map.extend((*key, old_seq, seq) for seq in range(before + 1, self.target_seq + 1))

    def _flush(self) -> None:
        if self._buffer:
            self._sink.migrated(self._buffer)
            self._buffer = []
        if self._map:
            self._sink.positions(self._map)
            self._map = []

    def _verdict(self) -> Verdict:
        """Return what this stream alone has to tell; most streams have nothing, so it is made late."""
        if self._found is None:
            self._found = Verdict()
        return self._found

    def _unreplayable(self, side: Side, event: Event, seq: int, event_type: str) -> None:
        """Report an event that a bundle has no reducer for; the fold goes on without it."""
        found = self._verdict()
        verdict = found.source if side == "source" else found.target
        plan = self._type_plan.source if side == "source" else self._type_plan.target
        bundle = f"the {side} bundle" if self._plan.migrates else "the bundle"
        missing = (
            f"entity type {event.entity_type!r} is not in {bundle}"
            if plan.program is None
            else f"event type {event_type!r} has no reducer in {bundle}"
        )
        message = f"cannot replay stream {self._key!r} at seq {seq}: {missing}"
        sample = _sample(self._key) | {"seq": seq, "event_type": event_type}
        violation = Violation(REPLAY, REPLAY, event.entity_type, message, sample)
        verdict.violated(REPLAY, REPLAY, event.entity_type).include((*self._key, seq), violation)

    def _compare(self, event: Event) -> None:
        """Compare after one source event; remember since when each field differs, and the first example."""
        differences = self.differences()
        self.since = {found.field: self.since.get(found.field, event) for found in differences}
        self._diverged.update(self.since)
        if differences and self._example is None:
            self._example = self.divergence(event, differences[0])

    def divergence(self, event: Event, difference: Difference) -> Divergence:
        """Describe a difference that there is after `event`."""
        return Divergence(
            *self._key,
            event.seq,
            event.event_type,
            difference.field,
            difference.expected,
            difference.found,
            self.source.content(),
            self.target.content(),
        )

    def differences(self) -> list[Difference]:
        """Return where the target is not what the source is related to, as of the events so far."""
        relation = self._type_plan.relation
        if relation is None:
            return []
        plan = self._plan
        return relation.differences(self.source, self.target, self._key[1:], plan.now, plan.actor)

    def conclude(self, verdict: Verdict, events: list[Event] | None) -> None:
        """Judge the intact stream at its end; `events` are given where they can be read again."""
        self._flush()
        if self._found is not None:
            verdict.merge(self._found)
        verdict.source.events += self.source_seq
        verdict.target.events += self.target_seq
        self._judge("source", verdict.source, self._type_plan.source, self.source)
        if self.target_seq:
            self._judge("target", verdict.target, self._type_plan.target, self.target)
            if self._plan.snapshots:
                self._sink.snapshot(self.target.snapshot(self._key, self.target_seq))
        self.leaf("given")
        if self.target_seq:
            self.leaf("made")
        if self._type_plan.relation is not None:
            verdict.compared_streams += 1
            self._conclude_divergence(verdict, events)

    def leaf(self, which: Which) -> None:
        """Hand on a leaf digest, where digests are asked for."""
        if self._leaves is not None:
            hasher = self._leaves[0 if which == "given" else 1]
            self._sink.leaf(which, self._key, hasher.count, hasher.hexdigest())

    def _judge(self, side: Side, verdict: SideVerdict, plan: SidePlan, fold: Fold) -> None:
        """Check one side's snapshot and keep its rows; an entity is one that has at least one event."""
        verdict.entities += 1
        snapshot = (
            *self._key[1:],
            fold.state,
            fold.updated_ts,
            fold.attrs,
            fold.shadows,
            self._plan.now,
            self._plan.actor,
        )
        holds, *rows = plan.judge(*snapshot)
        for check in () if holds else plan.checks:
            if not check.holds(*snapshot):
                message = f"constraint {check.id!r} does not hold for stream {self._key!r}"
                sample = _sample(self._key) | {"state": fold.state}
                violation = Violation(check.id, "snapshot", check.on_type, message, sample)
                verdict.violated("snapshot", check.id, check.on_type).include(self._key, violation)
        for keeper, row in zip(plan.keepers, rows, strict=True):
            if row is not None:
                self._sink.row(side, keeper.check, keeper.source, row)

    def _conclude_divergence(self, verdict: Verdict, events: list[Event] | None) -> None:
        differences = self.differences()
        self._diverged.update(difference.field for difference in differences)
        if not self._diverged:
            return
        found = verdict.divergence
        found.streams += 1
        for field in self._diverged:
            name = f"{self._key[1]}.{field}"
            found.by_field[name] = found.by_field.get(name, 0) + 1
        size = (self.source_seq if self._example is None else self._example.seq, self._key)
        if found.is_smaller(size):
            found.size = size
            found.example = self._example or self._locate(differences[0], events)

    def _locate(self, difference: Difference, events: list[Event] | None) -> Divergence:
        """Fold the stream once more to show it as it was after the event since which the field has differed."""
        if events is None or len(events) > _LOCATE_EVENTS_MAX:
            assert self._last is not None
            return self.divergence(self._last, difference)
        began = self._again(events, every_event=True).since[difference.field]
        upto = self._again([event for event in events if event.seq <= began.seq], every_event=False)
        (then,) = (found for found in upto.differences() if found.field == difference.field)
        return upto.divergence(began, then)

    def _again(self, events: list[Event], *, every_event: bool) -> _StreamRun:
        plan = replace(
            self._plan, every_event=every_event, digests=False, migrated=False, positions=False, snapshots=False
        )
        run = _StreamRun(plan, self._key, self._sink)
        run.consume(events)
        return run


def _sample(key: StreamKey) -> dict[str, object]:
    return {"tenant_id": key[0], "entity_id": key[2]}
