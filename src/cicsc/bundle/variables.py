"""Which names an expression of a constraint or query may read, and the problem where it reads another.

Reading what is not there gives null and is no error. A misspelled field of a row would make a constraint pass or
fail for every row, so it is a defect of the bundle; that of an attribute or input is a warning.
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
    arguments of its constraint, `attrs` the attributes that can be read, `inputs` those of its command.
    """

    columns: Names = None
    aggs: Names = None
    args: Names = None
    attrs: Names = None
    inputs: Names = None

    def expression(self, place: Place, *, host_calls: bool = False) -> Node:
        """Expect an expression that reads nothing but what is declared."""
        node = place.expression(host_calls=host_calls)
        problems, warnings = place.problems, place.problems.warnings
        declared = {
            "row": (self.columns, problems, "the row here has no field {}"),
            "agg": (self.aggs, problems, "the group_by here has no aggregate {}"),
            "arg": (self.args, problems, "the constraint declares no argument {}"),
            "attrs": (self.attrs, warnings, "there is no attribute {} to read here, so this is null"),
            "input": (self.inputs, warnings, "the command declares no input {}, so this is null"),
        }
        for variable, path, argument in _field_variables(node, place.path):
            if variable in declared:
                names, found, otherwise = declared[variable]
                Place(argument, path, found).known(names, otherwise)
        return node

    def expressions(self, place: Place) -> dict[str, Node]:
        """Expect an object of such expressions."""
        return {key: self.expression(at) for key, at in place.entries("an object of expressions")}


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
