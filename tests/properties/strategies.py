"""What the properties draw: JSON values, expressions over the whole grammar, and environments.

Names, paths and values come from small pools, so that an expression usually finds what it reads;
each name has a usual kind (`n` a number, `l` a list) that is broken now and then. Every expression
has the depth it was asked for at most, and most operands are of the kind that their operator wants.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

BIG = 10**999
EDGE_INTEGERS = (
    0,
    1,
    2,
    -1,
    3,
    7,
    10,
    -5,
    2**53,
    2**53 + 1,
    2**63,
    -(2**64) - 1,
    BIG,
    BIG * 10 - 1,
    -BIG,
    10**308,
    10**309,
)
EDGE_FLOATS = (
    0.0,
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
    123456.789,
)
EDGE_TEXTS = (
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

NUMBER_NAMES = ("n", "m", "amount")
TEXT_NAMES = ("s", "t", "severity")
LIST_NAMES = ("l",)
OBJECT_NAMES = ("o",)
TRUTH_NAMES = ("b",)
ODD_NAMES = ("", "state", "entity_id", "left.n", "a.b", "__class__", "0", "naïve 😀", "missing", 'it"s', "{x}")
NAMES = NUMBER_NAMES + TEXT_NAMES + LIST_NAMES + OBJECT_NAMES + TRUTH_NAMES + ODD_NAMES
SEGMENTS = (*NAMES, "0", "1", "2", "007", "-1", "²", "٣", "9" * 30, "", "..")

KINDS = ("number", "text", "truth", "list", "object")


def integers() -> st.SearchStrategy[int]:
    """Integers with the edges of every representation among them."""
    return st.one_of(st.integers(-20, 20), st.sampled_from(EDGE_INTEGERS), st.integers())


def floats() -> st.SearchStrategy[float]:
    """Finite doubles."""
    return st.one_of(st.sampled_from(EDGE_FLOATS), st.floats(allow_nan=False, allow_infinity=False))


def numbers() -> st.SearchStrategy[int | float]:
    """Numbers of both kinds."""
    return st.one_of(st.integers(-20, 20), integers(), floats())


def texts() -> st.SearchStrategy[str]:
    """Short strings, with escapes, controls and characters beyond the basic plane."""
    return st.one_of(st.sampled_from(EDGE_TEXTS), st.text(max_size=6))


def scalars() -> st.SearchStrategy[Any]:
    """Values that hold no others."""
    return st.one_of(st.none(), st.booleans(), numbers(), texts())


def json_values(leaves_max: int = 6) -> st.SearchStrategy[Any]:
    """Any JSON value, nested a little."""
    return st.recursive(
        scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=3), inner, max_size=3),
        ),
        max_leaves=leaves_max,
    )


@cache
def values_of(kind: str) -> st.SearchStrategy[Any]:
    """Values of one kind."""
    if kind == "number":
        return numbers()
    if kind == "text":
        return texts()
    if kind == "truth":
        return st.booleans()
    if kind == "list":
        return st.lists(json_values(3), max_size=4)
    return st.dictionaries(st.sampled_from(NAMES), json_values(3), max_size=4)


def kind_of(name: str) -> str | None:
    """The usual kind of what a name holds."""
    for kind, names in zip(KINDS, (NUMBER_NAMES, TEXT_NAMES, TRUTH_NAMES, LIST_NAMES, OBJECT_NAMES), strict=True):
        if name in names:
            return kind
    return None


def field_values(name: str) -> st.SearchStrategy[Any]:
    """What a field of this name holds: its usual kind three times out of four."""
    kind = kind_of(name)
    if kind is None:
        return json_values(3)
    usual = values_of(kind)
    return st.one_of(usual, usual, usual, json_values(3))


@cache
def records() -> st.SearchStrategy[dict[str, Any]]:
    """Objects over the pool of names: payloads, attributes, rows."""
    return st.fixed_dictionaries({}, optional={name: field_values(name) for name in NAMES})


@cache
def environments() -> st.SearchStrategy[dict[str, Any]]:
    """Environments that hold any part of what can be read."""
    return st.fixed_dictionaries(
        {"attrs": records(), "row": records(), "e_payload": records()},
        optional={
            "now": integers(),
            "actor": texts(),
            "state": texts(),
            "input": records(),
            "arg": records(),
            "rows_count": st.integers(0, 5),
            "agg": records(),
            "e_type": texts(),
            "e_actor": texts(),
            "e_time": integers(),
            "payload": records(),
        },
    )


def literals(kind: str | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Literal nodes; lists and objects have none."""
    by_kind: dict[str | None, st.SearchStrategy[dict[str, Any]]] = {
        "number": st.one_of(
            st.builds(lambda v: {"lit": {"int": v}}, integers()), st.builds(lambda v: {"lit": {"float": v}}, floats())
        ),
        "text": st.builds(lambda v: {"lit": {"string": v}}, texts()),
        "truth": st.builds(lambda v: {"lit": {"bool": v}}, st.booleans()),
    }
    if kind in by_kind:
        return by_kind[kind]
    return st.one_of(st.just({"lit": {"null": True}}), *by_kind.values())


def paths(names: tuple[str, ...] = NAMES) -> st.SearchStrategy[str]:
    """Paths that start at a name of the pool and often go on."""
    first = st.sampled_from(names)
    return st.one_of(
        first,
        st.builds(lambda a, b: ".".join((a, *b)), first, st.lists(st.sampled_from(SEGMENTS), max_size=2)),
        st.lists(st.sampled_from(SEGMENTS), max_size=3).map(".".join),
    )


def variables(kind: str | None = None) -> st.SearchStrategy[dict[str, Any]]:
    """Variable nodes whose name is of the wanted kind."""
    names = tuple(name for name in NAMES if kind is None or kind_of(name) == kind)
    fields = st.sampled_from(names)
    choices = [
        st.builds(lambda v, f: {"var": {v: {"field": f}}}, st.sampled_from(("attrs", "row", "input")), fields),
        st.builds(lambda v, f: {"var": {v: {"path": f}}}, st.sampled_from(("e_payload", "payload")), paths(names)),
        st.builds(lambda v, f: {"var": {v: {"name": f}}}, st.sampled_from(("arg", "agg")), fields),
    ]
    flags = {"number": ("now", "e_time", "rows_count"), "text": ("actor", "state", "e_type", "e_actor")}
    wanted = flags.get(kind, ()) if kind else flags["number"] + flags["text"]
    if wanted:
        choices.append(st.sampled_from(wanted).map(lambda v: {"var": {v: True}}))
    return st.one_of(choices)


@cache
def expressions(kind: str | None = None, depth: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    """Expressions that mostly give values of the kind (any, without one), at most `depth` levels deep."""
    leaves = st.one_of(variables(kind), literals(kind))
    if depth <= 1:
        return leaves
    if kind is None:
        return st.one_of(*(expressions(each, depth) for each in KINDS))
    operations = st.one_of(*CONSTRUCTS[kind](depth - 1), *_of_any_kind(kind, depth - 1))
    return st.one_of(leaves, operations, operations)


def operand(kind: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """An operand of the kind that an operator wants, or sometimes of any."""
    wanted = expressions(kind, depth)
    return st.one_of(wanted, wanted, wanted, expressions(None, depth))


def _pair(tags: tuple[str, ...], side: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda tag, a, b: {tag: [a, b]}, st.sampled_from(tags), side, side)


def _call(functions: tuple[str, ...], argument: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda fn, arg: {"call": {"fn": fn, "args": [arg]}}, st.sampled_from(functions), argument)


def _of_any_kind(kind: str, depth: int) -> tuple[st.SearchStrategy[dict[str, Any]], ...]:
    wanted = operand(kind, depth)
    return (
        st.builds(
            lambda cond, then, other: {"if": {"cond": cond, "then": then, "else": other}},
            expressions(None, depth),
            wanted,
            wanted,
        ),
        st.lists(wanted, max_size=3).map(lambda items: {"coalesce": items}),
        st.builds(
            lambda expr, path: {"get": {"expr": expr, "path": path}},
            st.one_of(operand("object", depth), operand("list", depth)),
            paths(),
        ),
    )


def _numbers(depth: int) -> tuple[st.SearchStrategy[dict[str, Any]], ...]:
    number = operand("number", depth)
    mapping = st.dictionaries(texts(), numbers(), max_size=4)
    return (
        _pair(("add", "sub", "mul", "div"), number),
        _pair(("add", "sub", "mul", "div"), number),
        _pair(("time_between",), number),
        _call(("int", "float"), number),
        _call(("len",), st.one_of(operand("list", depth), operand("text", depth))),
        st.builds(
            lambda expr, mapped: {"map_enum": {"expr": expr, "mapping": mapped}}, operand("text", depth), mapping
        ),
    )


def _texts(depth: int) -> tuple[st.SearchStrategy[dict[str, Any]], ...]:
    return (_call(("str",), expressions(None, depth)),)


def _truths(depth: int) -> tuple[st.SearchStrategy[dict[str, Any]], ...]:
    anything = expressions(None, depth)
    return (
        _pair(("lt", "le", "gt", "ge"), operand("number", depth)),
        *(_pair(("eq", "ne"), expressions(kind, depth)) for kind in KINDS),
        _pair(("eq", "ne"), anything),
        anything.map(lambda node: {"eq": [node, node]}),
        st.builds(lambda tag, items: {tag: items}, st.sampled_from(("and", "or")), st.lists(anything, max_size=3)),
        st.builds(lambda tag, node: {tag: node}, st.sampled_from(("not", "bool", "is_null")), anything),
        st.builds(
            lambda needle, haystack: {"in": {"needle": needle, "haystack": haystack}}, anything, operand("list", depth)
        ),
        st.builds(
            lambda expr, path: {"has": {"expr": expr, "path": path}},
            st.one_of(operand("object", depth), operand("list", depth)),
            paths(),
        ),
    )


def _lists(depth: int) -> tuple[st.SearchStrategy[dict[str, Any]], ...]:
    return (st.lists(expressions(None, depth), max_size=3).map(lambda items: {"arr": {"items": items}}),)


def _objects(depth: int) -> tuple[st.SearchStrategy[dict[str, Any]], ...]:
    fields = st.dictionaries(st.sampled_from(NAMES), expressions(None, depth), max_size=3)
    return (fields.map(lambda entries: {"obj": {"fields": entries}}),)


CONSTRUCTS = {"number": _numbers, "text": _texts, "truth": _truths, "list": _lists, "object": _objects}
