"""The one canonical encoding of a JSON value, and the one digest of a history.

The encoding is RFC 8785 (JSON Canonicalization Scheme) with two deliberate deviations: keys sort by
code point instead of by UTF-16 unit, and a number with an integral value is written as plain
digits, exact at any size, so that ``2``, ``2.0`` and ``2e0`` are one value.

This module knows neither files nor bundles; it sees an event only as an object with eight named
fields. Values come in as decoded by `cicsc.decoding` (finite numbers, text without lone
surrogates, string keys). Its digests go into reports, artifacts and the checks of a rollback.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

EVENT_FIELDS: Final = (
    "tenant_id",
    "entity_type",
    "entity_id",
    "seq",
    "event_type",
    "payload",
    "ts",
    "actor_id",
)
"""The fields of an event that its digest covers, in the order in which events are written."""

_SMALL: Final = 1e-3
"""Doubles from here on are written alike by the fast encoder and by ECMAScript, unless they are integral."""

_BATCH_EVENTS_MAX: Final = 256
"""Events that are encoded at once."""

_WAITING_EVENTS_MAX: Final = 16
"""Events that come one by one and wait to be encoded together; few, since each may be large."""

_LEAF_PREFIX: Final = b"\x00"
_ROOT_PREFIX: Final = b"\x01"

_PLAIN_EXPONENT_MIN: Final = -6
"""The smallest exponent of ten that ECMAScript writes as zeros instead of an exponent."""

_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
_encode_sorted_lines: Final = msgspec.json.Encoder(order="sorted").encode_lines
_encode_text: Final = msgspec.json.Encoder().encode

# The fast encoder differs from the canonical form in floats only: it writes 2.0 and 1e16, where plain
# digits are due, and 3e-6 where ECMAScript writes 0.000003. All of these end in a zero fraction or
# in an exponent. Text can look the same; then the exact encoder yields the same bytes, later.
_search_number: Final = re.compile(rb"(?:\.0|e-?[0-9]+)(?:[,\]}]|\Z)").search
_search_field: Final = re.compile(rb":-?[0-9]++(?:\.0[,}]|(?:\.[0-9]++)?e)").search


class DigestedEvent(Protocol):
    """What the digest asks of an event beside its eight fields: whether more fields travel along, and the payload."""

    @property
    def extra(self) -> object:
        """UNSET where no more fields travel along."""

    @property
    def payload(self) -> dict[str, object]:
        """The payload, where most numbers are."""


def canonical_bytes(value: object) -> bytes:
    """Encode a JSON value canonically, as UTF-8. Source: RFC 8785 and docs/formats.md."""
    data = _encode_sorted(value)
    return _encode_sorted(_plain(value)) if _may_differ(data) else data


def canonical_event(event: DigestedEvent) -> bytes:
    """Encode the eight fields of an event canonically; extra fields take no part."""
    if event.extra is msgspec.UNSET:
        data = _encode_sorted(event)
        if not _may_differ(data):
            return data
    return canonical_bytes({name: getattr(event, name) for name in EVENT_FIELDS})


def _canonical_lines(events: Sequence[DigestedEvent]) -> bytes:
    """Encode events canonically, each with a line feed after it."""
    if _are_plain(events):
        return _encode_sorted_lines(events)
    return b"".join([canonical_event(event) + b"\n" for event in events])


def _are_plain(events: Sequence[DigestedEvent]) -> bool:
    """Tell whether no event holds a number that is no integer, or anything that would have to be searched for one."""
    for event in events:
        if event.extra is not msgspec.UNSET:
            return False
        if not _is_plain_payload(event.payload):
            return False
    return True


def _is_plain_payload(payload: dict[str, object]) -> bool:
    """Tell whether a payload is known to hold no float without a search: flat, and none among its values."""
    for value in payload.values():
        kind = type(value)
        if kind is not str and kind is not int and kind is not bool and value is not None:
            return False
    return True


def _may_differ(data: bytes) -> bool:
    """Tell whether the fast encoding may hold a number that the canonical form writes otherwise.

    Without a list every number is the value of a field, behind a colon, which is three times as fast to look for.
    """
    if data.startswith(b"{") and b"[" not in data:
        return _search_field(data) is not None
    return _search_number(data) is not None


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of the bytes in lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class LeafHasher:
    """The digest of one stream, fed with its events in order.

    Leaf = SHA-256 over 0x00, then each canonical event and LF (docs/formats.md).
    """

    __slots__ = ("_hash", "_waiting", "count")

    def __init__(self) -> None:
        self._hash = hashlib.sha256(_LEAF_PREFIX)
        self._waiting: list[DigestedEvent] = []
        self.count = 0

    def update(self, event: DigestedEvent) -> None:
        """Add the next event, by seq (equal seqs: by canonical bytes); it must not change any more."""
        self.count += 1
        self._waiting.append(event)
        if len(self._waiting) == _WAITING_EVENTS_MAX:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            self._hash.update(_canonical_lines(self._waiting))
            self._waiting = []

    def update_all(self, events: Sequence[DigestedEvent], *, is_plain: bool = False) -> None:
        """Add the next events; the same as `update` for each, but quicker.

        `is_plain` tells what is known already: no number in them is a float, and they have no extra fields.
        """
        self._flush()
        encode = _encode_sorted_lines if is_plain else _canonical_lines
        for start in range(0, len(events), _BATCH_EVENTS_MAX):
            self._hash.update(encode(events[start : start + _BATCH_EVENTS_MAX]))
        self.count += len(events)

    def update_lines(self, lines: bytes, count: int) -> None:
        """Add so many next events in canonical form, each with a line feed after it; whoever made it answers for it."""
        self._flush()
        self._hash.update(lines)
        self.count += count

    def copy_of(self, other: LeafHasher) -> None:
        """Become the leaf of the very events that another has."""
        other._flush()
        self._hash, self._waiting, self.count = other._hash.copy(), [], other.count

    def hexdigest(self) -> str:
        """Return the leaf of the events so far."""
        self._flush()
        return self._hash.hexdigest()


def leaf_line(key: tuple[str, str, str], count: int, leaf_hex: str) -> bytes:
    """Return what a stream adds to the root of its history: canonical ``[tenant, type, id, count, leaf]`` and LF."""
    return _encode_text([*key, count, leaf_hex]) + b"\n"


class RootHasher:
    """The digest of a history, fed with the leaves of its streams in code-point order of their keys.

    Root = SHA-256 over 0x01, then canonical ``[tenant, type, id, count, leaf]`` and LF per stream
    (docs/formats.md). Holds one key, however many streams there are.
    """

    __slots__ = ("_hash", "_last")

    def __init__(self) -> None:
        self._hash = hashlib.sha256(_ROOT_PREFIX)
        self._last: tuple[str, str, str] | None = None

    def update(self, key: tuple[str, str, str], count: int, leaf_hex: str) -> None:
        """Add the leaf of the next stream; raises ValueError when its key does not ascend."""
        if self._last is not None and key <= self._last:
            raise ValueError(f"stream {key!r} follows {self._last!r}: leaves must ascend by key, each once")
        self._last = key
        self._hash.update(leaf_line(key, count, leaf_hex))

    def update_lines(self, lines: bytes) -> None:
        """Add the next lines of `leaf_line`, or pieces of such; whoever keeps them answers for their order."""
        self._hash.update(lines)

    def hexdigest(self) -> str:
        """Return the root of the streams so far."""
        return self._hash.hexdigest()


def _plain(value: object) -> object:
    """Return the value with every number that the fast encoder writes otherwise replaced by what it should write."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is not a JSON number")
        if value.is_integer():
            return int(value)
        return value if abs(value) >= _SMALL else msgspec.Raw(_number(value).encode())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return value


def _number(value: float) -> str:
    """Write a double with a fraction as RFC 8785 does (ECMAScript, Number::toString)."""
    # A double with a fraction is below 2**53, so the shortest text has an exponent only when it is small.
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    if int(exponent) < _PLAIN_EXPONENT_MIN:
        return f"{mantissa}e{int(exponent)}"
    sign = "-" if value < 0 else ""
    return f"{sign}0.{'0' * (-int(exponent) - 1)}{mantissa.lstrip('-').replace('.', '')}"
