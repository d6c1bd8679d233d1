"""Streams are the same for any file order and any budget; temporary files are bounded and removed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cicsc.canonical import LeafHasher, canonical_event
from cicsc.errors import InputError, UsageError, WorkError
from cicsc.history import merging, runs, sorting
from cicsc.history.model import Event, EventList, StreamKey, stream_key
from cicsc.history.sorted import SortedHistory, decoded_streams, open_history
from cicsc.history.sorting import Sorter
from cicsc.progress import NOTED_EVENTS, Amount, Relayed
from digests import history_root
from unit.history.events import Fields, compact, fields, read
from unit.limits import file_size_limit

ids = st.sampled_from(["a", "b", "a::b", "|", "\n", "\0", "\uffff", "\U0001f600"])
events = st.builds(
    Event,
    ids,
    st.sampled_from(["Order", "Item"]),
    ids,
    st.integers(-1, 6),
    st.sampled_from(["paid", "sent"]),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 2) | st.floats(0, 1), max_size=2),
    st.integers(-3, 3),
    st.just("me"),
)


def streams(history: SortedHistory) -> list[tuple[StreamKey, list[Event]]]:
    return [(key, list(found)) for key, found in history.streams()]


def expected_streams(some: list[Event]) -> list[tuple[StreamKey, list[Event]]]:
    grouped: dict[StreamKey, list[Event]] = {}
    for event in some:
        grouped.setdefault((event.tenant_id, event.entity_type, event.entity_id), []).append(event)
    return [
        (key, sorted(grouped[key], key=lambda event: (event.seq, canonical_event(event)))) for key in sorted(grouped)
    ]


def large_stream(count: int, *, seed: int = 1) -> list[Event]:
    draw = random.Random(seed)
    found = [Event("t", "Order", "1", seq, "paid", {"n": draw.random()}, seq, "me") for seq in range(1, count + 1)]
    return draw.sample(found, count)


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few events be many: blocks of three, streams of ten, five runs at once."""
    monkeypatch.setattr(runs, "BLOCK_EVENTS_MAX", 3)
    monkeypatch.setattr(merging, "HELD_EVENTS_MAX", 10)
    monkeypatch.setattr(merging, "_TIES_MAX", 2)
    monkeypatch.setattr(sorting, "RUNS_MAX", 5)


@given(st.lists(events, max_size=40), st.integers(1, 4000), st.booleans(), st.data())
@settings(max_examples=150)
def test_streams_are_the_same_for_any_order_and_budget(
    some: list[Event], budget: int, small: bool, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(some))
    with pytest.MonkeyPatch.context() as patch:
        if small:
            patch.setattr(runs, "BLOCK_EVENTS_MAX", 2)
            patch.setattr(merging, "HELD_EVENTS_MAX", 4)
            patch.setattr(merging, "_TIES_MAX", 2)
            patch.setattr(sorting, "RUNS_MAX", 3)
        with open_history(shuffled, memory_bytes_max=budget) as history:
            assert streams(history) == expected_streams(some)
            assert history.events_count == len(some)
            assert history.latest_ts == max((event.ts for event in some), default=None)


def digest(source: list[Event], budget: int) -> str:
    leaves = []
    with open_history(source, memory_bytes_max=budget) as history:
        for key, found in history.streams():
            leaf = LeafHasher()
            for event in found:
                leaf.update(event)
            leaves.append((key, leaf.count, leaf.hexdigest()))
    return history_root(leaves)


@given(st.lists(events, max_size=30), st.integers(1, 4000), st.data())
def test_digest_ignores_order_and_budget(some: list[Event], budget: int, data: st.DataObject) -> None:
    assert digest(data.draw(st.permutations(some)), budget) == digest(some, 10**9)


def test_streams_tell_whether_they_are_plain() -> None:
    some = [
        {**fields(entity_id="fraction"), "payload": {"a": [1, {"b": 0.5}]}},
        *({**fields(entity_id=f"later {number}"), "payload": {"a": 1}} for number in range(200)),
        {**fields(entity_id="extra"), "source": "web"},
        {**fields(entity_id="namesake"), "payload": {"extra": 1}},
    ]
    with open_history(some) as history:
        plain = {key[2]: events.is_plain for key, events in history.streams() if isinstance(events, EventList)}

    assert len(plain) == len(some)
    assert not any(plain[name] for name in ("fraction", "extra"))
    assert plain["later 99"]  # the last in order but one, long after the fraction
    assert plain["namesake"]


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("budget", [1, 500, 5_000, 10**9])
def test_large_stream_comes_in_order(budget: int) -> None:
    some = large_stream(200)
    with open_history(some, memory_bytes_max=budget) as history:
        assert streams(history) == expected_streams(some)


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("budget", [500, 5_000])
def test_many_events_with_one_seq_come_in_canonical_order(budget: int) -> None:
    # Canonically the actor comes before the payload, in a record after it.
    some = [
        Event("t", "Order", "1", 1 + number % 2, "paid", {"n": number % 30}, 0, f"{number * 7 % 30:02}")
        for number in range(100)
    ]
    with open_history(some, memory_bytes_max=budget) as history:
        assert streams(history) == expected_streams(some)


@pytest.mark.parametrize(("count", "is_list"), [(10, True), (11, False)])
@pytest.mark.parametrize("budget", [1, 10**9])
@pytest.mark.usefixtures("small_bounds")
def test_stream_is_a_list_up_to_a_bound(count: int, is_list: bool, budget: int) -> None:
    with open_history(large_stream(count), memory_bytes_max=budget) as history:
        assert [isinstance(found, list) for _, found in history.streams()] == [is_list]


def test_stream_of_many_bytes_is_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "HELD_BYTES_MAX", 1000)
    with open_history(large_stream(20)) as history:
        ((_, found),) = history.streams()
        assert not isinstance(found, list)


def test_block_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BLOCK_BYTES_MAX", 10)
    records = [b"x" * 4, b"x" * 4, b"x" * 4, b"x" * 40, b"x"]
    blocks = list(runs.blocks_of(("t", "T", "1"), [1, 2, 3, 4, 5], records))
    assert [block.seqs for block in blocks] == [[1, 2], [3], [4], [5]]


@pytest.mark.usefixtures("small_bounds")
def test_stream_that_is_not_consumed_is_skipped() -> None:
    some = [*large_stream(100), Event("u", "Order", "1", 1, "paid", {}, 0, "me")]
    with open_history(some, memory_bytes_max=2_000) as history:
        assert [key[0] for key, _ in history.streams()] == ["t", "u"]
        half_way = ((key, next(iter(found)).seq) for key, found in history.streams())
        assert [seq for _, seq in half_way] == [1, 1]


@pytest.mark.usefixtures("small_bounds")
def test_streams_may_be_read_again() -> None:
    some = large_stream(50)
    with open_history(some, memory_bytes_max=2_000) as history:
        abandoned = history.streams()
        next(abandoned)
        abandoned.close()
        assert streams(history) == streams(history) == expected_streams(some)


def test_closed_history_cannot_be_read() -> None:
    history = open_history([fields()])
    history.close()
    with pytest.raises(ValueError, match="the history is closed"):
        next(iter(history.streams()))


def test_history_within_the_budget_never_touches_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    some = large_stream(1000)
    with open_history(some) as history:
        assert streams(history) == expected_streams(some)


def test_temporary_files_are_removed(tmp_path: Path) -> None:
    with open_history(large_stream(100), memory_bytes_max=2_000, temporary_folder=tmp_path) as history:
        assert len(list(tmp_path.glob("cicsc-*/run-*"))) > 1
        streams(history)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("small_bounds")
def test_runs_that_were_merged_are_removed(tmp_path: Path) -> None:
    with open_history(large_stream(300), memory_bytes_max=1, temporary_folder=tmp_path):
        assert 1 <= len(list(tmp_path.glob("cicsc-*/run-*"))) <= 5


def test_temporary_files_are_removed_after_an_error(tmp_path: Path) -> None:
    lines = [compact(fields(seq=seq)) for seq in range(1, 5000)]
    source = tmp_path / "f.jsonl"
    source.write_text("\n".join([*lines, "{"]))
    folder = tmp_path / "temporary"
    folder.mkdir()
    with pytest.raises(InputError):
        open_history(source, memory_bytes_max=1, temporary_folder=folder)
    assert list(folder.iterdir()) == []


def test_interrupt_removes_temporary_files(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from cicsc.history.model import Event\n"
        "from cicsc.history.sorted import open_history\n"
        "def events():\n"
        "    for seq in range(1, 1000):\n"
        "        yield Event('t', 'T', '1', seq, 'x', {}, 0, 'me')\n"
        "    assert list(Path(sys.argv[1]).glob('*/run-*'))\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    yield Event('t', 'T', '1', 1000, 'x', {}, 0, 'me')\n"
        "open_history(events(), memory_bytes_max=10000, temporary_folder=Path(sys.argv[1]))\n"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    assert run.returncode == -signal.SIGINT
    assert b"KeyboardInterrupt" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_missing_temporary_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="no such file or directory") as raised:
        open_history(large_stream(10), memory_bytes_max=1, temporary_folder=tmp_path / "none")
    assert str(tmp_path / "none") in raised.value.message


def test_missing_system_folder_for_temporary_files_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(WorkError, match=r"cannot write '.*/none/cicsc-"):
        open_history(large_stream(10), memory_bytes_max=1)


def test_full_disk_is_an_error(tmp_path: Path) -> None:
    with file_size_limit(2_000), pytest.raises(WorkError) as raised:
        open_history(large_stream(1000), memory_bytes_max=100_000, temporary_folder=tmp_path)
    assert raised.value.code == "DISK_FULL"
    assert list(tmp_path.iterdir()) == []


def test_lost_temporary_file_is_an_error(tmp_path: Path) -> None:
    with open_history(large_stream(100), memory_bytes_max=2_000, temporary_folder=tmp_path) as history:
        for path in tmp_path.glob("cicsc-*/run-*"):
            path.unlink()
        with pytest.raises(WorkError) as raised:
            streams(history)
    assert raised.value.code == "TEMPORARY_LOST"


def test_file_and_memory_give_the_same_streams(tmp_path: Path) -> None:
    some: list[Fields] = [fields(entity_id=str(n % 7), seq=n // 7 + 1, payload={"n": n}, trace=n) for n in range(100)]
    shuffled = random.Random(3).sample(some, len(some))
    source = tmp_path / "f.jsonl"
    source.write_text("".join(compact(event) + "\n" for event in shuffled))
    assert read(source) == read(iter(some)) == read(source, memory_bytes_max=1)


def test_tenants_restrict_the_history(tmp_path: Path) -> None:
    some = [fields(tenant=tenant, seq=seq, ts=100 * seq) for seq in (1, 2) for tenant in "tu"]
    broken = [{"tenant_id": "t"}, {"tenant_id": "u"}, {"tenant_id": 5}, 7]
    last = fields(tenant="u", seq=3, ts=900)
    source = tmp_path / "f.jsonl"
    source.write_text("".join(compact(value) + "\n" for value in [*some, *broken, last]))
    for given_source in (source, [*some, *broken, last]):
        with open_history(given_source, tenants=frozenset("t")) as history:
            assert (history.events_count, history.latest_ts) == (2, 200)
            assert [key for key, _ in history.streams()] == [("t", "Order", "1")]
            assert [found.tenant_id for found in history.malformed.findings] == [None, None, "t"]


def test_same_id_in_two_tenants_is_two_streams() -> None:
    some = [fields(tenant="t"), fields(tenant="u"), fields(tenant="t\0"), fields(tenant="t", seq=2)]
    assert [(key[0], len(found)) for key, found in read(some)] == [("t", 2), ("t\0", 1), ("u", 1)]


class Record(dict[str, object]):
    """A mapping of a caller's own."""


def test_values_from_memory_are_validated() -> None:
    with open_history([fields(), Record(fields(seq=2)), {"a": 1}, "x", 5, None]) as history:
        assert history.events_count == 2
        assert history.malformed.counts == {"MALFORMED_EVENT": 4}
        assert {found.place for found in history.malformed.findings} == {f"index {index}" for index in (2, 3, 4, 5)}


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"payload": {"x": float("nan")}}, "index 1 at 'payload.x'"),
        (Event("t", "T", "1", 1, "x", {"a": {1}}, 0, "me"), "index 1 at 'payload.a'"),
        (Event("t", "T", "1", 1, "x", {}, 0, "me", {"seq": 5}), "index 1"),
        ({1, 2}, "index 1"),
    ],
    ids=["nan", "set", "extra", "no mapping"],
)
def test_value_that_json_cannot_say_is_an_error(value: object, place: str) -> None:
    with pytest.raises(InputError, match=rf"^cannot read {place}: ") as raised:
        open_history([fields(), value])  # type: ignore[list-item]
    assert raised.value.code == "VALUE_NOT_JSON"


@pytest.mark.parametrize("source", [b"x", {"a": 1}, 5, None])
def test_source_that_is_no_history_is_an_error(source: object) -> None:
    with pytest.raises(UsageError, match="expected a path or an iterable of events"):
        open_history(source)  # type: ignore[arg-type]


def test_no_more_files_are_open_than_runs_may_be(tmp_path: Path) -> None:
    with open_history(large_stream(400), memory_bytes_max=1, temporary_folder=tmp_path) as history:
        passing = history.streams()
        next(passing)
        opened = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
        assert 0 < sum(str(tmp_path) in path for path in opened) <= sorting.RUNS_MAX
        passing.close()


def test_history_in_memory_is_brought_to_the_disk_for_others() -> None:
    with open_history([fields(seq=seq, entity_id=entity) for entity in ("a", "b") for seq in (2, 1)]) as history:
        expected, size = streams(history), history.size
        found, folder = history.spilled()

        assert size > 0
        assert [run.path.parent for run in found] == [folder]
        assert streams(history) == expected
        with runs.open_run(found[0]) as blocks:
            assert [(block.key[2], block.seqs) for block in blocks] == [("a", [1, 2]), ("b", [1, 2])]
        other = sorting.Sorter(sorting.MEMORY_BYTES_MAX, None)
        other.adopt(found)
        assert [key[2] for key, stream in other.streams() if list(stream.pieces)] == ["a", "b"]
    assert not folder.exists()


@pytest.mark.parametrize("count", [0, 1, NOTED_EVENTS, NOTED_EVENTS + 3])
def test_events_from_memory_are_noted_as_they_come(count):
    told: list[Amount] = []
    with open_history(large_stream(count), progress=Relayed(told.append)):
        pass
    assert sum(amount.events for amount in told) == count
    assert max(amount.events for amount in told) <= NOTED_EVENTS


def test_what_is_spilled_is_noted(tmp_path):
    told: list[Amount] = []
    with open_history(
        large_stream(400), memory_bytes_max=5_000, temporary_folder=tmp_path, progress=Relayed(told.append)
    ) as history:
        assert sum(amount.temporary_bytes for amount in told) > 5_000
        streams = [len(list(stream)) for _, stream in history.streams()]
    assert streams == [400]
    assert sum(amount.streams for amount in told) == 1


def test_a_file_whose_size_cannot_be_asked_is_told_when_it_is_opened():
    with pytest.raises(InputError) as raised:
        open_history("x" * 5_000)
    assert raised.value.code == "FILE_UNREADABLE"


def test_blocks_that_are_handed_on_give_the_same_streams() -> None:
    events = [Event("t", "Order", str(seq % 3), seq, "paid", {}, 0, "me") for seq in range(9, 0, -1)]
    drained, taking = Sorter(), Sorter()
    for event in events:
        seqs, records = drained.groups.setdefault(stream_key(event), ([], []))
        seqs.append(event.seq), records.append(runs.encode_record(event))
    for block in drained.drain():
        taking.take(runs.decode_block(runs.encode_block(block)))
    assert (drained.size, drained.groups) == (0, {})
    found = [(key, [event.seq for event in events]) for key, events in decoded_streams(taking.streams())]
    assert found == [
        (("t", "Order", name), seqs) for name, seqs in (("0", [3, 6, 9]), ("1", [1, 4, 7]), ("2", [2, 5, 8]))
    ]
