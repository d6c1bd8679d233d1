"""What a part keeps for queries: what they gather where that is less, else the rows; either way it decides the same."""

import pytest
from msgspec.structs import replace

from cicsc.engine.parts import Writers, conclude, run_part
from cicsc.engine.queries import TenantRows, begin_queries
from cicsc.engine.rows import RowStore
from cicsc.history.integrity import FindingsTally
from cicsc.migration.plan import compile_plan
from cicsc.progress import SILENT
from unit.engine.test_inprocess import closing
from unit.migration.documents import bundles, event

KEY = ("source", 0)


def grouping(field, at_most=0):
    """A constraint on the number of groups."""
    key = {"name": "key", "expr": {"var": {"row": {"field": field}}}}
    query = {
        "source": {"snap": {"type": "Account"}},
        "pipeline": [{"group_by": {"keys": [key], "aggs": {"rows": {"count": {}}}}}],
    }
    allowed = {"le": [{"var": {"rows_count": True}}, {"lit": {"int": at_most}}]}

    def change(core):
        core["constraints"] = {
            "groups": {"kind": "bool_query", "on_type": "Account", "args": {}, "query": query, "assert": allowed}
        }

    return change


def compiled(change):
    source, target, migration = bundles(change_source=change, change_target=change)
    return compile_plan(source, target, migration, now=1)


def piece_of(rows, folder):
    store = RowStore(2, folder)
    for row in rows:
        store.append(row)
    return TenantRows("a", kept={(*KEY, 0): store})


def test_groups_stand_for_rows_where_they_are_fewer(tmp_path):
    piece = piece_of([["open"], ["closed"]] * 4, tmp_path)
    begin_queries(compiled(grouping("state")), piece, SILENT)

    assert [len(gathered) for gathered in piece.gathered.values()] == [2]
    assert piece.kept == {}
    assert list(tmp_path.iterdir()) == []
    piece.close()
    assert piece.gathered == {}


@pytest.mark.parametrize(
    ("rows", "broken"),
    [([[number] for number in range(8)], False), ([["open"]] * 8, True), ([["open"]] * 3, False)],
    ids=["as many groups", "a broken stream", "few rows"],
)
def test_rows_are_kept_else(tmp_path, rows, broken):
    piece = piece_of(rows, tmp_path)
    piece.broken = broken
    begin_queries(compiled(grouping("state")), piece, SILENT)

    assert piece.gathered == {}
    assert list(piece.kept[*KEY, 0]) == rows
    piece.close()


def test_some_rows_tell_whether_all_are_gone_through(tmp_path, monkeypatch):
    monkeypatch.setattr("cicsc.engine.queries._TRIED_ROWS", 4)
    begins_with_few = piece_of([["open"]] * 5 + [[number] for number in range(3)], tmp_path)
    begins_with_many = piece_of([[number] for number in range(4)] + [["open"]] * 90, tmp_path)
    for piece in (begins_with_few, begins_with_many):
        begin_queries(compiled(grouping("state")), piece, SILENT)

        assert (len(piece.gathered), len(piece.kept)) == (0, 1)
        piece.close()


@pytest.mark.parametrize("field", ["state", "entity_id"])
@pytest.mark.parametrize("sizes", [(9, 1), (1, 9), (1, 8, 1), (5, 5), (2, 3, 2, 3)], ids=str)
def test_a_tenant_is_decided_alike_however_it_is_cut(field, sizes):
    """Pieces of four and more streams are gathered by state, others are not, and by id none is."""
    plan = replace(compiled(grouping(field)), digests=True)
    streams = [((one.tenant_id, one.entity_type, one.entity_id), [one]) for one in closing("a", *"0123456789")]
    parts, start = [], 0
    for size in sizes:
        parts.append(run_part(plan, streams[start : start + size], Writers()))
        start += size
    assert any(piece.gathered for part in parts for piece in part.undecided) is (field == "state" and max(sizes) > 3)
    verdict, _ = conclude(plan, parts, FindingsTally())

    ((_, found),) = verdict.source.violations["bool_query", "groups", "Account"].examples
    assert found.sample == {"tenant_id": "a", "rows_count": 1 if field == "state" else 10}


@pytest.mark.parametrize("broken", range(3))
def test_a_tenant_is_not_decided_wherever_its_broken_stream_is(broken):
    plan = compiled(grouping("state"))
    streams = [((one.tenant_id, one.entity_type, one.entity_id), [one]) for one in closing("a", "0", "1", "2")]
    streams[broken] = (streams[broken][0], [event(2, "closed", tenant_id="a", entity_id=str(broken))])
    verdict, _ = conclude(plan, [run_part(plan, [stream], Writers()) for stream in streams], FindingsTally())

    assert (verdict.broken_streams, verdict.source.violations) == (1, {})


def test_a_part_keeps_nothing_of_tenants_that_are_in_it_as_a_whole():
    plan = compiled(grouping("state"))
    streams = [
        ((one.tenant_id, one.entity_type, one.entity_id), [one]) for tenant in "abcd" for one in closing(tenant, "0")
    ]
    part = run_part(plan, streams, Writers())

    assert [piece.tenant_id for piece in part.undecided] == ["a", "d"]
    assert part.verdict.source.violations["bool_query", "groups", "Account"].count == 2
    part.close()
