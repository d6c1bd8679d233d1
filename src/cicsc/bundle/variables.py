"""Which names an expression of a constraint or query may read, and the problem where it reads another.

Elsewhere reading what is not there gives null and is no error; here a misspelled field would make a
constraint pass or fail for every row, so it is a defect of the bundle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cicsc.bundle.place import Names, Place
from cicsc.expression import Node, json_path
from cicsc.expression.grammar import FIELD_VARIABLES, operands

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Scope:
    """What is declared where an expression stands; None for what it may read without a check.

    `columns` are the fields of its row, `aggs` the aggregates of the group_by before it, `args` the
    arguments of its constraint.
    """

    columns: Names
    aggs: Names = None
    args: Names = None

    def expression(self, place: Place) -> Node:
        """Expect an expression that reads nothing but what is declared."""
        node = place.expression()
        declared = {
            "row": (self.columns, "the row here has no field {}"),
            "agg": (self.aggs, "the group_by here has no aggregate {}"),
            "arg": (self.args, "the constraint declares no argument {}"),
        }
        for variable, path, argument in _field_variables(node, place.path):
            names, otherwise = declared.get(variable, (None, ""))
            Place(argument, path, place.problems).known(names, otherwise)
        return node


def _field_variables(node: object, path: str) -> Iterator[tuple[str, str, str]]:
    """Yield each variable with an argument in a checked node: its name, the argument's path, the argument."""
    assert isinstance(node, dict)
    for tag, body in node.items():
        if tag == "var":
            ((variable, argument),) = body.items()
            if variable in FIELD_VARIABLES:
                key = FIELD_VARIABLES[variable]
                yield variable, json_path(json_path(json_path(path, tag), variable), key), argument[key]
        for steps, operand in operands(tag, body):
            below = json_path(path, tag)
            for step in steps:
                below = json_path(below, step)
            yield from _field_variables(operand, below)
