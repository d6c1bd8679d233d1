"""The steps of a query's pipeline, each a function from rows to rows.

Rows flow lazily; only grouping holds its groups and ordering its rows. The order of the rows that
come in is the order of the streams, so every result is deterministic.
"""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from cicsc.bundle.model import (
    Aggregate,
    Count,
    Filter,
    GroupBy,
    Having,
    Limit,
    Max,
    Min,
    Offset,
    OrderBy,
    Project,
    Step,
    Sum,
)  # fmt: skip
from cicsc.replay.aggregates import Accumulator, ExactSum, Largest, RowCount, Smallest
from cicsc.replay.gathering import Grouping
from cicsc.replay.layout import Layout, named_layout
from cicsc.replay.ordering import order_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cicsc.replay.layout import RowFunction

    Row = list[object]
    RowStep = Callable[[Iterable[Row], object, object], Iterable[Row]]


def compile_step(step: Step, layout: Layout) -> tuple[RowStep, Layout]:
    """Compile one step over rows of `layout`; return it with the layout of the rows that it gives."""
    match step:
        case Filter() | Having():
            return _filter(layout.compile(step.expr)), layout
        case Project():
            functions = [layout.compile(expr) for _, expr in step.fields]
            return _project(functions), named_layout([name for name, _ in step.fields])
        case GroupBy():
            return _compile_group_by(step, layout)
        case OrderBy():
            return _order_by([(layout.compile(expr), descending) for expr, descending in step.keys]), layout
        case Limit():
            return _slice(0, min(step.count, sys.maxsize)), layout
        case Offset():
            return _slice(min(step.count, sys.maxsize), None), layout
        case _:
            assert_never(step)


def _filter(condition: RowFunction) -> RowStep:
    def run(rows: Iterable[Row], now: object, actor: object) -> Iterator[Row]:
        return (row for row in rows if condition(row, now, actor))

    return run


def _project(functions: list[RowFunction]) -> RowStep:
    def run(rows: Iterable[Row], now: object, actor: object) -> Iterator[Row]:
        return ([function(row, now, actor) for function in functions] for row in rows)

    return run


def _slice(start: int, stop: int | None) -> RowStep:
    def run(rows: Iterable[Row], now: object, actor: object) -> Iterator[Row]:  # noqa: ARG001
        return islice(rows, start, stop)

    return run


def _order_by(keys: list[tuple[RowFunction, bool]]) -> RowStep:
    def run(rows: Iterable[Row], now: object, actor: object) -> list[Row]:
        ordered = list(rows)
        for function, descending in reversed(keys):
            ordered.sort(key=lambda row, key=function: order_key(key(row, now, actor)), reverse=descending)  # type: ignore[misc]
        return ordered

    return run


def _compile_group_by(step: GroupBy, layout: Layout) -> tuple[RowStep, Layout]:
    keys = [layout.compile(expr) for _, expr in step.keys]
    aggregates = [_compile_aggregate(aggregate, layout) for aggregate in step.aggs.values()]
    names = [name for name, _ in step.keys] + list(step.aggs)
    return Grouping(keys, aggregates), named_layout(names, frozenset(step.aggs))


def _compile_aggregate(aggregate: Aggregate, layout: Layout) -> tuple[RowFunction, type[Accumulator]]:
    match aggregate:
        case Count():
            return layout.compile({"lit": {"null": True}}), RowCount
        case Sum():
            return layout.compile(aggregate.expr), ExactSum
        case Min():
            return layout.compile(aggregate.expr), Smallest
        case Max():
            return layout.compile(aggregate.expr), Largest
        case _:
            assert_never(aggregate)
