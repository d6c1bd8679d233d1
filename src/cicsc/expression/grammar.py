"""The shape of the expression language: its tags, its variables, its functions (docs/formats.md, Expressions).

One table, which checking, reading and compiling share. An expression is an object with one key, its tag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Node = dict[str, object]
"""A checked expression node as it was decoded from JSON."""

SINGLES: Final = frozenset({"not", "bool", "is_null"})
"""Tags whose body is one expression."""

PAIRS: Final = frozenset({"eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "div", "time_between"})
"""Tags whose body is a list of exactly two expressions."""

LISTS: Final = frozenset({"and", "or", "coalesce"})
"""Tags whose body is a list of any number of expressions."""

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "get": ("expr",),
    "has": ("expr",),
    "if": ("cond", "then", "else"),
    "in": ("needle", "haystack"),
    "map_enum": ("expr",),
}
"""Tags whose body is an object, with those of its fields that hold one expression."""

PLAIN_PARTS: Final[Mapping[str, str]] = {"get": "path", "has": "path", "map_enum": "mapping"}
"""Tags whose body also has a field that holds no expression."""

TAGS: Final = frozenset({"lit", "var", "obj", "arr", "call", *SINGLES, *PAIRS, *LISTS, *PARTS})

LITERALS: Final[Mapping[str, tuple[type, ...]]] = {
    "bool": (bool,),
    "int": (int, float),
    "float": (int, float),
    "string": (str,),
}
"""Literal kinds besides null, with the Python types of their values."""

FLAG_VARIABLES: Final = frozenset({"now", "actor", "state", "rows_count", "e_type", "e_actor", "e_time"})
"""Variables that are written ``{"var": {"now": true}}``."""

FIELD_VARIABLES: Final[Mapping[str, str]] = {
    "input": "field",
    "attrs": "field",
    "row": "field",
    "arg": "name",
    "agg": "name",
    "e_payload": "path",
    "payload": "path",
}
"""Variables that are written ``{"var": {"attrs": {"field": "name"}}}``, with the key of their argument."""

FUNCTIONS: Final = frozenset({"len", "str", "int", "float"})
"""Functions of one argument that may be called anywhere."""

HOST_FUNCTIONS: Final = frozenset({"has_role", "role_of", "auth_ok", "allowed", "constraint"})
"""Functions that the host supplies, in the guards of commands only."""

NONDETERMINISTIC: Final = frozenset({"now", "random", "uuid"})
"""Functions that would make a replay depend on when or where it runs; they are refused by name."""


def operands(tag: str, body: object) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Yield the operand expressions of a node of the right shape, each with its path below the tag."""
    if tag in SINGLES:
        yield (), body
    elif tag in PAIRS or tag in LISTS:
        yield from (((index,), item) for index, item in enumerate(_items(body)))
    elif tag in PARTS:
        yield from (((part,), _fields(body)[part]) for part in PARTS[tag])
    elif tag == "obj":
        yield from ((("fields", key), value) for key, value in _fields(_fields(body)["fields"]).items())
    elif tag in {"arr", "call"}:
        key = "items" if tag == "arr" else "args"
        yield from (((key, index), item) for index, item in enumerate(_items(_fields(body)[key])))


def _items(body: object) -> list[object]:
    assert isinstance(body, list)
    return body


def _fields(body: object) -> dict[str, object]:
    assert isinstance(body, dict)
    return body
