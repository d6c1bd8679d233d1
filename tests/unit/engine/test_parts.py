"""Parts of a history: cut anywhere between streams, they give what the whole gives."""

import pickle

import msgspec
import pytest
from msgspec.structs import replace

from cicsc.engine.inprocess import migrate_history
from cicsc.engine.parts import Writers, conclude, run_part
from cicsc.engine.rows import RowStore
from cicsc.history.integrity import FindingsTally
from cicsc.history.sorted import open_history
from cicsc.migration.plan import compile_plan
from cicsc.progress import Amount
from unit.engine.test_inprocess import at_most, closing
from unit.migration.documents import bundles, event

EVENTS = [
    *closing("a", "1", "2", "3"),
    event(2, "closed", tenant_id="b", entity_id="1"),  # its first event is missing
    *closing("b", "2", "3"),
    *closing("c", "1"),
    *closing("d", "1", "2", "3", "4"),
]
STREAMS = 11


def compiled(count):
    source, target, migration = bundles(change_source=at_most(count), change_target=at_most(count))
    return replace(compile_plan(source, target, migration, now=1), digests=True)


def in_parts(plan, bounds, folder=None):
    """Run the history cut after the streams of these numbers."""
    parts = []
    with open_history(EVENTS) as history:
        streams = [(key, list(events)) for key, events in history.streams()]
        for start, end in zip([0, *bounds], [*bounds, len(streams)], strict=True):
            part = run_part(plan, streams[start:end], Writers(), folder=folder)
            parts.append(part if folder is None else pickle.loads(pickle.dumps(part)))
        assert len(streams) == STREAMS
        return conclude(plan, parts, history.malformed)


@pytest.mark.parametrize("count", [-1, 0, 2, 3, 9])
@pytest.mark.parametrize(
    "bounds", [[], [0], [1], [2, 5], [3, 6, 7], [5, 5, 5], list(range(STREAMS)), [STREAMS] * 3], ids=str
)
def test_parts_give_what_the_whole_gives(tmp_path, monkeypatch, bounds, count):
    plan = compiled(count)
    with open_history(EVENTS) as history:
        whole = migrate_history(plan, history)
    assert in_parts(plan, bounds) == whole
    monkeypatch.setattr("cicsc.engine.parts.RowStore", lambda folder: RowStore(2, folder))
    monkeypatch.setattr("cicsc.engine.spool.Spool.__init__.__defaults__", (None, 100))
    assert in_parts(plan, bounds, tmp_path) == whole
    assert list(tmp_path.iterdir()) == []


def test_no_part_is_the_empty_history():
    verdict, digests = conclude(compiled(1), [], FindingsTally())
    with open_history([]) as history:
        assert migrate_history(compiled(1), history) == (verdict, digests)


def test_parts_out_of_order_are_refused():
    plan = compiled(9)
    with open_history(EVENTS) as history:
        streams = [(key, list(events)) for key, events in history.streams()]
    parts = [run_part(plan, piece, Writers()) for piece in (streams[5:], streams[:5])]
    with pytest.raises(ValueError, match="must ascend"):
        conclude(plan, parts, FindingsTally())


def test_a_join_finds_its_sides_in_different_parts():
    def change(core):
        core["types"]["Other"] = {**core["types"]["Account"]}
        joined = {"left": "Account", "right": "Other", "on": {"left_field": "state", "right_field": "state"}}
        query = {"source": {"join": joined}, "pipeline": []}
        never = {"eq": [{"var": {"rows_count": True}}, {"lit": {"int": 0}}]}
        core["constraints"] = {
            "apart": {"kind": "bool_query", "on_type": "Account", "args": {}, "query": query, "assert": never}
        }

    source, target, migration = bundles(change_source=change, change_target=change)
    plan = compile_plan(source, target, migration, now=1)
    events = [*closing("a", "1", "2"), msgspec.structs.replace(*closing("a", "1"), entity_type="Other")]
    with open_history(events) as history:
        streams = [(key, list(given)) for key, given in history.streams()]
        whole = migrate_history(plan, history)
    parts = [run_part(plan, [stream], Writers()) for stream in streams]
    assert conclude(plan, parts, FindingsTally()) == whole
    ((_, found),) = whole[0].source.violations["bool_query", "apart", "Account"].examples
    assert found.sample["rows_count"] == 2


class Noted:
    """Counts how often it is told that there was progress."""

    def __init__(self):
        self.times = 0

    def note(self, done):
        assert done == Amount()
        self.times += 1


def test_progress_is_told_while_queries_are_decided(monkeypatch):
    """By so many rows, and after each query: a live tenant keeps its lease by that."""
    monkeypatch.setattr("cicsc.engine.queries.DECIDED_ROWS", 2)
    plan, whole, cut = compiled(9), Noted(), Noted()
    with open_history(closing("a", *"12345")) as history:
        streams = [(key, list(given)) for key, given in history.streams()]
        run_part(plan, streams, Writers(), whole=True, progress=whole)
    conclude(plan, [run_part(plan, [stream], Writers()) for stream in streams], FindingsTally(), cut)

    assert (whole.times, cut.times) == (2 * (3 + 1), 2 * (3 + 1))
