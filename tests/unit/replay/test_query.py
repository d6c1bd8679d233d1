"""Queries: sources, steps, and which columns a row keeps."""

import pytest

from cicsc.bundle.load import load_bundle
from cicsc.replay.constraints import compile_constraints
from cicsc.replay.judgement import compile_judge
from cicsc.replay.query import columns_of, compile_query
from cicsc.replay.snapshot import PARAMETERS


def lit(value):
    kinds = {bool: "bool", int: "int", float: "float", str: "string"}
    return {"lit": {"null": True} if value is None else {kinds[type(value)]: value}}


def row(name):
    return {"var": {"row": {"field": name}}}


def entity_type(attrs, shadows=()):
    return {
        "id_type": "string", "states": ["new", "done"], "initial_state": "new", "attrs": {name: {} for name in attrs},
        "shadows": {name: {} for name in shadows}, "commands": {}, "reducer": {},
    }  # fmt: skip


TYPES = {
    "Order": entity_type(["total", "customer", "state"], ["risk", "total"]),
    "Customer": entity_type(["name", "customer"]),
}


def bundle(query, assertion=None):
    constraint = {
        "kind": "bool_query",
        "on_type": "Order",
        "args": {},
        "query": query,
        "assert": assertion or lit(True),
    }
    return load_bundle({"core_ir": {"version": 0, "types": TYPES, "constraints": {"c": constraint}}})


def snapshot(kind, entity_id, state="new", ts=0, attrs=None, shadows=None):
    values = (kind, entity_id, state, ts, attrs or {}, shadows or {}, 1_000, "me")
    assert len(values) == len(PARAMETERS)
    return values


ORDERS = [
    snapshot("Order", "a", attrs={"total": 5, "customer": "x"}),
    snapshot("Order", "b", "done", 7, {"total": 3, "customer": "y", "state": "odd"}, {"risk": 2}),
    snapshot("Order", "c", "done", 9, {"total": 4, "customer": "x"}, {"total": 40}),
    snapshot("Order", "d", attrs={"customer": None}),
]
CUSTOMERS = [snapshot("Customer", "x", attrs={"name": "Ann", "customer": "of-x"}), snapshot("Customer", "z")]


def run(query):
    types = bundle(query).types
    program = compile_query(bundle(query).constraints["c"].query, types)
    kept = []
    for source in program.sources:
        snapshots = ORDERS if source.entity_type == "Order" else CUSTOMERS
        judge = compile_judge(types[source.entity_type], [], [source])
        judged = [judge(*one) for one in snapshots]
        assert all(holds for holds, _ in judged)
        kept.append([row for _, row in judged if row is not None])
    return kept, list(program.rows(kept, 1_000, "me"))


def project(**fields):
    return {"project": {"fields": [{"name": name, "expr": expr} for name, expr in fields.items()]}}


def snap(*pipeline):
    return {"source": {"snap": {"type": "Order"}}, "pipeline": list(pipeline)}


def join(*pipeline):
    source = {
        "join": {
            "left": {"snap": {"type": "Order"}},
            "right": {"snap": {"type": "Customer"}},
            "on": {"left_field": "customer", "right_field": "entity_id"},
        }
    }
    return {"source": source, "pipeline": list(pipeline)}


def test_a_query_that_reads_nothing_keeps_empty_rows():
    kept, rows = run(snap())
    assert kept == [[[], [], [], []]]
    assert len(rows) == 4


def test_leading_filters_run_while_rows_are_kept():
    kept, rows = run(
        snap({"filter": {"eq": [row("state"), lit("done")]}}, {"filter": {"gt": [row("updated_ts"), lit(8)]}})
    )
    assert kept == [[[]]]
    assert rows == [[]]


def test_a_core_field_is_never_shadowed_and_a_set_shadow_wins():
    _, rows = run(
        snap(
            project(
                s=row("state"),
                t=row("total"),
                r=row("risk"),
                i=row("entity_id"),
                y=row("entity_type"),
                u=row("updated_ts"),
            )
        )
    )
    assert rows == [
        ["new", 5, None, "a", "Order", 0], ["done", 3, 2, "b", "Order", 7], ["done", 40, None, "c", "Order", 9], ["new", None, None, "d", "Order", 0]
    ]  # fmt: skip


def test_attrs_and_state_are_readable_until_the_row_is_reshaped():
    attrs = {"var": {"attrs": {"field": "state"}}}
    state = {"var": {"state": True}}
    _, rows = run(
        snap(project(a=attrs, s=state, j=row("attrs_json")), {"limit": 2}, project(a=attrs, s=state, again=row("s")))
    )
    assert rows == [[None, "", "new"], [None, "", "done"]]
    _, rows = run(snap(project(a=attrs, s=state), {"offset": 1}, {"limit": 1}))
    assert rows == [["odd", "done"]]


def test_now_and_actor():
    _, rows = run(
        snap(project(n={"var": {"now": True}}, a={"var": {"actor": True}}, x={"var": {"e_type": True}}), {"limit": 1})
    )
    assert rows == [[1_000, "me", None]]


def test_group_by_keeps_the_order_of_first_rows():
    aggregates = {
        "n": {"count": {}},
        "s": {"sum": {"expr": row("total")}},
        "lo": {"min": {"expr": row("total")}},
        "hi": {"max": {"expr": row("total")}},
    }
    group = {"group_by": {"keys": [{"name": "who", "expr": row("customer")}], "aggs": aggregates}}
    _, rows = run(snap(group))
    assert rows == [["x", 2, 45, 5, 40], ["y", 1, 3, 3, 3], [None, 1, None, None, None]]
    total = {"var": {"agg": {"name": "n"}}}
    _, rows = run(snap(group, {"having": {"gt": [total, lit(1)]}}, project(who=row("who"), n=total)))
    assert rows == [["x", 2]]


def test_group_by_of_no_rows_gives_no_group():
    _, rows = run(snap({"filter": lit(False)}, {"group_by": {"keys": [], "aggs": {"n": {"count": {}}}}}))
    assert rows == []


def test_order_by_is_stable_and_takes_several_keys():
    keys = [{"expr": row("state"), "dir": "desc"}, {"expr": row("total"), "dir": "asc"}]
    _, rows = run(snap({"order_by": keys}, project(i=row("entity_id"))))
    assert rows == [["d"], ["a"], ["b"], ["c"]]


def test_offset_and_limit():
    ids = project(i=row("entity_id"))
    assert run(snap({"offset": 3}, ids))[1] == [["d"]]
    assert run(snap({"limit": 0}, ids))[1] == []
    assert run(snap({"offset": 1}, {"limit": 2}, ids))[1] == [["b"], ["c"]]


def test_join_pairs_equal_keys_and_null_joins_nothing():
    kept, rows = run(
        join(
            project(
                order=row("left.entity_id"),
                name=row("right.name"),
                bare=row("name"),
                left_first=row("customer"),
                other=row("right.customer"),
                i=row("entity_id"),
            )
        )
    )
    assert rows == [["a", "Ann", "Ann", "x", "of-x", "a"], ["c", "Ann", "Ann", "x", "of-x", "c"]]
    assert kept[1] == [["x", "Ann", "Ann", "of-x"], ["z", None, None, None]]


def test_joined_rows_have_neither_state_nor_attrs():
    state, attrs = {"var": {"state": True}}, {"var": {"attrs": {"field": "name"}}}
    _, rows = run(join(project(s=state, a=attrs), {"limit": 1}))
    assert rows == [["", None]]


def test_an_argument_of_an_assert_has_its_default():
    def holds(arguments, expected):
        assertion = {"eq": [{"var": {"arg": {"name": "most"}}}, lit(expected)]}
        constraint = {"kind": "bool_query", "on_type": "Order", "args": arguments, "query": snap(), "assert": assertion}
        document = {"core_ir": {"version": 0, "types": TYPES, "constraints": {"c": constraint}}}
        (check,) = compile_constraints(load_bundle(document)).query_checks
        return check.holds(0, 1, "me")

    assert holds({"most": {"type": "int", "default": 7}}, 7)
    assert holds({"most": {"type": "int"}}, None)


def test_columns():
    assert columns_of(bundle(snap()).types["Order"]) == {
        "entity_type", "entity_id", "state", "updated_ts", "attrs_json", "total", "customer", "risk",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("assertion", "holds"),
    [
        ({"eq": [{"var": {"rows_count": True}}, lit(3)]}, True), ({"lt": [{"var": {"rows_count": True}}, lit(3)]}, False),
        ({"eq": [{"var": {"now": True}}, lit(9)]}, True), ({"eq": [{"var": {"actor": True}}, lit("me")]}, True),
        ({"eq": [{"var": {"state": True}}, lit("")]}, True), (lit(0), False),
    ],
)  # fmt: skip
def test_assert(assertion, holds):
    (check,) = compile_constraints(bundle(snap(), assertion)).query_checks
    assert bool(check.holds(3, 9, "me")) is holds
    assert check.rows_count([[[]] * 4], 9, "me") == 4


def test_snapshot_constraints_go_by_type_in_the_order_of_their_ids():
    constraints = {
        name: {"kind": "snapshot", "on_type": "Order", "expr": {"gt": [row("total"), lit(3)]}} for name in ("b", "a")
    }
    document = {"core_ir": {"version": 0, "types": TYPES, "constraints": constraints}}
    program = compile_constraints(load_bundle(document))
    assert [check.id for check in program.snapshot_checks["Order"]] == ["a", "b"]
    assert [program.snapshot_checks["Order"][0].holds(*one) for one in ORDERS] == [True, False, True, None]
    assert program.query_checks == ()


def test_one_judge_tells_whether_all_constraints_hold_and_what_each_query_keeps():
    made = bundle(snap({"filter": {"eq": [row("state"), lit("done")]}}, project(c=row("customer"))))
    (source,) = compile_query(made.constraints["c"].query, made.types).sources
    large, known = {"gt": [row("total"), lit(3)]}, {"not": {"is_null": row("customer")}}
    judge = compile_judge(made.types["Order"], [large, known], [source, source])
    rows = [None, ["y"], ["x"], None]
    holds = [True, False, True, None]
    assert [judge(*one) for one in ORDERS] == [(hold, row, row) for hold, row in zip(holds, rows, strict=True)]
    assert compile_judge(made.types["Order"], [], [])(*ORDERS[0]) == (True,)
