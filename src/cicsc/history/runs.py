"""Sorted runs: a part of the history, ordered, in memory or in a temporary file.

Records are grouped by stream before anything is sorted. Keys are sorted once per stream instead of
once per event, and inside a stream events mostly stand in order already, which a look at their
numbers shows. Measured on a million events, this takes a small part of the processor time that
handing them to an embedded database for ORDER BY does, which is why the product sorts for itself.

Knows nothing of files of events or of what an event means, beyond its seq and its canonical bytes
as a tie-breaker. Runs go on to `merging`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import IO, Final, TypeAlias

import msgspec
from msgspec import Struct

from cicsc.canonical import canonical_event
from cicsc.durable import write_error
from cicsc.errors import WorkError, system_reason
from cicsc.history.model import Event, StreamKey

Framed: TypeAlias = tuple[StreamKey, bytes]
"""Some blocks as a run's file holds them, and the stream of the first."""

Groups: TypeAlias = dict[StreamKey, tuple[list[int], list[bytes]]]
"""By stream: the seq of each event, and its record, in the order they came."""

BLOCK_EVENTS_MAX: Final = 2048
BLOCK_BYTES_MAX: Final = 256 * 1024
"""Bounds of a block; one of each open run is in memory while runs are merged. A longer record is a block of its own."""

_LENGTH_BYTES: Final = 8
_BUFFER_BYTES: Final = 128 * 1024

PIECE_BYTES: Final = 256 * 1024
"""About how much is written to a run at once. Linux takes memory for a file in pieces as large as what is written: a
MiB at once cost two processes on a virtual machine 0.2 to 0.5 CPU seconds for 300 MB, this much 0.09."""

MARK_BYTES: Final = 1024 * 1024
"""Bytes of a run between two marks, at which it can be entered and a history be cut."""


class Block(msgspec.Struct, array_like=True, gc=False):
    """Some consecutive events of one stream in a run: their seqs ascending, and their records as lines.

    Records are JSON, which holds no line feed, so `text` is their lines without a last line feed.
    """

    tenant_id: str
    entity_type: str
    entity_id: str
    seqs: list[int]
    text: bytes

    @property
    def key(self) -> StreamKey:
        """The stream that the events belong to."""
        return (self.tenant_id, self.entity_type, self.entity_id)


EXTRA_KEY: Final = b'"extra":'
"""A record without this has no extra fields, which it holds nested; a text of a file with it would pass for one."""

_event_encoder: Final = msgspec.json.Encoder()
encode_record: Final = _event_encoder.encode
"""Encodes an event as its record: JSON in the order of the fields, extra fields nested."""

encode_records: Final = _event_encoder.encode_lines
"""Encodes several events as the lines of their records, each ended by a line feed."""

_event_decoder: Final = msgspec.json.Decoder(Event)
decode_record: Final = _event_decoder.decode
"""Decodes a record; whatever was decoded strictly before needs no checks again."""

decode_records: Final = _event_decoder.decode_lines
"""Decodes the lines of several records at once."""

encode_block: Final = msgspec.msgpack.Encoder().encode
"""Encodes a block as bytes, as runs hold it."""

decode_block: Final = msgspec.msgpack.Decoder(Block).decode
"""Decodes what `encode_block` gives."""


def ordered(seqs: list[int], records: list[bytes]) -> tuple[list[int], list[bytes]]:
    """Return records by seq; equal seqs by canonical bytes, then by the record itself."""
    if is_contiguous(seqs):
        return seqs, records
    pairs = list(zip(seqs, records, strict=True))
    if len(set(seqs)) == len(seqs):
        pairs.sort()
    else:
        pairs.sort(key=tie_key)
    return [seq for seq, _ in pairs], [record for _, record in pairs]


def is_contiguous(seqs: list[int]) -> bool:
    """Tell whether seqs go up by one, as they do in a stream that was logged in order."""
    return seqs[-1] - seqs[0] == len(seqs) - 1 and seqs == list(range(seqs[0], seqs[-1] + 1))


def tie_key(pair: tuple[int, bytes]) -> tuple[int, bytes, bytes]:
    """Return what events of a stream are ordered by, where two may have the same seq."""
    seq, record = pair
    return seq, canonical_event(decode_record(record)), record


def sorted_blocks(groups: Groups) -> Iterator[Block]:
    """Yield what was grouped as blocks, by key and in the order of each stream."""
    for key in sorted(groups):
        seqs, records = ordered(*groups[key])
        yield from blocks_of(key, seqs, records)


def blocks_of(key: StreamKey, seqs: list[int], records: list[bytes]) -> Iterator[Block]:
    """Cut ordered events of one stream into blocks."""
    if len(seqs) <= BLOCK_EVENTS_MAX:
        text = b"\n".join(records)
        if len(text) <= BLOCK_BYTES_MAX:
            yield Block(*key, seqs, text)
            return
    start = size = 0
    for end, record in enumerate(records):
        if end > start and (end - start == BLOCK_EVENTS_MAX or size + len(record) > BLOCK_BYTES_MAX):
            yield Block(*key, seqs[start:end], b"\n".join(records[start:end]))
            start, size = end, 0
        size += len(record)
    yield Block(*key, seqs[start:], b"\n".join(records[start:]))


class Run(Struct, frozen=True):
    """A file of sorted blocks. `marks` are some of its blocks: the stream of each, and where it begins."""

    path: Path
    size: int
    marks: tuple[tuple[StreamKey, int], ...]

    def place_of(self, key: StreamKey) -> int:
        """Return a place before which there is no block of this or of a later stream."""
        after = bisect_left(self.marks, key, key=itemgetter(0))
        return self.marks[after - 1][1] if after else 0


class KeyRange(Struct, frozen=True):
    """The streams from `first` on and before `end`; None is without bound."""

    first: StreamKey | None = None
    end: StreamKey | None = None

    def blocks(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Leave out the blocks, which come by key, of streams that are not in the range."""
        first, end = self.first, self.end
        for block in blocks:
            key = block.key
            if end is not None and key >= end:
                return
            if first is None or key >= first:
                yield block


EVERY_STREAM: Final = KeyRange()


def framed(blocks: Iterable[Block]) -> Iterator[Framed]:
    """Yield blocks as a run's file holds them, each by itself."""
    for block in blocks:
        data = encode_block(block)
        yield block.key, len(data).to_bytes(_LENGTH_BYTES, "big") + data


def write_run(path: Path, pieces: Iterable[Framed]) -> Run:
    """Write blocks to a new file; raises WorkError where the disk does not take them."""
    place, next_mark = 0, 0
    marks = []
    try:
        with path.open("xb", buffering=_BUFFER_BYTES) as file:
            for key, data in pieces:
                if place >= next_mark:
                    marks.append((key, place))
                    next_mark = place + MARK_BYTES
                file.write(data)
                place += len(data)
    except OSError as error:
        raise write_error(path, error) from error
    return Run(path, place, tuple(marks))


@contextmanager
def open_run(run: Run, wanted: KeyRange = EVERY_STREAM) -> Iterator[Iterator[Block]]:
    """Give the blocks of a run's file, one at a time, those of the wanted streams only."""
    try:
        file = run.path.open("rb", buffering=_BUFFER_BYTES)
    except OSError as error:
        raise WorkError(
            "TEMPORARY_LOST",
            f"cannot read the temporary file {str(run.path)!r}: {system_reason(error)}",
            hint="something removed it while the command ran; run the command again",
        ) from error
    with file:
        if wanted.first is not None:
            file.seek(run.place_of(wanted.first))
        yield wanted.blocks(read_blocks(file))


def read_blocks(file: IO[bytes]) -> Iterator[Block]:
    """Yield the blocks that a file holds from where it stands."""
    while length := file.read(_LENGTH_BYTES):
        yield decode_block(file.read(int.from_bytes(length, "big")))
