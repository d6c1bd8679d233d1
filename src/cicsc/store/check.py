"""Looking a store over: is its file whole, is the fence as installed, are streams gapless, do snapshots equal the fold.

Reads through the protocol alone, each tenant as it is at one moment, one stream at a time. What is
wrong is a finding; an error is raised only where the store cannot be read at all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

from msgspec import Struct, field

from cicsc.canonical import canonical_bytes
from cicsc.errors import InputError, StoreError
from cicsc.history.integrity import FindingsTally, checked_sequence
from cicsc.history.model import Event, StreamKey
from cicsc.replay.fold import Fold
from cicsc.replay.reducers import TypeProgram, compile_types
from cicsc.replay.snapshot import Snapshot
from cicsc.store.protocol import Store, TenantReading
from cicsc.store.records import StoreHead

StoreCode: TypeAlias = Literal[
    "FILE_DAMAGED",
    "FENCE_CHANGED",
    "POSITIONS_BEHIND",
    "BUNDLE_UNREADABLE",
    "EVENT_UNREADABLE",
    "SEQUENCE_BROKEN",
    "NO_REDUCER",
    "SNAPSHOT_DIFFERS",
    "SNAPSHOT_AHEAD",
]

LISTED_MAX: Final = 10
"""Findings listed per code; the counts beyond are exact."""


class StoreFinding(Struct, frozen=True):
    """One thing wrong with a store, and with whose stream if it is about one."""

    code: StoreCode
    message: str
    tenant_id: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None


class StoreCheck(Struct, frozen=True):
    """What was looked at and what was found; `counts` by code are exact, `findings` are the first of each code."""

    tenants: int
    events: int
    snapshots: int
    counts: Mapping[str, int]
    findings: tuple[StoreFinding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.counts


def check_store(store: Store, tenants: Collection[str] = ()) -> StoreCheck:
    """Look over the file, the fence and the active history of some tenants, by default of all.

    What cannot be read of a file that was found damaged is left out. Raises UNKNOWN_TENANT for a tenant that the
    store does not have.
    """
    check = _Check(store)
    for fault in store.damage():
        check.include(StoreFinding("FILE_DAMAGED", fault))
    with check.as_far_as_it_can_be_read():
        for fault in store.fence_faults():
            check.include(StoreFinding("FENCE_CHANGED", fault))
    with check.as_far_as_it_can_be_read():
        for fault in store.late_positions():
            check.include(StoreFinding("POSITIONS_BEHIND", fault))
    names = sorted(set(tenants))
    with check.as_far_as_it_can_be_read():
        names = names or [gate.tenant_id for gate in store.gates()]
    for tenant_id in names:
        with check.as_far_as_it_can_be_read(), store.reading(tenant_id) as reading:
            check.look_over(reading)
    return StoreCheck(len(names), check.events, check.snapshots, check.counts, tuple(check.findings))


class _Check(Struct):
    """The findings so far, and the compiled bundles."""

    store: Store
    events: int = 0
    snapshots: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    findings: list[StoreFinding] = field(default_factory=list)
    programs: dict[str, Mapping[str, TypeProgram]] = field(default_factory=dict)

    def include(self, finding: StoreFinding) -> None:
        """Count a finding, and list it if it is among the first of its code."""
        count = self.counts[finding.code] = self.counts.get(finding.code, 0) + 1
        if count <= LISTED_MAX:
            self.findings.append(finding)

    @contextmanager
    def as_far_as_it_can_be_read(self) -> Iterator[None]:
        """Go on after what a damaged file does not give, since the damage itself was found before."""
        try:
            yield
        except StoreError as error:
            if error.code != "STORE_DAMAGED" or "FILE_DAMAGED" not in self.counts:
                raise

    def look_over(self, reading: TenantReading) -> None:
        """Fold every stream of a tenant, beside the snapshots that are kept of it."""
        tenant_id = reading.gate.tenant_id
        try:
            programs = self._programs(reading.gate.active_bundle)
        except StoreError as error:
            self.include(StoreFinding("BUNDLE_UNREADABLE", error.message, tenant_id))
            return
        kept, before = _Kept(reading.snapshots()), self.events
        try:
            for key, events in reading.streams():
                for snapshot in kept.before(key):
                    self._without_stream(snapshot)
                self._look_at(programs.get(key[1]), key, iter(events), kept.of(key))
        except InputError as error:
            self.include(StoreFinding("EVENT_UNREADABLE", error.message, tenant_id))
        else:
            for snapshot in kept.rest():
                self._without_stream(snapshot)
            self._compare_count(tenant_id, reading.head(), self.events - before)
        self.snapshots += kept.count

    def _compare_count(self, tenant_id: str, head: StoreHead, found: int) -> None:
        if found != head.count:
            message = f"tenant {tenant_id!r} has {head.count} events, its streams have {found}: an index is damaged"
            self.include(StoreFinding("EVENT_UNREADABLE", message, tenant_id))

    def _programs(self, digest: str) -> Mapping[str, TypeProgram]:
        if digest not in self.programs:
            self.programs[digest] = compile_types(self.store.bundle(digest))
        return self.programs[digest]

    def _look_at(
        self, program: TypeProgram | None, key: StreamKey, events: Iterator[Event], kept: Snapshot | None
    ) -> None:
        tally = FindingsTally()
        fold = Fold(program)
        compared = kept is None
        for event in checked_sequence(key, events, tally):
            self.events += 1
            if not fold.apply(event.event_type, event.payload, event):
                message = f"stream {key!r} at seq {event.seq}: event type {event.event_type!r} has no reducer"
                self.include(StoreFinding("NO_REDUCER", message, *key))
            if kept is not None and event.seq == kept.last_seq:
                compared = True
                if not _equal(fold, kept):
                    message = f"the snapshot of stream {key!r} at seq {event.seq} is not what its events fold to"
                    self.include(StoreFinding("SNAPSHOT_DIFFERS", message, *key))
        if not compared and kept is not None:
            self._without_stream(kept)
        for finding in tally.findings:
            self.include(StoreFinding("SEQUENCE_BROKEN", finding.message, *key))

    def _without_stream(self, snapshot: Snapshot) -> None:
        key = (snapshot.tenant_id, snapshot.entity_type, snapshot.entity_id)
        message = f"the snapshot of stream {key!r} is of seq {snapshot.last_seq}, which the stream does not have"
        self.include(StoreFinding("SNAPSHOT_AHEAD", message, *key))


class _Kept:
    """Snapshots in the order of their keys, taken as the streams pass."""

    def __init__(self, snapshots: Iterator[Snapshot]) -> None:
        self._snapshots = snapshots
        self._next = next(snapshots, None)
        self.count = 0

    def before(self, key: StreamKey) -> Iterator[Snapshot]:
        """Yield the snapshots of entities before `key`, which have no stream."""
        while self._next is not None and _key(self._next) < key:
            yield self._take()

    def of(self, key: StreamKey) -> Snapshot | None:
        """Return the snapshot of `key`, if there is one."""
        return self._take() if self._next is not None and _key(self._next) == key else None

    def rest(self) -> Iterator[Snapshot]:
        """Yield what is left."""
        while self._next is not None:
            yield self._take()

    def _take(self) -> Snapshot:
        taken = self._next
        assert taken is not None
        self._next = next(self._snapshots, None)
        self.count += 1
        return taken


def _key(snapshot: Snapshot) -> StreamKey:
    return (snapshot.tenant_id, snapshot.entity_type, snapshot.entity_id)


def _equal(fold: Fold, kept: Snapshot) -> bool:
    mine = [fold.state, fold.attrs, fold.shadows, fold.updated_ts]
    return canonical_bytes(mine) == canonical_bytes([kept.state, kept.attrs, kept.shadows, kept.updated_ts])
