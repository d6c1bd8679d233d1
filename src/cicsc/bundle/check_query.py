"""Reading a query: a source, and a pipeline of steps (docs/formats.md, Queries).

Each step sees the columns of the one before, so what an expression may read changes along the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from cicsc.bundle.model import (
    CORE_FIELDS,
    Aggregate,
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
    Snap,
    Source,
    Step,
    Sum,
)
from cicsc.bundle.place import Names, Place
from cicsc.bundle.variables import OVER_RESHAPED_ROW, OVER_SNAPSHOT, Scope
from cicsc.expression import Node, quoted

CORE_COLUMNS: Final = frozenset(CORE_FIELDS)


class Rows(NamedTuple):
    """What the rows of an entity type have: their fields, and the states that these may be in; None where unknown."""

    fields: Names = None
    states: Names = None


Columns: TypeAlias = Mapping[str, Rows]
"""The rows of each declared entity type."""

UNKNOWN: Final = Rows()

Column: TypeAlias = tuple[str, Node]


def read_query(place: Place, columns: Columns | None, args: Names) -> Query:
    """Read a query over the declared entity types; `columns` is None where these are unknown."""
    body = place.record("a query, an object")
    source, names = _read_source(body.required("source"), columns)
    if isinstance(source, Snap):
        states = (columns or {}).get(source.type, UNKNOWN).states
        scope = Scope(names, args=args, attrs=names, states=states, held=OVER_SNAPSHOT)
    else:  # a joined row has no state and no attributes of its own
        scope = Scope(names, args=args, held=OVER_RESHAPED_ROW)
    steps = []
    for item in body.required("pipeline").items("a list of query steps"):
        found = item.variant(_STEPS, "a query step")
        if found is None:
            scope = _reshaped(scope, None)
        else:
            read, step_body = found
            step, scope = read(step_body, scope)
            steps.append(step)
    return Query(source, tuple(steps))


def read_type_name(place: Place, columns: Columns | None) -> str:
    """Read the name of a declared entity type."""
    return place.known(None if columns is None else frozenset(columns), "no entity type {} is declared")


def _read_source(place: Place, columns: Columns | None) -> tuple[Source, Names]:
    found = place.variant(_SOURCES, "a query source")
    if found is None:
        return Snap(""), None
    read, body = found
    return read(body.record("an object"), columns)


def _read_snap(body: Place, columns: Columns | None) -> tuple[Source, Names]:
    name = read_type_name(body.required("type"), columns)
    return Snap(name), (columns or {}).get(name, UNKNOWN).fields


def _read_join(body: Place, columns: Columns | None) -> tuple[Source, Names]:
    left, left_names = _read_side(body.required("left"), columns)
    right, right_names = _read_side(body.required("right"), columns)
    on = body.required("on").record("an object")
    left_field = on.required("left_field").known(left_names, "the left row has no field {}")
    right_field = on.required("right_field").known(right_names, "the right row has no field {}")
    return Join(left, right, left_field, right_field), _joined(left_names, right_names)


def _joined(left: Names, right: Names) -> Names:
    if left is None or right is None:
        return None
    return left | right | {f"left.{name}" for name in left} | {f"right.{name}" for name in right}


def _read_side(place: Place, columns: Columns | None) -> tuple[str, Names]:
    """Read one side of a join: `{"snap": {"type": "Order"}}`, or just the name of the type."""
    name_place = place
    if not isinstance(place.value, str):
        found = place.variant({"snap": "snap"}, "a side of a join")
        if found is None:
            return "", None
        name_place = found[1].record("an object").required("type")
    name = read_type_name(name_place, columns)
    return name, (columns or {}).get(name, UNKNOWN).fields


_SOURCES: Final[Mapping[str, Callable[[Place, Columns | None], tuple[Source, Names]]]] = {
    "snap": _read_snap,
    "join": _read_join,
}


def _read_filter(place: Place, scope: Scope) -> tuple[Step, Scope]:
    return Filter(scope.expression(place)), scope


def _read_having(place: Place, scope: Scope) -> tuple[Step, Scope]:
    return Having(scope.expression(place)), scope


def _read_project(place: Place, scope: Scope) -> tuple[Step, Scope]:
    before = place.problems.total
    body = place.record("an object")
    fields = _read_columns(body.required("fields"), scope)
    names = frozenset(name for name, _ in fields)
    columns = names if place.problems.total == before else None
    return Project(fields), _reshaped(scope, columns)


def _read_group_by(place: Place, scope: Scope) -> tuple[Step, Scope]:
    before = place.problems.total
    body = place.record("an object")
    keys = _read_columns(body.required("keys"), scope)
    key_names = frozenset(name for name, _ in keys)
    aggs = {}
    for name, at in body.required("aggs").entries("an object of aggregates"):
        if name in key_names:
            at.report(f"column {quoted(name)} is repeated, it is a key of the group already")
        found = at.variant(_AGGREGATES, "an aggregate")
        if found is not None:
            aggs[name] = found[0](found[1].record("an object"), scope)
    if place.problems.total != before:
        return GroupBy(keys, aggs), _reshaped(scope, None)
    grouped = _reshaped(scope, key_names | aggs.keys())
    return GroupBy(keys, aggs), replace(grouped, aggs=frozenset(aggs), held=OVER_RESHAPED_ROW | {"agg"})


def _reshaped(scope: Scope, columns: Names) -> Scope:
    """Return what a row of these columns can read: nothing of the snapshots that it was made of."""
    return replace(scope, columns=columns, aggs=None, attrs=None, states=None, held=OVER_RESHAPED_ROW)


def _read_columns(place: Place, scope: Scope) -> tuple[Column, ...]:
    columns: dict[str, Node] = {}
    for item in place.items("a list of columns"):
        body = item.record("a column, an object")
        at = body.required("name")
        name = at.text()
        if name in columns and isinstance(at.value, str):
            at.report(f"column {quoted(name)} is repeated")
        columns[name] = scope.expression(body.required("expr"))
    return tuple(columns.items())


def _read_order_by(place: Place, scope: Scope) -> tuple[Step, Scope]:
    keys = []
    for item in place.items("a list of sort keys"):
        body = item.record("a sort key, an object")
        node = scope.expression(body.required("expr"))
        keys.append((node, body.required("dir").choice({"asc": False, "desc": True}) is True))
    return OrderBy(tuple(keys)), scope


def _read_limit(place: Place, scope: Scope) -> tuple[Step, Scope]:
    return Limit(place.count()), scope


def _read_offset(place: Place, scope: Scope) -> tuple[Step, Scope]:
    return Offset(place.count()), scope


_STEPS: Final[Mapping[str, Callable[[Place, Scope], tuple[Step, Scope]]]] = {
    "filter": _read_filter,
    "having": _read_having,
    "project": _read_project,
    "group_by": _read_group_by,
    "order_by": _read_order_by,
    "limit": _read_limit,
    "offset": _read_offset,
}


def _read_count(body: Place, _scope: Scope) -> Aggregate:
    body.closed(())
    return Count()


def _read_sum(body: Place, scope: Scope) -> Aggregate:
    return Sum(scope.expression(body.required("expr")))


def _read_min(body: Place, scope: Scope) -> Aggregate:
    return Min(scope.expression(body.required("expr")))


def _read_max(body: Place, scope: Scope) -> Aggregate:
    return Max(scope.expression(body.required("expr")))


_AGGREGATES: Final[Mapping[str, Callable[[Place, Scope], Aggregate]]] = {
    "count": _read_count,
    "sum": _read_sum,
    "min": _read_min,
    "max": _read_max,
}
