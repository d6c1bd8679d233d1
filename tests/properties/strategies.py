"""What the properties draw: JSON values, expressions over the whole grammar, and environments.

Names, paths and values come from small pools, so that an expression usually finds what it reads;
each name has a usual kind (`n` a number, `l` a list) that is broken now and then. Most operands are
of the kind that their operator wants. An environment is drawn for an expression and holds, mostly,
what that expression reads.

The generators are plain recursive functions that take one primitive choice at a time, since nested
strategies of this size are many times slower to build and to draw from. Choices come from
Hypothesis, which simplifies a failure, or from a seed, which gives far more cases in the same time.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, ClassVar, Protocol

from hypothesis import strategies as st

Node = dict[str, Any]

BIG = 10**999
EDGE_INTEGERS = (2**53, 2**53 + 1, 2**63, -(2**64) - 1, BIG, BIG * 10 - 1, -BIG, 10**308, 10**309, -(10**400))
EDGE_FLOATS = (
    -0.0,
    0.5,
    1.0,
    -1.5,
    2.0,
    0.1,
    1e-7,
    1e21,
    2.0**53,
    1.7976931348623157e308,
    -1e308,
    5e-324,
    1e-5,
    99.875,
)
TEXTS = (
    "",
    "a",
    "b",
    "low",
    "high",
    "0",
    "1",
    "é",
    "𝄞clef",
    "ｚ",
    "line\nbreak",
    'quote"\\',
    "\x00\x1f\x7f",
    "__class__",
)

NAMES_BY_KIND = {
    "number": ("n", "m", "amount"),
    "text": ("s", "t", "severity"),
    "truth": ("b",),
    "list": ("l",),
    "object": ("o",),
}
ODD_NAMES = ("", "state", "entity_id", "left.n", "a.b", "__class__", "0", "naïve 😀", "missing", 'it"s', "{x}")
NAMES = tuple(name for names in NAMES_BY_KIND.values() for name in names) + ODD_NAMES
KIND_OF = {name: kind for kind, names in NAMES_BY_KIND.items() for name in names}
KINDS = tuple(NAMES_BY_KIND)
SEGMENTS = (*NAMES, "0", "1", "2", "007", "-1", "²", "٣", "9" * 30, "9" * 5000, "")

FIELD_VARIABLES = {"attrs": "field", "row": "field", "input": "field", "arg": "name", "agg": "name"}
PATH_VARIABLES = ("e_payload", "payload")
FLAG_VARIABLES = {
    "now": "number",
    "e_time": "number",
    "rows_count": "number",
    "actor": "text",
    "state": "text",
    "e_type": "text",
    "e_actor": "text",
}

_INDEX = cache(lambda size: st.integers(0, size - 1))
_ANY_INTEGER = st.integers()
_ANY_FLOAT = st.floats(allow_nan=False, allow_infinity=False)
_ANY_TEXT = st.text(max_size=6)


class Draw(Protocol):
    """Where choices come from: all that a generator below asks for."""

    def index(self, size: int) -> int:
        """A number from 0 to size - 1."""

    def integer(self) -> int:
        """Any integer."""

    def double(self) -> float:
        """Any finite double."""

    def text(self) -> str:
        """Any short text."""


class Hypothesis:
    """Choices that Hypothesis makes, remembers and simplifies."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self._draw = draw

    def index(self, size: int) -> int:
        return int(self._draw(_INDEX(size)))

    def integer(self) -> int:
        return int(self._draw(_ANY_INTEGER))

    def double(self) -> float:
        return float(self._draw(_ANY_FLOAT))

    def text(self) -> str:
        return str(self._draw(_ANY_TEXT))


class Seeded:
    """Choices that follow from one seed: many times faster, more even, and never simplified."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def index(self, size: int) -> int:
        return int(self._random.random() * size)

    def integer(self) -> int:
        return self._random.getrandbits(self._random.randrange(1, 200)) * self._random.choice((1, -1))

    def double(self) -> float:
        (value,) = struct.unpack("<d", self._random.randbytes(8))
        return float(value) if math.isfinite(value) else 0.25

    def text(self) -> str:
        points = (self._random.choice((0x7F, 0xFFFF, 0x10FFFF)) for _ in range(self._random.randrange(6)))
        codes = (self._random.randrange(limit) for limit in points)
        return "".join(chr(code) for code in codes if not 0xD800 <= code < 0xE000)


def pick(draw: Draw, options: Sequence[Any]) -> Any:
    """One of the options."""
    return options[draw.index(len(options))]


def chance(draw: Draw, one_in: int) -> bool:
    """True once in so many times, and never in the simplest example."""
    return bool(draw.index(one_in) == one_in - 1)


def draw_number(draw: Draw) -> int | float:
    """A number: mostly small, sometimes at an edge of a representation, sometimes anything."""
    way = draw.index(8)
    if way < 4:
        return int(draw.index(24)) - 3
    if way == 4:
        return pick(draw, EDGE_INTEGERS)  # type: ignore[no-any-return]
    if way == 5:
        return pick(draw, EDGE_FLOATS)  # type: ignore[no-any-return]
    return draw.integer() if way == 6 else draw.double()


def draw_text(draw: Draw) -> str:
    """A short string, mostly from the pool, sometimes of any characters."""
    return draw.text() if chance(draw, 4) else str(pick(draw, TEXTS))


def draw_value(draw: Draw, kind: str | None = None, depth: int = 2) -> Any:
    """A JSON value of a kind, or of any."""
    kind = kind or pick(draw, ("null", *(KINDS if depth else KINDS[:3])))
    if kind == "null":
        return None
    if kind == "number":
        return draw_number(draw)
    if kind == "text":
        return draw_text(draw)
    if kind == "truth":
        return draw.index(2) == 1
    size = draw.index(4)
    if kind == "list":
        return [draw_value(draw, None, depth - 1) for _ in range(size)]
    return {pick(draw, SEGMENTS): draw_value(draw, None, depth - 1) for _ in range(size)}


def draw_field(draw: Draw, name: str) -> Any:
    """What a field of this name holds: its usual kind three times out of four."""
    return draw_value(draw, None if chance(draw, 4) else KIND_OF.get(name))


def draw_path(draw: Draw, names: Sequence[str] = NAMES) -> str:
    """A path that starts at one of the names and sometimes goes on."""
    segments = [pick(draw, names)]
    while len(segments) < 4 and chance(draw, 3):
        segments.append(pick(draw, SEGMENTS))
    return ".".join(segments)


def draw_leaf(draw: Draw, kind: str | None) -> Node:
    """A literal or a variable, of the kind where there is one."""
    if kind not in {"list", "object"} and draw.index(4) == 0:
        return draw_literal(draw, kind)
    return draw_variable(draw, kind)


def draw_literal(draw: Draw, kind: str | None) -> Node:
    """A literal; lists and objects have none."""
    kind = kind or pick(draw, ("null", "truth", "number", "text"))
    if kind == "null":
        return {"lit": {"null": True}}
    value = draw_value(draw, kind)
    return {"lit": {{bool: "bool", int: "int", float: "float", str: "string"}[type(value)]: value}}


def draw_variable(draw: Draw, kind: str | None, variables: Sequence[str] | None = None) -> Node:
    """A variable whose name is of the kind."""
    names = NAMES_BY_KIND[kind] if kind else NAMES
    flags = tuple(name for name, flag_kind in FLAG_VARIABLES.items() if kind in {None, flag_kind})
    variable = pick(draw, variables or ("attrs", "e_payload", "row", *FIELD_VARIABLES, *PATH_VARIABLES, *flags))
    if variable in FIELD_VARIABLES:
        return {"var": {variable: {FIELD_VARIABLES[variable]: pick(draw, names)}}}
    if variable in PATH_VARIABLES:
        return {"var": {variable: {"path": draw_path(draw, names)}}}
    return {"var": {variable: True}}


class Expressions:
    """Draws expressions; what a leaf may be is the caller's, so that a bundle can limit what is read."""

    def __init__(self, draw: Draw, leaf: Callable[[Draw, str | None], Node] = draw_leaf) -> None:
        self.draw = draw
        self.leaf = leaf

    def any(self, depth: int, kind: str | None = None) -> Node:
        """An expression that mostly gives a value of the kind, at most `depth` levels deep."""
        if depth <= 1 or chance(self.draw, 5):
            return self.leaf(self.draw, kind)
        return self.operation(depth, kind)

    def operation(self, depth: int, kind: str | None = None) -> Node:
        """An expression that is no leaf."""
        kind = kind or pick(self.draw, KINDS)
        makers = (*self.MAKERS[kind], Expressions.if_, Expressions.coalesce, Expressions.get)
        return pick(self.draw, makers)(self, depth - 1, kind)  # type: ignore[no-any-return]

    def operand(self, depth: int, kind: str) -> Node:
        """An operand of the kind that an operator wants, or sometimes of any."""
        return self.any(depth, None if chance(self.draw, 4) else kind)

    def several(self, depth: int, kind: str | None = None) -> list[Node]:
        """Up to three expressions."""
        return [self.any(depth, kind) for _ in range(self.draw.index(4))]

    def if_(self, depth: int, kind: str) -> Node:
        cond = self.any(depth, pick(self.draw, ("truth", None)))
        return {"if": {"cond": cond, "then": self.operand(depth, kind), "else": self.operand(depth, kind)}}

    def coalesce(self, depth: int, kind: str) -> Node:
        return {"coalesce": self.several(depth, kind)}

    def get(self, depth: int, kind: str) -> Node:
        holder = self.operand(depth, pick(self.draw, ("object", "list")))
        return {"get": {"expr": holder, "path": draw_path(self.draw, (*NAMES_BY_KIND[kind], "0", "1", ""))}}

    def arithmetic(self, depth: int, _: str) -> Node:
        tag = pick(self.draw, ("add", "sub", "mul", "div", "time_between"))
        return {tag: [self.operand(depth, "number"), self.operand(depth, "number")]}

    def number_of(self, depth: int, _: str) -> Node:
        return {"call": {"fn": pick(self.draw, ("int", "float")), "args": [self.operand(depth, "number")]}}

    def length(self, depth: int, _: str) -> Node:
        return {"call": {"fn": "len", "args": [self.operand(depth, pick(self.draw, ("text", "list")))]}}

    def map_enum(self, depth: int, _: str) -> Node:
        mapping = {draw_text(self.draw): draw_number(self.draw) for _ in range(1 + self.draw.index(5))}
        return {"map_enum": {"expr": self.operand(depth, "text"), "mapping": mapping}}

    def as_text(self, depth: int, _: str) -> Node:
        return {"call": {"fn": "str", "args": [self.any(depth)]}}

    def order(self, depth: int, _: str) -> Node:
        tag = pick(self.draw, ("lt", "le", "gt", "ge"))
        return {tag: [self.operand(depth, "number"), self.operand(depth, "number")]}

    def equality(self, depth: int, _: str) -> Node:
        kind = pick(self.draw, (*KINDS, None))
        a = self.any(depth, kind)
        return {pick(self.draw, ("eq", "ne")): [a, a if chance(self.draw, 4) else self.any(depth, kind)]}

    def junction(self, depth: int, _: str) -> Node:
        return {pick(self.draw, ("and", "or")): self.several(depth)}

    def single(self, depth: int, _: str) -> Node:
        return {pick(self.draw, ("not", "bool", "is_null")): self.any(depth)}

    def member(self, depth: int, _: str) -> Node:
        return {"in": {"needle": self.any(depth), "haystack": self.operand(depth, "list")}}

    def has(self, depth: int, _: str) -> Node:
        holder = self.operand(depth, pick(self.draw, ("object", "list")))
        return {"has": {"expr": holder, "path": draw_path(self.draw, (*NAMES, "0", "1"))}}

    def list_of(self, depth: int, _: str) -> Node:
        return {"arr": {"items": self.several(depth)}}

    def object_of(self, depth: int, _: str) -> Node:
        return {"obj": {"fields": {pick(self.draw, NAMES): self.any(depth) for _ in range(self.draw.index(4))}}}

    MAKERS: ClassVar = {
        "number": (arithmetic, arithmetic, number_of, length, map_enum),
        "text": (as_text,),
        "truth": (order, order, order, equality, equality, junction, single, member, has),
        "list": (list_of,),
        "object": (object_of,),
    }


def variables_in(node: Any) -> Iterator[tuple[str, Any]]:
    """Every variable of an expression: its name, and what it says beside the name."""
    if isinstance(node, list):
        for item in node:
            yield from variables_in(item)
    elif isinstance(node, dict):
        if set(node) == {"var"}:
            yield from node["var"].items()
        else:
            for key, item in node.items():
                if key != "lit":
                    yield from variables_in(item)


def draw_environment(draw: Draw, reads: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An environment with most of what is read, and sometimes with less."""
    env: dict[str, Any] = {}
    for name, body in reads:
        if chance(draw, 6):
            continue
        if name in FIELD_VARIABLES:
            field = body[FIELD_VARIABLES[name]]
            env.setdefault(name, {}).setdefault(field, draw_field(draw, field))
        elif name in PATH_VARIABLES:
            grow(draw, env.setdefault(name, {}), body["path"])
        elif name == "rows_count":
            env[name] = draw.index(4)
        else:
            env[name] = draw_value(draw, FLAG_VARIABLES[name])
    return env


def grow(draw: Draw, holder: dict[str, Any], path: str) -> None:
    """Put a value where a path leads, through objects and now and then a list."""
    segments = [segment for segment in path.split(".") if segment]
    if not segments:
        return
    value = draw_field(draw, segments[-1])
    for segment in reversed(segments[1:]):
        if chance(draw, 8):
            break
        value = [value, draw_value(draw, None, 1)] if segment.isdecimal() and chance(draw, 2) else {segment: value}
    holder.setdefault(segments[0], value)


def draw_case(draw: Draw, environments: int, depth: int) -> tuple[Node, list[dict[str, Any]]]:
    """An expression with some environments for it."""
    node = Expressions(draw).operation(depth)
    known = {repr(read): read for read in variables_in(node)}
    reads = [known[name] for name in sorted(known)]
    return node, [draw_environment(draw, reads) for _ in range(environments if reads else 1)]


@st.composite
def cases(draw: Callable[[st.SearchStrategy[Any]], Any], environments: int) -> tuple[Node, list[dict[str, Any]]]:
    """Small expressions with environments, which Hypothesis can simplify."""
    return draw_case(Hypothesis(draw), environments, depth=4)


def seeds() -> st.SearchStrategy[int]:
    """Seeds of `Seeded`: what a failing test reports is then one number, not a whole document."""
    return st.integers(0, 2**64 - 1)
