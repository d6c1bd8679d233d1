"""Rows of a query as lists of columns, and how expressions read them.

A query reads few of the fields that a snapshot has. The columns that it can observe are found once,
and a row is just the list of these, so that rows are small in memory and on disk.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cicsc.expression import FunctionBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

    from cicsc.expression import Node

    RowFunction = Callable[[list[object], object, object], object]

PARAMETERS = ("row", "now", "actor")


class Column(Struct, frozen=True):
    """What one column holds: a variable of the language with its argument, such as row and its field."""

    variable: str
    argument: str | None


class Layout(Struct):
    """The columns of a row, each with its position.

    `open` layouts grow while expressions are compiled against them: whatever is read of the
    `observable` variables becomes a column. A closed one is complete; what it does not name reads as null.
    """

    columns: dict[Column, int] = field(default_factory=dict)
    open: bool = True
    observable: frozenset[str] = frozenset({"row", "attrs", "state"})
    aggregates: frozenset[str] = frozenset()

    def position(self, variable: str, argument: str | None) -> int | None:
        """Return where a variable stands in the row, or None where the row does not hold it."""
        if variable == "agg":
            return self.position("row", argument) if argument in self.aggregates else None
        column = Column(variable, argument)
        if self.open and variable in self.observable:
            return self.columns.setdefault(column, len(self.columns))
        return self.columns.get(column)

    def compile(self, node: Node) -> RowFunction:
        """Compile an expression over rows of this layout."""
        builder = FunctionBuilder(PARAMETERS, self._variable)
        return builder.build_expression(builder.expression(node))

    def _variable(self, builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
        if name in {"now", "actor"}:
            return builder.name(name)
        position = self.position(name, argument)
        if position is not None:
            return ast.Subscript(builder.name("row"), builder.constant(position), ast.Load())
        return builder.constant("" if name == "state" else None)


def named_layout(names: list[str], aggregates: frozenset[str] = frozenset()) -> Layout:
    """Return the closed layout of rows that a projection or a grouping makes."""
    columns = {Column("row", name): position for position, name in enumerate(names)}
    return Layout(columns, open=False, aggregates=aggregates)
