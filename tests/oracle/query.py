"""Queries: a source of rows, then operations in order, each seeing the rows of the one before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from oracle.expression import Environment, interpret
from oracle.values import add, canonical, equal, is_number, nearest_double, number, same_value, truth

Row = dict[str, object]


@dataclass(frozen=True)
class Held:
    """A row on its way through a pipeline, and what else can be read where it is looked at.

    Only rows straight from the snapshots of one type have a state and attributes of their own; only
    rows of a group_by have aggregates.
    """

    columns: Row
    state: str = ""
    attrs: Row = field(default_factory=dict)
    aggs: Row = field(default_factory=dict)


def run(query: Mapping[str, Any], rows_by_type: Mapping[str, list[Held]], env: Environment) -> list[Row]:
    """The rows of a query; `rows_by_type` holds one tenant's rows in the order of their entity ids."""
    rows = source_rows(query["source"], rows_by_type)
    for operation in query["pipeline"]:
        [(name, body)] = operation.items()
        rows = OPERATIONS[name](body, rows, env)
    return [row.columns for row in rows]


def source_rows(source: Mapping[str, dict[str, Any]], rows_by_type: Mapping[str, list[Held]]) -> list[Held]:
    """The rows of `snap{type}` or `join{left, right, on}`."""
    [(kind, body)] = source.items()
    if kind == "snap":
        return rows_by_type.get(str(body["type"]), [])
    on = body["on"]
    return [
        Held(joined(left.columns, right.columns))
        for left in rows_by_type.get(side(body["left"]), [])
        for right in rows_by_type.get(side(body["right"]), [])
        if matches(left.columns.get(on["left_field"]), right.columns.get(on["right_field"]))
    ]


def side(source: object) -> str:
    """The type on one side of a join, written as a name or as a snap."""
    if isinstance(source, dict):
        return str(source["snap"]["type"] if "snap" in source else source["type"])
    return str(source)


def matches(left: object, right: object) -> bool:
    """Equal values join; null joins nothing, not even null."""
    return left is not None and right is not None and equal(left, right)


def joined(left: Row, right: Row) -> Row:
    """The columns of both sides by qualified names, and by bare names with the left side first."""
    row: Row = {}
    for name, value in right.items():
        row[name] = value
        row["right." + name] = value
    for name, value in left.items():
        row[name] = value
        row["left." + name] = value
    return row


def _filter(body: Any, rows: list[Held], env: Environment) -> list[Held]:
    return [row for row in rows if truth(interpret(body, seen(row, env)))]


def seen(row: Held, env: Environment) -> dict[str, object]:
    """The environment in which an operation looks at a row."""
    return {**env, "row": row.columns, "state": row.state, "attrs": row.attrs, "agg": row.aggs}


def _project(body: Mapping[str, list[dict[str, Any]]], rows: list[Held], env: Environment) -> list[Held]:
    return [Held({str(f["name"]): interpret(f["expr"], seen(row, env)) for f in body["fields"]}) for row in rows]


def _group_by(body: Mapping[str, Any], rows: list[Held], env: Environment) -> list[Held]:
    keys, aggregates = body["keys"], body["aggs"]
    groups: list[tuple[list[object], list[Held]]] = []
    for row in rows:
        values: list[object] = [interpret(key["expr"], seen(row, env)) for key in keys]
        for known, members in groups:
            if equal(known, values):
                members.append(row)
                break
        else:
            groups.append((values, [row]))
    grouped = []
    for values, members in groups:
        aggs = {name: aggregate(aggregates[name], members, env) for name in aggregates}
        grouped.append(
            Held({**{key["name"]: value for key, value in zip(keys, values, strict=True)}, **aggs}, aggs=aggs)
        )
    return grouped


def aggregate(spec: Mapping[str, Any], rows: list[Held], env: Environment) -> object:
    """count, sum, min or max of the rows of one group."""
    [(kind, body)] = spec.items()
    if kind == "count":
        return len(rows)
    values: list[Any] = [interpret(body["expr"], seen(row, env)) for row in rows]
    numbers = [value for value in values if is_number(value)]
    if not numbers:
        return None
    if kind == "sum":
        return total(numbers)
    return min(numbers) if kind == "min" else max(numbers)


def total(numbers: list[Any]) -> object:
    """The exact sum of the integral numbers plus the exact sum, rounded once, of the others."""
    values = [same_value(value) for value in numbers]
    integers = sum(value for value in values if isinstance(value, int))
    doubles = [value for value in values if isinstance(value, float)]
    if not doubles:
        return number(integers)
    rounded = nearest_double(sum((Fraction(value) for value in doubles), Fraction(0)))
    return None if rounded is None else add(integers, rounded)


def _order_by(body: list[dict[str, Any]], rows: list[Held], env: Environment) -> list[Held]:
    for key in reversed(body):
        decorated = [(rank(interpret(key["expr"], seen(row, env))), row) for row in rows]
        decorated.sort(key=lambda pair: pair[0], reverse=key.get("dir") == "desc")
        rows = [row for _, row in decorated]
    return rows


def rank(value: object) -> tuple[int, object]:
    """A sort key: null, numbers, strings by code point, booleans, the rest by canonical text."""
    if value is None:
        return (0, 0)
    if is_number(value):
        return (1, value)
    if isinstance(value, str):
        return (2, value)
    if isinstance(value, bool):
        return (3, value)
    return (4, canonical(value))


def _limit(body: int, rows: list[Held], env: Environment) -> list[Held]:
    return rows[:body]


def _offset(body: int, rows: list[Held], env: Environment) -> list[Held]:
    return rows[body:]


OPERATIONS = {
    "filter": _filter,
    "having": _filter,
    "project": _project,
    "group_by": _group_by,
    "order_by": _order_by,
    "limit": _limit,
    "offset": _offset,
}
