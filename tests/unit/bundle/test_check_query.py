"""Queries: sources, steps, and the columns that each step leaves for the next."""

from __future__ import annotations

import pytest

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import (
    Count,
    Filter,
    GroupBy,
    Having,
    Join,
    Limit,
    Max,
    Min,
    Offset,
    OrderBy,
    Project,
    Query,
    QueryConstraint,
    Snap,
    Sum,
)
from unit.bundle.documents import PIPELINE, QUERY, Document, Steps, bundle, changed, number, problems, row, without

SOURCE = (*QUERY, "source")
AT = "$.core_ir.constraints.few_open.query"
JOIN = f"{AT}.source.join"
GROUP = (*PIPELINE, 1, "group_by")
STEPS = "filter, having, project, group_by, order_by, limit, offset"

CHANGES: list[tuple[Steps, object, str, str]] = [
    (QUERY, "all", AT, "expected a query, an object, found the string 'all'"),
    (PIPELINE, {}, f"{AT}.pipeline", "expected a list of query steps, found an empty object"),
    (
        (*PIPELINE, 7),
        {},
        f"{AT}.pipeline[7]",
        "expected a query step, an object with exactly one key, found an empty object",
    ),
    (
        (*PIPELINE, 7),
        {"limits": 1},
        f"{AT}.pipeline[7]",
        f"expected a query step, one of {STEPS}, found 'limits', did you mean 'limit'?",
    ),
    ((*PIPELINE, 6, "limit"), -1, f"{AT}.pipeline[6].limit", "expected an integer of at least 0, found the number -1"),
    (
        (*PIPELINE, 6, "limit"),
        "2",
        f"{AT}.pipeline[6].limit",
        "expected an integer of at least 0, found the string '2'",
    ),
    (
        (*PIPELINE, 5, "offset"),
        0.5,
        f"{AT}.pipeline[5].offset",
        "expected an integer of at least 0, found the number 0.5",
    ),
    (
        (*PIPELINE, 4, "order_by"),
        {},
        f"{AT}.pipeline[4].order_by",
        "expected a list of sort keys, found an empty object",
    ),
    (
        (*PIPELINE, 4, "order_by", 0),
        "sum",
        f"{AT}.pipeline[4].order_by[0]",
        "expected a sort key, an object, found the string 'sum'",
    ),
    (
        (*PIPELINE, 4, "order_by", 0, "dir"),
        "down",
        f"{AT}.pipeline[4].order_by[0].dir",
        "expected one of 'asc', 'desc', found the string 'down'",
    ),
    (
        (*PIPELINE, 4, "order_by", 1, "expr"),
        row("whom"),
        f"{AT}.pipeline[4].order_by[1].expr.var.row.field",
        "the row here has no field 'whom', did you mean 'who'?",
    ),
    (
        (*PIPELINE, 4, "order_by", 0, "expr"),
        row("amount"),
        f"{AT}.pipeline[4].order_by[0].expr.var.row.field",
        "the row here has no field 'amount'",
    ),
    ((*PIPELINE, 3, "project"), [], f"{AT}.pipeline[3].project", "expected an object, found a list of 0"),
    (
        (*PIPELINE, 3, "project", "fields"),
        None,
        f"{AT}.pipeline[3].project.fields",
        "expected a list of columns, found null",
    ),
    (
        (*PIPELINE, 3, "project", "fields", 2),
        1,
        f"{AT}.pipeline[3].project.fields[2]",
        "expected a column, an object, found the number 1",
    ),
    (
        (*PIPELINE, 3, "project", "fields", 2),
        {"name": "who", "expr": number(1)},
        f"{AT}.pipeline[3].project.fields[2].name",
        "column 'who' is repeated",
    ),
    (
        (*PIPELINE, 3, "project", "fields", 0, "name"),
        1,
        f"{AT}.pipeline[3].project.fields[0].name",
        "expected a string, found the number 1",
    ),
    (
        (*PIPELINE, 2, "having"),
        None,
        f"{AT}.pipeline[2].having",
        'expected an expression, an object with exactly one key, found null, did you mean {"lit": {"null": true}}?',
    ),
    (
        (*PIPELINE, 2, "having"),
        {"var": {"agg": {"name": "order"}}},
        f"{AT}.pipeline[2].having.var.agg.name",
        "the group_by here has no aggregate 'order', did you mean 'orders'?",
    ),
    (
        (*PIPELINE, 2, "having"),
        {"obj": {"fields": {"a b": {"arr": {"items": [{"var": {"arg": {"name": "x"}}}]}}}}},
        f'{AT}.pipeline[2].having.obj.fields["a b"].arr.items[0].var.arg.name',
        "the constraint declares no argument 'x'",
    ),
    (GROUP, 1, f"{AT}.pipeline[1].group_by", "expected an object, found the number 1"),
    ((*GROUP, "keys"), {}, f"{AT}.pipeline[1].group_by.keys", "expected a list of columns, found an empty object"),
    ((*GROUP, "aggs"), [], f"{AT}.pipeline[1].group_by.aggs", "expected an object of aggregates, found a list of 0"),
    (
        (*GROUP, "aggs", "who"),
        {"count": {}},
        f"{AT}.pipeline[1].group_by.aggs.who",
        "column 'who' is repeated, it is a key of the group already",
    ),
    (
        (*GROUP, "aggs", "orders"),
        {"avg": {}},
        f"{AT}.pipeline[1].group_by.aggs.orders",
        "expected an aggregate, one of count, sum, min, max, found 'avg'",
    ),
    (
        (*GROUP, "aggs", "orders", "count"),
        True,
        f"{AT}.pipeline[1].group_by.aggs.orders.count",
        "expected an object, found true",
    ),
    (
        (*GROUP, "aggs", "orders", "count"),
        {"expr": number(1)},
        f"{AT}.pipeline[1].group_by.aggs.orders.count.expr",
        "unknown key 'expr', expected no key",
    ),
    (
        (*GROUP, "aggs", "total", "sum", "expr"),
        row("left.amuont"),
        f"{AT}.pipeline[1].group_by.aggs.total.sum.expr.var.row.field",
        "the row here has no field 'left.amuont', did you mean 'left.amount'?",
    ),
    (
        (*PIPELINE, 0, "filter"),
        {"and": [row("entity_id"), row("middle.state")]},
        f"{AT}.pipeline[0].filter.and[1].var.row.field",
        "the row here has no field 'middle.state', did you mean 'left.state'?",
    ),
    (SOURCE, {}, f"{AT}.source", "expected a query source, an object with exactly one key, found an empty object"),
    (
        SOURCE,
        {"sla_status": {}},
        f"{AT}.source",
        "expected a query source, one of snap, join, found 'sla_status'",
    ),
    (SOURCE, {"snap": "Order"}, f"{AT}.source.snap", "expected an object, found the string 'Order'"),
    (
        (*SOURCE, "join", "right"),
        "Custmer",
        f"{JOIN}.right",
        "no entity type 'Custmer' is declared, did you mean 'Customer'?",
    ),
    ((*SOURCE, "join", "left", "snap", "type"), "", f"{JOIN}.left.snap.type", "no entity type '' is declared"),
    ((*SOURCE, "join", "left", "snap", "type"), 1, f"{JOIN}.left.snap.type", "expected a string, found the number 1"),
    (
        (*SOURCE, "join", "left"),
        None,
        f"{JOIN}.left",
        "expected a side of a join, an object with exactly one key, found null",
    ),
    ((*SOURCE, "join", "left"), {"join": {}}, f"{JOIN}.left", "expected a side of a join, one of snap, found 'join'"),
    ((*SOURCE, "join", "left"), {"snap": 1}, f"{JOIN}.left.snap", "expected an object, found the number 1"),
    ((*SOURCE, "join", "on"), "id", f"{JOIN}.on", "expected an object, found the string 'id'"),
    ((*SOURCE, "join", "on", "left_field"), "email", f"{JOIN}.on.left_field", "the left row has no field 'email'"),
    (
        (*SOURCE, "join", "on", "right_field"),
        "emial",
        f"{JOIN}.on.right_field",
        "the right row has no field 'emial', did you mean 'email'?",
    ),
]

MISSING: list[tuple[Steps, str]] = [
    ((*QUERY, "source"), AT),
    ((*QUERY, "pipeline"), AT),
    ((*SOURCE, "join", "left"), JOIN),
    ((*SOURCE, "join", "right"), JOIN),
    ((*SOURCE, "join", "on"), JOIN),
    ((*SOURCE, "join", "on", "left_field"), f"{JOIN}.on"),
    ((*SOURCE, "join", "on", "right_field"), f"{JOIN}.on"),
    ((*SOURCE, "join", "left", "snap", "type"), f"{JOIN}.left.snap"),
    ((*GROUP, "keys"), f"{AT}.pipeline[1].group_by"),
    ((*GROUP, "aggs"), f"{AT}.pipeline[1].group_by"),
    ((*GROUP, "keys", 0, "name"), f"{AT}.pipeline[1].group_by.keys[0]"),
    ((*GROUP, "keys", 0, "expr"), f"{AT}.pipeline[1].group_by.keys[0]"),
    ((*GROUP, "aggs", "total", "sum", "expr"), f"{AT}.pipeline[1].group_by.aggs.total.sum"),
    ((*GROUP, "aggs", "least", "min", "expr"), f"{AT}.pipeline[1].group_by.aggs.least.min"),
    ((*GROUP, "aggs", "most", "max", "expr"), f"{AT}.pipeline[1].group_by.aggs.most.max"),
    ((*PIPELINE, 3, "project", "fields"), f"{AT}.pipeline[3].project"),
    ((*PIPELINE, 4, "order_by", 0, "expr"), f"{AT}.pipeline[4].order_by[0]"),
    ((*PIPELINE, 4, "order_by", 0, "dir"), f"{AT}.pipeline[4].order_by[0]"),
]


def query(document: Document) -> Query:
    parsed, found = parse_bundle(document)
    assert found == ()
    assert parsed is not None
    constraint = parsed.constraints["few_open"]
    assert isinstance(constraint, QueryConstraint)
    return constraint.query


@pytest.mark.parametrize(("steps", "value", "path", "message"), CHANGES)
def test_query_reports_each_defect(steps: Steps, value: object, path: str, message: str) -> None:
    assert problems(changed(steps, value)) == [(path, message)]


@pytest.mark.parametrize(("steps", "path"), MISSING)
def test_query_reports_each_missing_key(steps: Steps, path: str) -> None:
    ((found_path, message),) = problems(without(steps))
    assert found_path == path
    assert message.startswith(f"missing key {steps[-1]!r}, found ")


def test_unknown_columns_of_a_defective_type_are_not_reported_in_a_query() -> None:
    document = changed(("core_ir", "types", "Customer", "attrs"), None)
    assert [path for path, _ in problems(document)] == ["$.core_ir.types.Customer.attrs"]


def test_aggregates_are_not_bound_after_a_project() -> None:
    assert problems(changed((*PIPELINE, 5), {"filter": {"var": {"agg": {"name": "anything"}}}})) == []


def test_core_columns_can_be_read_of_every_snapshot() -> None:
    document = changed(QUERY, {"source": {"snap": {"type": "Customer"}}, "pipeline": []})
    names = ["entity_type", "entity_id", "state", "updated_ts", "attrs_json", "email"]
    document["core_ir"]["constraints"]["few_open"]["query"]["pipeline"] = [{"filter": row(name)} for name in names]
    assert problems(document) == []


def test_read_query_gives_the_source() -> None:
    assert query(bundle()).source == Join("Order", "Customer", "customer", "entity_id")
    assert query(changed(QUERY, {"source": {"snap": {"type": "Order"}}, "pipeline": []})) == Query(Snap("Order"), ())


def test_read_query_gives_the_steps() -> None:
    aggs = {"orders": Count(), "total": Sum(row("amount")), "least": Min(row("amount")), "most": Max(row("rank"))}
    more = {"gt": [{"var": {"agg": {"name": "orders"}}}, number(1)]}
    assert query(bundle()).pipeline == (
        Filter({"eq": [row("left.state"), row("email")]}),
        GroupBy((("who", row("right.entity_id")),), aggs),
        Having(more),
        Project((("who", row("who")), ("sum", row("total")))),
        OrderBy(((row("sum"), True), (row("who"), False))),
        Offset(1),
        Limit(2),
    )
