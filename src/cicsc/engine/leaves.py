"""Leaf digests of consecutive streams, and the digests that they are chained into.

A root is the digest of all leaves in order, so it cannot be had from the roots of parts; their leaves
wait as the very lines that it is made of, and are hashed when all parts are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

from msgspec import Struct, field

from cicsc.canonical import RootHasher, leaf_line
from cicsc.engine.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cicsc.history.integrity import FindingsTally
    from cicsc.history.model import StreamKey
    from cicsc.migration.verdict import Which

_READ_BYTES_MAX: Final = 256 * 1024


class Head(Struct, frozen=True):
    """Where a tenant's history stands: how many events it has, and their digest."""

    events: int
    digest: str


class Digests(Struct):
    """The digests of the history that was given and of the one that was made of it.

    `heads` are those of the given one, by tenant. A history with malformed events has none of these;
    where seqs are missing or repeated, nothing that counts is made, so only `made` is missing.
    `tenants` names every tenant that has a stream.
    """

    given: str | None = None
    made: str | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    tenants: list[str] = field(default_factory=list)


class TenantLeaves(Struct):
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
        self.lines = Spool(folder)

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
        self.lines.append(line)

    def pieces(self) -> Iterator[tuple[TenantLeaves, Iterator[bytes]]]:
        """Yield each tenant with its lines, in pieces, to be read before the next is asked for."""
        reader = self.lines.reader()
        for tenant in self.tenants:
            yield tenant, _read(reader, tenant.size)

    def close(self) -> None:
        """Give memory and disk back."""
        self.lines.close()


class LeavesPair:
    """The leaves of the given and of the made history, on the same streams."""

    def __init__(self, folder: Path | None = None) -> None:
        self.given = Leaves(folder)
        self.made = Leaves(folder)

    def add(self, which: Which, key: StreamKey, count: int, digest: str) -> None:
        """Add the leaf of the next stream of either history."""
        (self.given if which == "given" else self.made).add(key, count, digest)

    def close(self) -> None:
        """Give memory and disk back."""
        self.given.close()
        self.made.close()


def chained(parts: Iterable[LeavesPair], integrity: FindingsTally) -> Digests:
    """Chain leaves, part after part in the order of their keys, into what the findings leave of the digests.

    Raises ValueError where keys do not ascend.
    """
    chain = Chain()
    for pair in parts:
        chain.add(pair)
    return chain.finish(integrity)


class Chain:
    """Chains leaves as they come; of those that have passed nothing is kept."""

    def __init__(self) -> None:
        self._roots = RootHasher(), RootHasher()
        self._heads = _Heads()
        self._last: list[StreamKey | None] = [None, None]

    def add(self, pair: LeavesPair) -> None:
        """Add the leaves of the next part; raises ValueError where keys do not ascend."""
        for side, leaves in enumerate((pair.given, pair.made)):
            before = self._last[side]
            if before is not None and leaves.first is not None and leaves.first <= before:
                raise _descends(leaves.first, before)
            self._last[side] = leaves.last or before
            for tenant, pieces in leaves.pieces():
                if side == 0:
                    self._heads.enter(tenant)
                for lines in pieces:
                    self._roots[side].update_lines(lines)
                    if side == 0:
                        self._heads.root.update_lines(lines)

    def finish(self, integrity: FindingsTally) -> Digests:
        """Return what the findings leave of the digests."""
        if "MALFORMED_EVENT" in integrity.counts:
            return Digests()
        made = self._roots[1].hexdigest() if integrity.total == 0 else None
        return Digests(self._roots[0].hexdigest(), made, self._heads.finish())


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
