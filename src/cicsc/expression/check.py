"""Checking an expression: every defect with its JSON path, before anything is compiled.

What passes here compiles and runs without an error on any environment. The walk itself is bounded
by the limits it enforces, so a hostile document costs no more than an honest one.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING

from cicsc.errors import Problem
from cicsc.expression import grammar
from cicsc.expression.limits import DEPTH_MAX, INTEGER_LIMIT, LITERAL_TEXT_MAX, NODES_MAX
from cicsc.expression.paths import json_path, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUOTED_MAX = 40
_KEYS_MAX = 4
_NEAR_MAX = 200
_NAMED_BELOW = 10**20
_KINDS = {type(None): "null", bool: "bool", int: "int", float: "float", str: "string"}


def check_expression(node: object, path: str, *, host_calls: bool = False) -> list[Problem]:
    """Return every defect of the expression `node`, which stands at the JSON path `path`.

    `host_calls` admits the functions that a host supplies to guards. An empty list means that
    `node` may be compiled.
    """
    check = _Check(host_calls=host_calls)
    check.expression(node, path, depth=1)
    return check.problems


class _Check:
    """One walk over one expression, collecting problems."""

    def __init__(self, *, host_calls: bool) -> None:
        self.problems: list[Problem] = []
        self._host_calls = host_calls
        self._nodes = 0

    def _report(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def expression(self, node: object, path: str, depth: int) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            if self._nodes == NODES_MAX + 1:
                self._report(path, f"expression has more than {NODES_MAX} nodes")
        elif depth > DEPTH_MAX:
            self._report(path, f"expression is nested deeper than {DEPTH_MAX} levels")
        elif not isinstance(node, dict) or len(node) != 1:
            what = "an expression, an object with exactly one key"
            self._report(path, f"expected {what}, found {describe(node)}{_as_literal(node, 'lit')}")
        else:
            ((tag, body),) = node.items()
            self._tagged(tag, body, json_path(path, tag), depth)

    def _tagged(self, tag: str, body: object, path: str, depth: int) -> None:
        if tag not in grammar.TAGS:
            self._report(path, f"unknown expression tag {quoted(tag)}{suggestion(tag, grammar.TAGS)}")
        elif tag == "lit":
            self._literal(body, path)
        elif tag == "var":
            self._variable(body, path)
        elif self._shape(tag, body, path):
            for steps, operand in grammar.operands(tag, body):
                below = path
                for step in steps:
                    below = json_path(below, step)
                self.expression(operand, below, depth + 1)

    def _literal(self, body: object, path: str) -> None:
        if not isinstance(body, dict) or len(body) != 1:
            what = "a literal, an object with exactly one key"
            self._report(path, f"expected {what}, found {describe(body)}{_as_literal(body)}")
            return
        ((kind, value),) = body.items()
        below = json_path(path, kind)
        if kind == "null":
            if value is not True:
                self._report(below, f"expected true, found {describe(value)}")
        elif kind not in grammar.LITERALS:
            kinds = (*grammar.LITERALS, "null")
            self._report(below, f"unknown literal kind {quoted(kind)}, expected one of {', '.join(kinds)}")
        elif type(value) not in grammar.LITERALS[kind]:
            self._report(below, f"expected a value of kind {kind}, found {describe(value)}")
        elif isinstance(value, str):
            self._text(value, below)
        elif kind != "bool":
            self._number(kind, value, below)

    def _number(self, kind: str, value: object, path: str) -> None:
        assert isinstance(value, int | float)
        if not _within_limit(value):
            self._report(path, "number is too large for the language")
        elif kind == "int" and isinstance(value, float) and not value.is_integer():
            self._report(path, f"expected a whole number, found {value!r}")

    def _text(self, value: str, path: str) -> None:
        if len(value) > LITERAL_TEXT_MAX:
            self._report(path, f"text is longer than {LITERAL_TEXT_MAX} characters")

    def _variable(self, body: object, path: str) -> None:
        if not isinstance(body, dict) or len(body) != 1:
            meant = f', did you mean {{"{body}": true}}?' if _is_flag(body) else ""
            what = "a variable, an object with exactly one key"
            self._report(path, f"expected {what}, found {describe(body)}{meant}")
            return
        ((name, argument),) = body.items()
        below = json_path(path, name)
        if name in grammar.FLAG_VARIABLES:
            if argument is not True:
                self._report(below, f"expected true, found {describe(argument)}")
        elif name in grammar.FIELD_VARIABLES:
            self._variable_argument(grammar.FIELD_VARIABLES[name], argument, below)
        else:
            names = grammar.FLAG_VARIABLES | grammar.FIELD_VARIABLES.keys()
            self._report(below, f"unknown variable {quoted(name)}{suggestion(name, names)}")

    def _variable_argument(self, key: str, argument: object, path: str) -> None:
        if not isinstance(argument, dict) or set(argument) != {key} or not isinstance(argument[key], str):
            self._report(
                path, f"expected an object with exactly the key {key!r} and a string, found {describe(argument)}"
            )
        else:
            self._text(argument[key], json_path(path, key))

    def _shape(self, tag: str, body: object, path: str) -> bool:
        """Check the body of a node down to its operands; tell whether these can be walked."""
        if tag in grammar.SINGLES:
            return True
        if tag in grammar.PAIRS:
            return self._list(body, path, size=2)
        if tag in grammar.LISTS:
            return self._list(body, path)
        if tag == "obj":
            return self._object(body, path, ("fields",)) and self._named(body, path)
        if tag == "arr":
            return self._object(body, path, ("items",)) and self._inner_list(body, path, "items")
        if tag == "call":
            return self._object(body, path, ("fn", "args")) and self._call(body, path)
        plain = (grammar.PLAIN_PARTS[tag],) if tag in grammar.PLAIN_PARTS else ()
        return self._object(body, path, grammar.PARTS[tag] + plain) and self._plain_part(tag, body, path)

    def _list(self, body: object, path: str, size: int | None = None) -> bool:
        if isinstance(body, list) and size in {None, len(body)}:
            return True
        wanted = "a list of expressions" if size is None else f"a list of exactly {size} expressions"
        self._report(path, f"expected {wanted}, found {describe(body)}")
        return False

    def _object(self, body: object, path: str, keys: tuple[str, ...]) -> bool:
        if isinstance(body, dict) and body.keys() == set(keys):
            return True
        self._report(path, f"expected an object with exactly the keys {', '.join(keys)}, found {describe(body)}")
        return False

    def _inner_list(self, body: object, path: str, key: str) -> bool:
        assert isinstance(body, dict)
        return self._list(body[key], json_path(path, key))

    def _named(self, body: object, path: str) -> bool:
        assert isinstance(body, dict)
        below = json_path(path, "fields")
        if not isinstance(body["fields"], dict):
            self._report(below, f"expected an object of expressions, found {describe(body['fields'])}")
            return False
        for key in body["fields"]:
            self._text(key, json_path(below, key))
        return True

    def _call(self, body: object, path: str) -> bool:
        assert isinstance(body, dict)
        function, below = body["fn"], json_path(path, "fn")
        if function in grammar.NONDETERMINISTIC if isinstance(function, str) else False:
            self._report(below, f"call of {function!r} is refused: a replay must not depend on when or where it runs")
        elif not isinstance(function, str) or function not in grammar.FUNCTIONS | grammar.HOST_FUNCTIONS:
            named = quoted(function) if isinstance(function, str) else describe(function)
            self._report(below, f"unknown function {named}{suggestion(function, grammar.FUNCTIONS)}")
        elif function in grammar.HOST_FUNCTIONS and not self._host_calls:
            self._report(below, f"function {function!r} may be called in the guard of a command only")
        if not self._inner_list(body, path, "args"):
            return False
        if isinstance(function, str) and function in grammar.FUNCTIONS and len(body["args"]) != 1:
            self._report(json_path(path, "args"), f"function {function!r} takes 1 argument, found {len(body['args'])}")
        return True

    def _plain_part(self, tag: str, body: object, path: str) -> bool:
        assert isinstance(body, dict)
        if tag in {"get", "has"}:
            below = json_path(path, "path")
            if isinstance(body["path"], str):
                self._text(body["path"], below)
            else:
                self._report(below, f"expected a path, a string, found {describe(body['path'])}")
        elif tag == "map_enum":
            self._mapping(body["mapping"], json_path(path, "mapping"))
        return True

    def _mapping(self, mapping: object, path: str) -> None:
        if not isinstance(mapping, dict):
            self._report(path, f"expected an object of numbers, found {describe(mapping)}")
            return
        for key, value in mapping.items():
            below = json_path(path, key)
            if type(value) not in {int, float}:
                self._report(below, f"expected a number, found {describe(value)}")
            elif not _within_limit(value):
                self._report(below, "number is too large for the language")


def _is_flag(body: object) -> bool:
    return isinstance(body, str) and body in grammar.FLAG_VARIABLES


def _as_literal(value: object, *outer: str) -> str:
    """Return `, did you mean ...?` with the literal that gives `value`, where that is short, else nothing."""
    kind = _KINDS.get(type(value))
    text = json.dumps(True if value is None else value) if kind is not None and _is_short(value) else None
    if text is None:
        return ""
    for key in (kind, *outer):
        text = f'{{"{key}": {text}}}'
    return f", did you mean {text}?"


def _is_short(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _QUOTED_MAX
    return value is None or (isinstance(value, int | float) and _within_limit(value) and abs(value) < _NAMED_BELOW)


def _within_limit(value: float) -> bool:
    return isfinite(value) if isinstance(value, float) else -INTEGER_LIMIT < value < INTEGER_LIMIT


def describe(value: object) -> str:
    """Name a JSON value for a message: its kind, with its keys, size or text where these are short."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value!r}" if _is_short(value) else "a number"
        case str():
            return f"the string {value!r}" if len(value) <= _QUOTED_MAX else f"a string of {len(value)} characters"
        case list():
            return f"a list of {len(value)}"
        case dict() if not value:
            return "an empty object"
        case dict():
            keys = ", ".join(map(quoted, list(value)[:_KEYS_MAX]))
            return f"an object with the keys {keys}{', ...' if len(value) > _KEYS_MAX else ''}"
    return f"a value of type {type(value).__name__}"


def suggestion(name: object, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return `, did you mean ...?` where a known name is as like `name` as is asked (from 0 to 1), else nothing."""
    if not isinstance(name, str) or len(name) > _NEAR_MAX:
        return ""
    from difflib import get_close_matches  # noqa: PLC0415 (start-up: most documents have nothing to suggest)

    close = get_close_matches(name, sorted(known), n=1, cutoff=likeness)
    return f", did you mean {close[0]!r}?" if close else ""
