"""Leaf digests of consecutive streams, and the digests that they are chained into.

A root is the digest of all leaves in order, so it cannot be had from the roots of parts; their leaves
wait as the very lines that it is made of, and are hashed when all parts are there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final

from cicsc.canonical import RootHasher, leaf_line
from cicsc.engine.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cicsc.history.integrity import FindingsTally
    from cicsc.history.model import StreamKey
    from cicsc.migration.stream import Part as HistoryPart

_READ_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Head:
    """Where a tenant's history stands: how many events it has, and their digest."""

    events: int
    digest: str


@dataclass(slots=True)
class Digests:
    """The digests of the history that was given and of the one that was made of it.

    `heads` are those of the given one, by tenant. A history with malformed events has none of these;
    where seqs are missing or repeated, nothing that counts is made, so only `made` is missing.
    `tenants` names every tenant that has a stream.
    """

    given: str | None = None
    made: str | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    tenants: list[str] = field(default_factory=list)


@dataclass(slots=True)
class TenantLeaves:
    """What a tenant has in a part: its events, and the bytes of its leaves' lines."""

    tenant_id: str
    events: int = 0
    size: int = 0


class Leaves:
    """The leaves of consecutive streams of one history, in the order of their keys."""

    def __init__(self, folder: Path | None = None) -> None:
        self.tenants: list[TenantLeaves] = []
        self.first: StreamKey | None = None
        self.last: StreamKey | None = None
        self._lines = Spool(folder)

    def add(self, key: StreamKey, count: int, digest: str) -> None:
        """Add the leaf of the next stream; raises ValueError when its key does not ascend."""
        if self.last is None:
            self.first = key
        elif key <= self.last:
            raise _descends(key, self.last)
        if self.last is None or key[0] != self.last[0]:
            self.tenants.append(TenantLeaves(key[0]))
        self.last = key
        line = leaf_line(key, count, digest)
        tenant = self.tenants[-1]
        tenant.events += count
        tenant.size += len(line)
        self._lines.append(line)

    def pieces(self) -> Iterator[tuple[TenantLeaves, Iterator[bytes]]]:
        """Yield each tenant with its lines, in pieces, to be read before the next is asked for."""
        reader = self._lines.reader()
        for tenant in self.tenants:
            yield tenant, _read(reader, tenant.size)

    def close(self) -> None:
        """Give memory and disk back."""
        self._lines.close()


class LeavesPair:
    """The leaves of the given and of the made history, on the same streams."""

    def __init__(self, folder: Path | None = None) -> None:
        self.given = Leaves(folder)
        self.made = Leaves(folder)

    def add(self, part: HistoryPart, key: StreamKey, count: int, digest: str) -> None:
        """Add the leaf of the next stream of either history."""
        (self.given if part == "given" else self.made).add(key, count, digest)

    def close(self) -> None:
        """Give memory and disk back."""
        self.given.close()
        self.made.close()


def chained(parts: Iterable[LeavesPair], integrity: FindingsTally) -> Digests:
    """Chain leaves, part after part in the order of their keys, into what the findings leave of the digests.

    Raises ValueError where keys do not ascend.
    """
    roots = RootHasher(), RootHasher()
    heads = _Heads()
    last: list[StreamKey | None] = [None, None]
    for pair in parts:
        for side, leaves in enumerate((pair.given, pair.made)):
            before = last[side]
            if before is not None and leaves.first is not None and leaves.first <= before:
                raise _descends(leaves.first, before)
            last[side] = leaves.last or before
            for tenant, pieces in leaves.pieces():
                if side == 0:
                    heads.enter(tenant)
                for lines in pieces:
                    roots[side].update_lines(lines)
                    if side == 0:
                        heads.root.update_lines(lines)
    if "MALFORMED_EVENT" in integrity.counts:
        return Digests()
    made = roots[1].hexdigest() if integrity.total == 0 else None
    return Digests(roots[0].hexdigest(), made, heads.finish())


class _Heads:
    """Chains the leaves of each tenant."""

    def __init__(self) -> None:
        self.root = RootHasher()
        self._found: dict[str, Head] = {}
        self._tenant: str | None = None
        self._events = 0

    def enter(self, tenant: TenantLeaves) -> None:
        """Go on with a tenant, or begin the next."""
        if tenant.tenant_id != self._tenant:
            self.finish()
            self._tenant, self.root, self._events = tenant.tenant_id, RootHasher(), 0
        self._events += tenant.events

    def finish(self) -> dict[str, Head]:
        """Return the heads of the tenants that have passed."""
        if self._tenant is not None:
            self._found[self._tenant] = Head(self._events, self.root.hexdigest())
        return self._found


def _read(reader: BinaryIO, size: int) -> Iterator[bytes]:
    while size:
        data = reader.read(min(size, _READ_BYTES_MAX))
        size -= len(data)
        yield data


def _descends(key: StreamKey, before: StreamKey) -> ValueError:
    return ValueError(f"stream {key!r} follows {before!r}: streams must ascend by key, each once")
