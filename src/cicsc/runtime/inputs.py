"""The input of a command, held against what the command declares: every problem at once, each with its place.

Messages name fields and kinds of values, never the values, which may be nobody's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cicsc.bundle.model import Attribute
from cicsc.errors import CommandInputError, Problem
from cicsc.expression import json_path, suggestion
from cicsc.history.model import describe, integer_or_none
from cicsc.runtime.program import CommandProgram

PROBLEMS_SHOWN_MAX: Final = 10
"""Problems that the message of an error lists; the error holds them all."""

VALUES_SHOWN_MAX: Final = 10
"""Values of an enum that a message lists."""

_EXPECTED: Final[Mapping[str | None, str]] = {
    "string": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "time": "milliseconds since the epoch, an integer of at most 64 bits",
    "enum": "a string",
}


def checked_input(command: CommandProgram, given: Mapping[str, object]) -> dict[str, object]:
    """Return the input that a command sees: the fields it declares, defaults filled in, integers as integers.

    `given` holds JSON values. A null counts as absent, but for a field of any JSON. Raises
    CommandInputError, which lists every field that is missing, of the wrong kind or not declared.
    """
    taken: dict[str, object] = {}
    problems: list[Problem] = []
    for name, attribute in command.input.items():
        value = given.get(name)
        if value is None and (name not in given or attribute.type in _EXPECTED):
            value = attribute.default
            if value is None:
                if not attribute.optional:
                    problems.append(Problem(json_path("$", name), f"expected {_wanted(attribute)}, found nothing"))
                continue
        if _fits(attribute, value):
            taken[name] = _exact(attribute, value)
        else:
            problems.append(Problem(json_path("$", name), _mismatch(attribute, value)))
    problems.extend(_undeclared(command, given))
    if problems:
        raise _refused(command, tuple(problems))
    return taken


def _undeclared(command: CommandProgram, given: Mapping[str, object]) -> Iterator[Problem]:
    for name in given:
        if name not in command.input:
            close = suggestion(name, command.input)
            yield Problem(json_path("$", name), f"the command declares no such field{close}")


def _fits(attribute: Attribute, value: object) -> bool:
    match attribute.type:
        case "string":
            return isinstance(value, str)
        case "enum":
            return isinstance(value, str) and (not attribute.values or value in attribute.values)
        case "bool":
            return isinstance(value, bool)
        case "int" | "float" if isinstance(value, bool):
            return False
        case "int":
            return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        case "float":
            return isinstance(value, int | float)
        case "time":
            return integer_or_none(value) is not None
        case _:
            return True


def _exact(attribute: Attribute, value: object) -> object:
    """Return the value that was meant: 3.0 is the integer 3."""
    return int(value) if isinstance(value, float) and attribute.type in {"int", "time"} else value


def _wanted(attribute: Attribute) -> str:
    if attribute.type != "enum" or not attribute.values:
        return _EXPECTED.get(attribute.type, "a value")
    more = ", ..." if len(attribute.values) > VALUES_SHOWN_MAX else ""
    return f"one of {', '.join(map(repr, attribute.values[:VALUES_SHOWN_MAX]))}{more}"


def _mismatch(attribute: Attribute, value: object) -> str:
    if isinstance(value, str) and attribute.type == "enum":
        return f"expected {_wanted(attribute)}, found another string{suggestion(value, attribute.values)}"
    return f"expected {_wanted(attribute)}, found {describe(value)}"


def _refused(command: CommandProgram, problems: tuple[Problem, ...]) -> CommandInputError:
    shown = "; ".join(f"{problem.path}: {problem.message}" for problem in problems[:PROBLEMS_SHOWN_MAX])
    more = f"; and {len(problems) - PROBLEMS_SHOWN_MAX} more" if len(problems) > PROBLEMS_SHOWN_MAX else ""
    return CommandInputError(
        f"command {command.name!r} cannot take its input: {shown}{more}", problems, hint="nothing was written"
    )
