"""Merging sorted runs into streams, a block at a time.

The heap compares streams, not events: blocks of one stream from several runs are simply joined
where their numbers ascend, and sorted together where they do not. A stream that is too large to be
held is delivered piece by piece. Pieces go on to `sorting`, which decodes them.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from typing import Final, TypeAlias

from msgspec import Struct, field

from cicsc.history.model import StreamKey
from cicsc.history.runs import Block, is_contiguous, ordered, tie_key

Piece: TypeAlias = tuple[list[int], bytes]
"""Consecutive events of a stream: their seqs, and their records as lines."""

HELD_EVENTS_MAX: Final = 100_000
HELD_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bounds of a stream that is delivered in one piece."""

_TIES_MAX: Final = 1024


class Held(Struct):
    """How much of a stream is in memory, against how much may be.

    Records count with their line feeds, so that a stream has one size in however many blocks it comes.
    """

    events: int = 0
    bytes: int = 0

    def add(self, block: Block) -> None:
        """Count one more block."""
        self.events += len(block.seqs)
        self.bytes += len(block.text) + 1

    def is_full(self) -> bool:
        """Tell whether no more of the stream may be gathered."""
        return self.events > HELD_EVENTS_MAX or self.bytes > HELD_BYTES_MAX


class MergedStream(Struct):
    """The pieces of one stream; `is_whole` tells that there is just one, which is in memory."""

    pieces: Iterator[Piece]
    is_whole: bool


class RunBlocks:
    """The blocks of one run, with the next one and its stream in view; nothing at the end."""

    __slots__ = ("_blocks", "block", "key")

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self.block: Block | None = None
        self.key: StreamKey | None = None
        self.advance()

    def advance(self) -> Block | None:
        """Bring the next block into view, and return the one before it."""
        before = self.block
        block = self.block = next(self._blocks, None)
        self.key = None if block is None else (block.tenant_id, block.entity_type, block.entity_id)
        return before

    def take(self, key: StreamKey) -> Block | None:
        """Return the block in view if it belongs to the stream, and advance."""
        return self.advance() if self.key == key else None


def merged(blocks: list[Iterator[Block]]) -> Iterator[tuple[StreamKey, MergedStream]]:
    """Yield the streams of all runs, by key; each must be consumed before the next is asked for.

    What is left of a stream that was not consumed is skipped.
    """
    runs = [RunBlocks(iterator) for iterator in blocks]
    heap = [(run.key, number) for number, run in enumerate(runs) if run.key is not None]
    heapq.heapify(heap)
    while heap:
        key = heap[0][0]
        numbers = []
        while heap and heap[0][0] == key:
            numbers.append(heapq.heappop(heap)[1])
        stream = _stream(key, [runs[number] for number in numbers])
        yield key, stream
        if not stream.is_whole:
            deque(stream.pieces, maxlen=0)
        for number in numbers:
            following = runs[number].key
            if following is not None:
                heapq.heappush(heap, (following, number))


def _stream(key: StreamKey, runs: list[RunBlocks]) -> MergedStream:
    first = [block for run in runs if (block := run.take(key)) is not None]
    if len(first) == 1 and runs[0].key != key and len(first[0].text) < HELD_BYTES_MAX:  # as most streams are
        return MergedStream(iter(((first[0].seqs, first[0].text),)), is_whole=True)
    held = Held(sum([len(block.seqs) for block in first]), sum([len(block.text) + 1 for block in first]))
    if not held.is_full() and all(run.key != key for run in runs):
        return MergedStream(iter([_joined(first)]), is_whole=True)
    lanes = [_Lane(key, run, deque([block])) for run, block in zip(runs, first, strict=True)]
    if all(lane.gather(held) for lane in lanes):
        return MergedStream(iter([_joined([block for lane in lanes for block in lane.blocks])]), is_whole=True)
    return MergedStream(_pieces(lanes), is_whole=False)


def _joined(blocks: list[Block]) -> Piece:
    seqs = [seq for block in blocks for seq in block.seqs]
    if is_contiguous(seqs):
        return seqs, b"\n".join([block.text for block in blocks])
    return _piece(*ordered(seqs, [record for block in blocks for record in block.text.split(b"\n")]))


def _piece(seqs: list[int], records: list[bytes]) -> Piece:
    return seqs, b"\n".join(records)


class _Lane(Struct):
    """What one run holds of a stream: blocks that are gathered, those to come, and how far events were taken.

    `records` are those of the first block, once an event was taken of it.
    """

    key: StreamKey
    run: RunBlocks
    blocks: deque[Block] = field(default_factory=deque)
    at: int = 0
    records: list[bytes] | None = None

    def gather(self, held: Held) -> bool:
        """Gather blocks while there is room; tell whether the stream ends in this run."""
        while not held.is_full():
            block = self.run.take(self.key)
            if block is None:
                return True
            self.blocks.append(block)
            held.add(block)
        return False

    def block(self) -> Block | None:
        """Return the block of which the next event is taken, if there is one."""
        while self.blocks and self.at == len(self.blocks[0].seqs):
            self.blocks.popleft()
            self.at, self.records = 0, None
        if not self.blocks:
            block = self.run.take(self.key)
            if block is None:
                return None
            self.blocks.append(block)
        return self.blocks[0]

    def _records(self, block: Block) -> list[bytes]:
        if self.records is None:
            self.records = block.text.split(b"\n")
        return self.records

    def take_below(self, bound: int) -> tuple[list[int], list[bytes]]:
        """Take the events of the current block whose seq is smaller."""
        block = self.blocks[0]
        start, self.at = self.at, bisect_left(block.seqs, bound, self.at)
        return block.seqs[start : self.at], self._records(block)[start : self.at]

    def take_equal(self, bound: int) -> Iterator[tuple[int, bytes]]:
        """Take the events of this seq, from as many blocks as hold them."""
        while (block := self.block()) is not None and block.seqs[self.at] == bound:
            self.at += 1
            yield bound, self._records(block)[self.at - 1]


def _pieces(lanes: list[_Lane]) -> Iterator[Piece]:
    """Yield a large stream in pieces, each up to the smallest seq at which some run's block ends.

    Up to there every run's events are in view, so they can be sorted; how often that seq itself
    occurs is not known, so its events are merged one by one.
    """
    while True:
        current = [(lane, block) for lane in lanes if (block := lane.block()) is not None]
        if not current:
            return
        bound = min(block.seqs[-1] for _, block in current)
        below = [lane.take_below(bound) for lane, _ in current]
        seqs = [seq for piece in below for seq in piece[0]]
        if seqs:
            yield _piece(*ordered(seqs, [record for piece in below for record in piece[1]]))
        yield from _ties([lane for lane, _ in current], bound)


def _ties(lanes: list[_Lane], bound: int) -> Iterator[Piece]:
    sources = [lane.take_equal(bound) for lane in lanes]
    pairs = heapq.merge(*sources, key=tie_key)
    records: list[bytes] = []
    for _, record in pairs:
        records.append(record)
        if len(records) == _TIES_MAX:
            yield _piece([bound] * _TIES_MAX, records)
            records = []
    if records:
        yield _piece([bound] * len(records), records)
