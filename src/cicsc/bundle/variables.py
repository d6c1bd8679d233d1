"""Which names an expression may read where it stands, and the problem or warning where it reads another.

Reading what is not there gives null and is no error. A misspelled field of a row would make a constraint pass or
fail for every row, so it is a defect of the bundle; that of an attribute or input is a warning, and so is what the
place does not hold at all, or a state that is compared with though nothing declares it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import Struct

from cicsc.bundle.place import Names, Place
from cicsc.expression import Node, json_path, quoted
from cicsc.expression.grammar import FIELD_VARIABLES, FLAG_VARIABLES, operands

if TYPE_CHECKING:
    from collections.abc import Iterator

_Tagged: TypeAlias = tuple[str, object, str]
"""A checked node: its tag, its body, and the path of that."""

# What each place can read, as in docs/semantics.md.
_CALL: Final = frozenset({"now", "actor"})
_ALL: Final = frozenset({*FLAG_VARIABLES, *FIELD_VARIABLES})
OVER_EVENT: Final = _CALL | {"e_type", "e_actor", "e_time", "e_payload", "payload"}
IN_REDUCER: Final = OVER_EVENT | {"state", "attrs"}
OVER_SNAPSHOT: Final = _CALL | {"state", "attrs", "row"}
IN_COMMAND: Final = OVER_SNAPSHOT | {"input"}
OVER_RESHAPED_ROW: Final = _CALL | {"row"}
IN_ASSERT: Final = _CALL | {"rows_count", "arg"}


class Scope(Struct, frozen=True):
    """What is declared where an expression stands; None for what it may read without a check.

    `columns` are the fields of its row, `aggs` the aggregates of the group_by before it, `args` the
    arguments of its constraint, `attrs` the attributes that can be read, `inputs` those of its command.
    `states` are those that the state can be compared with, `held` the variables that there are at all.
    """

    columns: Names = None
    aggs: Names = None
    args: Names = None
    attrs: Names = None
    inputs: Names = None
    states: Names = None
    held: frozenset[str] = _ALL

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
        nodes = list(_nodes(node, place.path))
        for path, state in _states(nodes) if self.states is not None else ():
            Place(state, path, warnings).known(self.states, "no state {} is declared")
        for variable, path, argument in _variables(nodes):
            names, found, otherwise = declared.get(variable, (None, warnings, ""))
            is_defect = found is problems and names is not None and argument not in names
            if variable in self.held or is_defect:
                Place(argument, path, found).known(names, otherwise)
            else:
                nothing = '""' if variable == "state" else "null"
                Place(argument, path, warnings).report(f"{quoted(variable)} cannot be read here, so this is {nothing}")
        return node

    def expressions(self, place: Place) -> dict[str, Node]:
        """Expect an object of such expressions."""
        return {key: self.expression(at) for key, at in place.entries("an object of expressions")}


def _variables(nodes: list[_Tagged]) -> Iterator[tuple[str, str, str]]:
    """Yield each variable among nodes: its name, the path of its argument, and that, which is "" for a flag."""
    for tag, body, at in nodes:
        if tag == "var" and isinstance(body, dict):
            ((variable, argument),) = body.items()
            below = json_path(at, variable)
            if variable in FIELD_VARIABLES:
                key = FIELD_VARIABLES[variable]
                yield variable, json_path(below, key), argument[key]
            else:
                yield variable, below, ""


def _states(nodes: list[_Tagged]) -> Iterator[tuple[str, str]]:
    """Yield each text among nodes that the state is compared with, after its path."""
    for tag, body, at in nodes:
        match tag, body:
            case (("eq" | "ne"), [left, right]):
                compared = [(f"{at}[0]", left)] * _is_state(right) + [(f"{at}[1]", right)] * _is_state(left)
            case "in", {"needle": needle, "haystack": {"arr": {"items": list(items)}}} if _is_state(needle):
                compared = [(f"{at}.haystack.arr.items[{index}]", item) for index, item in enumerate(items)]
            case _:
                continue
        for place, other in compared:
            match other:
                case {"lit": {"string": str(text)}}:
                    yield f"{place}.lit.string", text


def _is_state(node: object) -> bool:
    return node in ({"var": {"state": True}}, {"var": {"row": {"field": "state"}}})


def _nodes(node: object, path: str) -> Iterator[_Tagged]:
    """Yield each node in a checked one."""
    assert isinstance(node, dict)
    for tag, body in node.items():
        at = json_path(path, tag)
        yield tag, body, at
        for steps, operand in operands(tag, body):
            below = at
            for step in steps:
                below = json_path(below, step)
            yield from _nodes(operand, below)
