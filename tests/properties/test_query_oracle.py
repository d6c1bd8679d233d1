"""Compiled queries give, row by row, what the oracle gives."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import given, settings

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import QueryConstraint
from cicsc.engine.rows import RowStore
from cicsc.replay.gathering import Counting, First, Grouping
from cicsc.replay.judgement import compile_judge
from cicsc.replay.query import compile_query
from oracle import query as oracle
from oracle.replay import Snapshot, held_rows
from properties.applications import ATTRIBUTES, ENTITIES, columns_of, draw_query, some
from properties.comparison import identical
from properties.strategies import Draw, Seeded, chance, draw_field, draw_text, pick, seeds
from sizes import size

EXAMPLES = size(300, ci=800, full=3_000)

Key = tuple[str, str, str]
Case = tuple[dict[str, Any], dict[Key, Snapshot], int]


def draw_tables(draw: Draw) -> Case:
    """A bundle with one query that ends in all its columns, snapshots to ask, and how many rows stay in memory."""
    types = {name: draw_table(draw) for name in ("Order", "Line")}
    query = draw_query(draw, types, "Order")
    query["pipeline"].append(everything(query, types))
    constraint = {
        "kind": "bool_query",
        "on_type": "Order",
        "args": {},
        "query": query,
        "assert": {"lit": {"bool": True}},
    }
    document = {"core_ir": {"version": 0, "types": types, "constraints": {"q": constraint}}}
    snapshots = {
        ("t", name, entity): draw_snapshot(draw, types[name])
        for name in types
        for entity in some(draw, ENTITIES, least=2)
    }
    return document, snapshots, pick(draw, (1, 2, 1000))


def draw_table(draw: Draw) -> dict[str, Any]:
    attrs = some(draw, ATTRIBUTES, least=2)
    return {
        "id_type": "string",
        "states": ["new"],
        "initial_state": "new",
        "attrs": {name: {} for name in attrs},
        "shadows": {name: {} for name in some(draw, ("h", "n", "state"))},
        "commands": {},
        "reducer": {},
    }


def draw_snapshot(draw: Draw, table: dict[str, Any]) -> Snapshot:
    """Fields that are set are of few values, so that groups and joins find partners."""
    attrs, shadows = (
        {
            name: None
            if chance(draw, 8)
            else pick(draw, (1, 1.0, 0.5, True, "1", 2))
            if chance(draw, 2)
            else draw_field(draw, name)
            for name in some(draw, list(table[part]))
        }
        for part in ("attrs", "shadows")
    )
    return Snapshot(draw_text(draw), attrs, shadows, draw.index(5))


def everything(query: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    """A last step that shows every column which the rows have at the end."""
    names: list[str] = columns_of(types["Order"])
    if "join" in query["source"]:
        sides = [query["source"]["join"][side] for side in ("left", "right")]
        left, right = (columns_of(types[side if isinstance(side, str) else side["snap"]["type"]]) for side in sides)
        names = [*dict.fromkeys((*left, *right)), *(f"left.{n}" for n in left), *(f"right.{n}" for n in right)]
    for step in query["pipeline"]:
        if "project" in step:
            names = [field["name"] for field in step["project"]["fields"]]
        elif "group_by" in step:
            names = [key["name"] for key in step["group_by"]["keys"]] + list(step["group_by"]["aggs"])
    return {"project": {"fields": [{"name": n, "expr": {"var": {"row": {"field": n}}}} for n in dict.fromkeys(names)]}}


def in_pieces(draw: Draw, rows: list[Any]) -> list[list[Any]]:
    """Cut rows into one to four pieces, which may be empty."""
    bounds = sorted(draw.index(len(rows) + 1) for _ in range(draw.index(4)))
    return [rows[start:end] for start, end in pairwise([0, *bounds, len(rows)])]


def test_queries_give_the_oracle_s_rows() -> None:
    """Also where the rows come in pieces, of which each is gathered in another process."""
    rows_seen: Counter[str] = Counter()
    divided: Counter[type] = Counter()

    @settings(max_examples=EXAMPLES)
    @given(seed=seeds())
    def compare(seed: int) -> None:
        draw = Seeded(seed)
        document, snapshots, memory = draw_tables(draw)
        bundle, problems = parse_bundle(document)
        assert bundle is not None, problems
        constraint = bundle.constraints["q"]
        assert isinstance(constraint, QueryConstraint)
        program = compile_query(constraint.query, bundle.types)
        stores = []
        for source in program.sources:
            stores.append(store := RowStore(memory))
            judge = compile_judge(bundle.types[source.entity_type], [], [source])
            for key, held in sorted(snapshots.items(), key=lambda item: item[0]):
                parameters = (*key[1:], held.state, held.updated_ts, held.attrs, held.shadows, 5, "me")
                if key[1] == source.entity_type and (row := judge(*parameters)[1]) is not None:
                    store.append(row)
        query = document["core_ir"]["constraints"]["q"]["query"]
        expected = oracle.run(query, held_rows(snapshots, document["core_ir"]["types"]), {"now": 5, "actor": "me"})
        names = [field["name"] for field in query["pipeline"][-1]["project"]["fields"]]
        found = [dict(zip(names, row, strict=True)) for row in program.rows(stores, 5, "me")]
        assert identical(expected, found), (expected, found)
        if program.division is not None:
            divided[type(program.division.gathering)] += 1
            pieces = in_pieces(draw, list(stores[0]))
            gathered = [pickle.loads(pickle.dumps(program.division.gathered(piece, 5, "me"))) for piece in pieces]
            rows = list(program.division.rows(gathered, 5, "me"))
            assert len(rows) == len(expected)
            if not isinstance(program.division.gathering, Counting):
                assert identical(expected, [dict(zip(names, row, strict=True)) for row in rows])
        for store in stores:
            store.close()
        if expected:
            rows_seen.update({next(iter(query["source"])), *(next(iter(step)) for step in query["pipeline"])})

    compare()
    assert all(rows_seen[name] >= EXAMPLES // 100 for name in ("snap", "join", *oracle.OPERATIONS)), rows_seen
    assert all(divided[kind] >= EXAMPLES // 100 for kind in (Counting, First, Grouping)), divided
