"""Taking in a history: every event is decoded strictly, checked and handed to the sorter, once.

An event whose text is what our encoder would write for it is its own record: equal bytes prove
that it was strict JSON of the right shape. The native part, where there is one, knows such texts at
sight and takes them away. Any other is looked at closer and encoded anew. Text
that cannot be decoded is an error, with its place; a value that is no event is a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import attrgetter
from sys import intern
from typing import Final

import msgspec
from msgspec import UNSET

from cicsc.decoding import decode_value, exceeds_cheap_bounds
from cicsc.history.array import array_batches
from cicsc.history.given import given_value
from cicsc.history.integrity import FindingsTally, malformed_event
from cicsc.history.lines import line_batches
from cicsc.history.model import Event, StreamKey, event_from_value, stream_key
from cicsc.history.opening import OpenInput
from cicsc.history.runs import EXTRA_KEY, decode_record, decode_records, encode_record, encode_records
from cicsc.history.sorting import Sorter
from cicsc.history.texts import Lines, TextBatch
from cicsc.progress import NOTED_EVENTS, SILENT, Amount, Progress

_HARMLESS_BYTES_MAX: Final = 350
"""A shorter text of an event exceeds no limit of nesting or digits: its own keys take a hundred bytes of it."""

_BATCH_TEXTS_MIN: Final = 16
"""Texts from which on it is tried to take them in as a whole."""

_PATIENCE_BATCHES_MAX: Final = 64
"""Batches that are not tried as a whole after many that had to be taken text by text."""

_ts_of: Final = attrgetter("ts")
_UNDECODED: Final = (msgspec.MsgspecError, ValueError, RecursionError)


class Intake:
    """Reads inputs into a sorter, and sums up what it saw: events of the wanted tenants only."""

    def __init__(self, sorter: Sorter, tenants: frozenset[str] | None, progress: Progress = SILENT) -> None:
        self._sorter = sorter
        self._tenants = tenants
        self._progress = progress
        self._noted = 0
        self._patience = _PATIENCE_BATCHES_MAX
        self._pass_over = 0
        self.malformed = FindingsTally()
        self.events_count = 0
        self.latest_ts: int | None = None

    def read(self, opened: OpenInput) -> None:
        """Read an opened input to its end; raises InputError where it cannot be decoded."""
        if opened.format == "parquet":
            from cicsc.history.parquet import parquet_rows  # noqa: PLC0415 - takes long to import, rarely needed

            self.take_values(parquet_rows(opened, self._progress))
        elif opened.format == "lines":
            self.read_lines(opened.chunks, opened.name)
        else:
            for batch in array_batches(opened.chunks, opened.name):
                self._take_texts(batch, opened.name)
                self._note()

    def read_lines(self, chunks: Iterator[bytes], name: str, first: int = 1) -> int:
        """Read lines, the first of which has this number in its file, and return how many they were."""
        count = 0
        for lines in line_batches(chunks, name, first):
            taken, batch = self._gather(lines)
            if batch is not None:
                self._take_batch(batch, name)
                taken += len(batch.texts)
            count += taken
            self._note()
        return count

    def read_values(self, values: Iterable[object]) -> None:
        """Read events, or mappings of their fields, from memory; raises InputError for what JSON cannot say."""
        self.take_values((f"index {index}", given_value(item, f"index {index}")) for index, item in enumerate(values))

    def take_values(self, values: Iterator[tuple[str, object]]) -> None:
        """Take in decoded values, each with its place; what is no event is a finding."""
        for place, value in values:
            event = self._event(value, place)
            if event is not None:
                self._take_event(event)
                if self.events_count - self._noted == NOTED_EVENTS:
                    self._note()
        self._note()

    def _gather(self, lines: Lines) -> tuple[int, TextBatch | None]:
        """Let the native part take in what it can; return how many lines, and those that are left, if any are."""
        gatherer = self._sorter.gatherer
        if gatherer is None or self._tenants is not None:
            return 0, lines.batch()
        count, latest, others = gatherer.take(lines.data)
        lines.count = count + len(others)
        if count:
            self._count(count, latest)
            self._sorter.account()
        if not others:
            return count, None
        texts = [text for _, text in others]
        joined = b"\n".join([*texts, b""]) if len(texts) >= _BATCH_TEXTS_MIN else None
        return count, TextBatch(texts, lines.first, joined=joined, offsets=[offset for offset, _ in others])

    def _count(self, events: int, latest: int) -> None:
        self.events_count += events
        self.latest_ts = latest if self.latest_ts is None else max(latest, self.latest_ts)

    def _take_batch(self, batch: TextBatch, name: str) -> None:
        """Take in a batch as a whole if all its texts are records, which is usual, else text by text."""
        if batch.joined is None:
            self._take_texts(batch, name)
            return
        if self._pass_over:
            self._pass_over -= 1
        elif (events := _records_of(batch)) is not None:
            self._patience = _PATIENCE_BATCHES_MAX
            self._take_records(events, batch.texts)
            return
        else:
            self._pass_over = _PATIENCE_BATCHES_MAX - self._patience
            self._patience //= 2
        self._take_texts(batch, name)

    def _take_records(self, events: list[Event], records: list[bytes]) -> None:
        """Take in events with their records: the loop that every event of a usual file passes."""
        tenants, groups = self._tenants, self._sorter.groups
        if tenants is not None:
            kept = [pair for pair in zip(events, records, strict=True) if pair[0].tenant_id in tenants]
            events, records = [event for event, _ in kept], [record for _, record in kept]
        if not events:
            return
        for event, record in zip(events, records, strict=True):
            key = (event.tenant_id, event.entity_type, event.entity_id)
            group = groups.get(key)
            if group is None:
                group = groups[_shared(key)] = ([], [])
            seqs, texts = group
            seqs.append(event.seq)
            texts.append(record)
        self._count(len(events), max(map(_ts_of, events)))
        self._sorter.account(len(events), sum(map(len, records)))

    def _take_texts(self, batch: TextBatch, name: str) -> None:
        """Take in the texts of a batch one by one."""
        groups, tenants = self._sorter.groups, self._tenants
        latest = self.latest_ts
        count = size = 0
        for offset, text in enumerate(batch.texts):
            if not text:
                continue
            record = text
            try:
                event: Event | None = decode_record(text)
                if encode_record(event) != text or (len(text) > _HARMLESS_BYTES_MAX and exceeds_cheap_bounds(text)):
                    event = None
            except _UNDECODED:
                event = None
            if event is None or event.extra is not UNSET:
                event = self._look_closer(batch, offset, name)
                if event is None:
                    continue
                record = encode_record(event)
            if tenants is not None and event.tenant_id not in tenants:
                continue
            key = (event.tenant_id, event.entity_type, event.entity_id)
            group = groups.get(key)
            if group is None:
                group = groups[_shared(key)] = ([], [])
            group[0].append(event.seq)
            group[1].append(record)
            if latest is None or event.ts > latest:
                latest = event.ts
            count += 1
            size += len(record)
        self.latest_ts = latest
        self.events_count += count
        self._sorter.account(count, size)

    def _look_closer(self, batch: TextBatch, offset: int, name: str) -> Event | None:
        """Decode one text of a batch exactly; return nothing for a blank line and for what is no event."""
        text = batch.texts[offset]
        if not text.strip(b" \t\r\n"):
            return None
        event = _compacted(text)
        if event is not None:
            return event
        column = 1 if batch.lines is None else None
        value = decode_value(text, batch.origin(name, offset), line=batch.line(offset), column=column)
        return self._event(value, batch.place(name, offset))

    def _event(self, value: object, place: str) -> Event | None:
        event = event_from_value(value)
        if isinstance(event, Event):
            return event
        finding = malformed_event(value, event, place)
        # Whose event it is cannot always be told; then it concerns every tenant.
        if self._tenants is None or finding.tenant_id is None or finding.tenant_id in self._tenants:
            self.malformed.include(finding)
        return None

    def _note(self) -> None:
        """Note the events that were taken in since the last note."""
        self._progress.note(Amount(self.events_count - self._noted))
        self._noted = self.events_count

    def _take_event(self, event: Event) -> None:
        if self._tenants is not None and event.tenant_id not in self._tenants:
            return
        record = encode_record(event)
        seqs, records = self._sorter.groups.setdefault(_shared(stream_key(event)), ([], []))
        seqs.append(event.seq)
        records.append(record)
        self._count(1, event.ts)
        self._sorter.account(1, len(record))


def _records_of(batch: TextBatch) -> list[Event] | None:
    """Return the events of a batch if all its texts are records, nothing where some have to be looked at one by one."""
    assert batch.joined is not None
    if EXTRA_KEY in batch.joined:
        return None
    try:
        events = decode_records(batch.joined)
        if encode_records(events) != batch.joined:
            return None
    except _UNDECODED:
        return None
    if any(exceeds_cheap_bounds(text) for text in batch.texts if len(text) > _HARMLESS_BYTES_MAX):
        return None
    return events


def _shared(key: StreamKey) -> StreamKey:
    """Return the key with tenant and type that are one object for all streams: smaller, and quicker to compare."""
    return intern(key[0]), intern(key[1]), key[2]


def _compacted(text: bytes) -> Event | None:
    """Return the event if nothing but space keeps its text from being its record; the usual case in files by others."""
    if exceeds_cheap_bounds(text):
        return None
    try:
        compact = msgspec.json.format(text, indent=-1)
        event = decode_record(compact)
        return event if event.extra is UNSET and encode_record(event) == compact else None
    except _UNDECODED:
        return None
