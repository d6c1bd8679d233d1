"""Where migrated events are put: at the position of what they were made of, apart by ordinals, whatever the batches."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

from cicsc.history.model import Event, EventList
from cicsc.history.rows import Moves, PositionRow
from cicsc.operations.live import staging
from cicsc.operations.live.places import Places
from cicsc.operations.live.regained import Undone
from cicsc.operations.live.staging import Staging
from cicsc.store.encoding import PlacedRow, RowsHasher, placed_rows
from cicsc.store.records import Placed, StagedEvents

KEY = ("t", "Order", "1")
MADE = {1: [1], 2: [], 3: [2, 3, 4], 4: [5], 5: [6, 7], 6: []}
"""By old seq the new ones."""

PLACES = {1: 10, 2: 11, 3: 15, 4: 20, 5: 20, 6: 31}
"""By old seq its position; 4 and 5 were made of one event by a migration before."""

STAGED = [(10, 0, 1), (15, 0, 2), (15, 1, 3), (15, 2, 4), (20, 0, 5), (20, 1, 6), (20, 2, 7)]
"""Position, ordinal and seq of each new event."""


def made(seq: int) -> Event:
    return Event(*KEY, seq, "created", {"seq": seq}, 5, "ann")


def moves() -> Iterator[tuple[int, int | None]]:
    for old_seq, new_seqs in MADE.items():
        yield from ((old_seq, new_seq) for new_seq in new_seqs or [None])


def places_of(places: dict[int, int]) -> Places:
    """Return places that were added one by one."""
    found = Places()
    found.enter()
    for seq, position in places.items():
        found.add(seq, position)
    return found


def staged(
    places: Places, batches: Iterable[tuple[list[int], Iterable[PositionRow]]], *, as_records: bool = False
) -> list[tuple[int, ...]]:
    """Stage the stream, so many new seqs and moves at a time; return position, ordinal and seq of the rows."""
    rows: list[PlacedRow] = []

    def write(some: StagedEvents, _: object, seen: RowsHasher) -> None:
        rows.extend(placed_rows(some))
        assert isinstance(some.events, bytes) is as_records
        seen.add(b"", len(some.positions))

    with Staging("t", places, write, batch_s=1.0, as_records=as_records) as writing:
        for seqs, some in batches:
            writing.events.write(list(map(made, seqs)))
            writing.positions.write(some)
        writing.finish()
        assert writing.written().count == len(rows)
    assert [row[6] for row in rows] == [f'{{"seq":{row[4]}}}' for row in rows]
    return [(*row[:2], row[4]) for row in rows]


def in_batches(size: int) -> Iterator[tuple[list[int], list[PositionRow]]]:
    """Yield new seqs and moves, so many moves at a time."""
    wanted = list(moves())
    for start in range(0, len(wanted), size):
        some = wanted[start : start + size]
        yield [new_seq for _, new_seq in some if new_seq is not None], [(*KEY, *move) for move in some]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
@pytest.mark.parametrize("remembered", [0, 3, 100])
def test_events_made_of_one_are_told_apart(size: int, remembered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "PLACED_MAX", remembered)
    places = places_of(PLACES)

    assert staged(places, in_batches(size)) == STAGED
    assert len(places) == (len(PLACES) if remembered == 100 else max(1, len(places)))


def whole(positions: list[int]) -> Places:
    """Return the places of a stream that came whole."""
    found = Places()
    found.add(7, 7)  # of a stream before
    events = EventList([made(seq) for seq in range(1, len(positions) + 1)], is_plain=True)
    found.enter(Placed(positions, events))
    return found


def test_whole_stream_is_staged_like_one_in_pieces() -> None:
    positions = list(PLACES.values())
    counts = [1, 1, 4, 5, 7, 7]
    assert list(Moves(KEY, counts)) == [(*KEY, *move) for move in moves()]

    assert staged(whole(positions), [(list(range(1, 8)), Moves(KEY, counts))]) == STAGED
    assert staged(whole(positions), in_batches(2)) == STAGED
    assert staged(whole(positions), [(list(range(1, 8)), Moves(KEY, counts))], as_records=True) == STAGED
    assert staged(whole(positions), in_batches(2), as_records=True) == STAGED


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([1, 2, 3], [(10, 0, 1), (20, 0, 2), (20, 1, 3)]),
        ([1, 1, 2], [(10, 0, 1), (20, 0, 2)]),
        ([0, 0, 1], [(20, 0, 1)]),
        ([0, 0, 0], []),
    ],
)
def test_whole_stream_keeps_its_order(counts: list[int], expected: list[tuple[int, ...]]) -> None:
    seqs = list(range(1, counts[-1] + 1))
    assert staged(whole([10, 20, 20]), [(seqs, Moves(KEY, counts))]) == expected


@pytest.mark.parametrize("as_records", [False, True])
def test_what_is_regained_is_staged_up_to_a_gap(as_records: bool) -> None:
    """The rollback is refused then, for the reason that is found; that nothing is left to stage is none."""
    rows: list[PlacedRow] = []

    def write(some: StagedEvents, *_: object) -> None:
        rows.extend(placed_rows(some))

    with Staging("t", places_of(PLACES), write, batch_s=1.0, as_records=as_records) as writing:
        undone = Undone(writing)
        for seqs in ([1, 2], [4], [5, 6]):
            undone.write(map(made, seqs))
        writing.finish()
    assert [(*row[:2], row[4]) for row in rows] == [(10, 0, 1), (11, 0, 2)]


def test_moves_must_be_of_the_stream_at_hand() -> None:
    with pytest.raises(AssertionError):
        staged(whole([10, 20]), [([1], Moves(KEY, [1]))])


def test_positions_that_have_passed_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "PLACED_MAX", 0)

    for size in (1, 4):
        places = places_of(PLACES)
        staged(places, in_batches(size))
        assert len(places) == 1
        assert places[6] == PLACES[6]  # of the last more may come


def signalled(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, before: bool) -> None:
    """Let a signal come just before, or just after, a method has done its work."""
    method = getattr(owner, name)

    def called(*given: object, **named: object) -> None:
        if before:
            signal.raise_signal(signal.SIGINT)
        method(*given, **named)
        if not before:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(owner, name, called)


@pytest.mark.parametrize(
    ("owner", "name", "before"),
    [(Thread, "start", False), (ThreadPoolExecutor, "shutdown", True)],
    ids=["start", "end"],
)
def test_signal_leaves_no_thread_that_writes(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, before: bool
) -> None:
    """The connection is needed to let the tenant go."""
    begun, ended = [], []

    def write(*_: object) -> None:
        begun.append(1)
        time.sleep(0.2)
        ended.append(1)

    def fail() -> None:
        with Staging("t", places_of({1: 10}), write, batch_s=1.0, as_records=False) as writing:
            writing.events.write([made(1)])
            writing.positions.write([(*KEY, 1, 1)])
            writing._hand_on()
            raise ValueError

    signalled(monkeypatch, owner, name, before=before)
    with pytest.raises(KeyboardInterrupt):
        fail()

    assert begun == ended
