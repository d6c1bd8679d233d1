"""The integrity of a history: what is wrong with its events themselves, as findings that merge.

Findings are counted in full and listed up to a cap, the smallest of each code first, so that a
report depends neither on file order nor on how the history was cut. A bad history is a finding,
never an error. Findings go into the verdicts and reports.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct, field
from msgspec.structs import replace

from cicsc.history.model import Event, EventList, StreamKey, integer_or_none

Code = Literal["SEQ_GAP", "SEQ_REGRESSION", "MALFORMED_EVENT", "HASH_MISMATCH"]
SortKey = tuple[tuple[bool, str], tuple[bool, str], tuple[bool, str], tuple[bool, int], str, str]

FINDINGS_MAX: Final = 10
"""Findings listed per code; the counts beyond are exact."""


class Finding(Struct, frozen=True, eq=False):
    """One thing wrong with a history, and as much of the event's identity as is known.

    `place` is where it stands in the input, for people only: it takes no part in equality, in order
    or in reports, since file order never matters.
    """

    code: Code
    message: str
    tenant_id: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    seq: int | None = None
    place: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Finding) and self.sort_key() == other.sort_key()

    def __hash__(self) -> int:
        return hash(self.sort_key())

    @property
    def where(self) -> str | None:
        """For people: its place in the input and what is known of whose event it is; nothing without a place."""
        if self.place is None:
            return None
        identity = {"tenant": self.tenant_id, "type": self.entity_type, "id": self.entity_id, "seq": self.seq}
        known = ", ".join(f"{name} {value!r}" for name, value in identity.items() if value is not None)
        return f"{self.place} ({known})" if known else self.place

    @property
    def located(self) -> str:
        """The message, after where it is found."""
        return self.message if self.place is None else f"{self.where}: {self.message}"

    def sort_key(self) -> SortKey:
        """Return what findings are ordered by: identity first, where the unknown comes before the known."""
        return (
            (self.tenant_id is not None, self.tenant_id or ""),
            (self.entity_type is not None, self.entity_type or ""),
            (self.entity_id is not None, self.entity_id or ""),
            (self.seq is not None, self.seq or 0),
            self.code,
            self.message,
        )


class FindingsTally(Struct):
    """Findings counted by code, with the smallest of each code; merging is associative and commutative."""

    counts: dict[str, int] = field(default_factory=dict)
    _listed: dict[str, list[Finding]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many findings there are."""
        return sum(self.counts.values())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings that are listed, in order."""
        return tuple(sorted((found for listed in self._listed.values() for found in listed), key=Finding.sort_key))

    def include(self, finding: Finding) -> None:
        """Count one more finding, and list it if it is among the smallest of its code."""
        self.counts[finding.code] = self.counts.get(finding.code, 0) + 1
        self._list(finding)

    def merge(self, other: FindingsTally) -> None:
        """Take in the findings about other events."""
        for code, count in other.counts.items():
            self.counts[code] = self.counts.get(code, 0) + count
        for listed in other._listed.values():
            for finding in listed:
                self._list(finding)

    def moved(self, lines: int) -> FindingsTally:
        """Return the same findings, each so many lines further down in its file."""
        listed = {code: [_moved(found, lines) for found in some] for code, some in self._listed.items()}
        return FindingsTally(dict(self.counts), listed)

    def _list(self, finding: Finding) -> None:
        listed = self._listed.setdefault(finding.code, [])
        if len(listed) < FINDINGS_MAX or finding.sort_key() < listed[-1].sort_key():
            insort(listed, finding, key=Finding.sort_key)
            del listed[FINDINGS_MAX:]


def _moved(finding: Finding, lines: int) -> Finding:
    assert finding.place is not None, "a finding that was read from lines has a place"
    origin, word, line = finding.place.rpartition(" line ")
    return replace(finding, place=f"{origin}{word}{int(line) + lines}")


def is_intact(events: Sequence[Event]) -> bool:
    """Tell whether the events of a stream are 1, 2, 3 and so on."""
    if isinstance(events, EventList) and events.is_intact:
        return True
    return [event.seq for event in events] == list(range(1, len(events) + 1))


def checked_sequence(key: StreamKey, events: Iterable[Event], tally: FindingsTally) -> Iterator[Event]:
    """Yield the events of a stream, in seq order, and add to `tally` where they are not 1, 2, 3 and so on."""
    expected = 1
    for event in events:
        if event.seq != expected:
            tally.include(_out_of_sequence(key, event.seq, expected))
        if event.seq >= expected:
            expected = event.seq + 1
        yield event


def malformed_event(value: object, faults: tuple[str, ...], place: str) -> Finding:
    """Make the finding for a decoded value that is no event; it names every wrong field."""
    fields = value if isinstance(value, dict) else {}
    return Finding(
        "MALFORMED_EVENT",
        f"malformed event: {'; '.join(faults)}",
        tenant_id=_text(fields.get("tenant_id")),
        entity_type=_text(fields.get("entity_type")),
        entity_id=_text(fields.get("entity_id")),
        seq=integer_or_none(fields.get("seq")),
        place=place,
    )


def hash_mismatch(expected: str, found: str) -> Finding:
    """Make the finding for a history whose digest is not the expected one."""
    return Finding("HASH_MISMATCH", f"the history's digest differs: expected {expected}, found {found}")


def _out_of_sequence(key: StreamKey, seq: int, expected: int) -> Finding:
    stream = f"stream {key!r}"
    if seq > expected:
        missing = "1 event is missing" if seq == expected + 1 else f"{seq - expected} events are missing"
        return Finding("SEQ_GAP", f"{stream}: expected seq {expected}, found {seq}: {missing}", *key, seq)
    what = "which is below 1" if seq < 1 else "which is there already"
    return Finding("SEQ_REGRESSION", f"{stream}: expected seq {expected}, found {seq}, {what}", *key, seq)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
