"""Streams replayed as they come, and what was amiss with them: all by one process, or each share by its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct, field

from cicsc.history.integrity import FindingsTally, checked_sequence
from cicsc.migration.tally import Tally
from cicsc.replay.fold import replay_steps
from cicsc.replay.reducers import compile_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cicsc.bundle.model import Bundle
    from cicsc.history.model import Event, StreamKey
    from cicsc.replay.reducers import TypeProgram
    from cicsc.replay.snapshot import Snapshot


class Wanted(Struct, frozen=True):
    """What is to be replayed: with which bundle, which entity (type, id) or all, and whether step by step."""

    bundle: Bundle
    entity: tuple[str, str] | None
    steps: bool


class Found(Struct, frozen=True):
    """What a replay comes across beside the snapshots; merging is associative and commutative."""

    findings: FindingsTally = field(default_factory=FindingsTally)
    faults: Tally[str] = field(default_factory=Tally)
    tenants: set[str] = field(default_factory=set)
    entities: set[tuple[str, str]] = field(default_factory=set)

    def merge(self, other: Found) -> None:
        """Take in what was found in other streams."""
        self.findings.merge(other.findings)
        self.faults.merge(other.faults)
        self.tenants.update(other.tenants)
        self.entities.update(other.entities)


def replayed(streams: Iterable[tuple[StreamKey, Iterable[Event]]], wanted: Wanted, found: Found) -> Iterator[Snapshot]:
    """Yield the snapshots of some streams, and add to `found` what they are not."""
    programs = compile_types(wanted.bundle)
    for key, stream in streams:
        found.tenants.add(key[0])
        if wanted.entity is None or key[1:] == wanted.entity:
            if wanted.entity is not None:
                found.entities.add(wanted.entity)
            events = checked_sequence(key, stream, found.findings)
            yield from _of_stream(programs.get(key[1]), key, events, found.faults, steps=wanted.steps)


def _of_stream(
    program: TypeProgram | None, key: StreamKey, events: Iterable[Event], faults: Tally[str], *, steps: bool
) -> Iterator[Snapshot]:
    snapshot = None
    for event, known, snapshot in replay_steps(program, key, events):
        if not known:
            message = f"stream {key!r} at seq {event.seq}: event type {event.event_type!r} has no reducer"
            faults.include((*key, event.seq), message)
        elif steps:
            yield snapshot
    if snapshot is not None and not steps:
        yield snapshot
