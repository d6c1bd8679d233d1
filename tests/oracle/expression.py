"""What an expression means: one function per construct, straight from the description.

An environment is a mapping with any of these keys: now, actor, state, input, attrs, row, arg,
rows_count, agg, e_type, e_actor, e_time, e_payload, payload. What is missing reads as null, the
state as the empty string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from oracle.values import (
    MISSING,
    add,
    built,
    div,
    equal,
    is_number,
    mul,
    nearest_double,
    step,
    sub,
    text,
    truncated,
    truth,
)

Environment = Mapping[str, Any]

ARITHMETIC = {"add": add, "sub": sub, "mul": mul, "div": div}
SCALAR_VARIABLES = ("now", "actor", "rows_count", "e_type", "e_actor", "e_time")
FIELD_VARIABLES = {"input": "field", "attrs": "field", "row": "field", "arg": "name", "agg": "name"}
PATH_VARIABLES = ("e_payload", "payload")


def interpret(node: Any, env: Environment) -> Any:
    """The value of an expression in an environment."""
    assert isinstance(node, dict)
    assert len(node) == 1, f"an expression is an object with one key, found {node!r}"
    [(tag, body)] = node.items()
    if tag in ARITHMETIC:
        return ARITHMETIC[tag](interpret(body[0], env), interpret(body[1], env))
    return CONSTRUCTS[tag](body, env)


def _lit(body: dict[str, Any], env: Environment) -> object:
    [(kind, value)] = body.items()
    return None if kind == "null" else value


def _var(body: dict[str, Any], env: Environment) -> object:
    [(name, argument)] = body.items()
    if name == "state":
        return env.get("state", "")
    if name in SCALAR_VARIABLES:
        return env.get(name)
    assert isinstance(argument, dict)
    if name in PATH_VARIABLES:
        found = step(env.get(name), argument["path"])
        return None if found is MISSING else found
    holder = env.get(name)
    assert holder is None or isinstance(holder, Mapping)
    return (holder or {}).get(argument[FIELD_VARIABLES[name]])


def _get(body: dict[str, Any], env: Environment) -> object:
    found = step(interpret(body["expr"], env), str(body["path"]))
    return None if found is MISSING else found


def _has(body: dict[str, Any], env: Environment) -> object:
    return step(interpret(body["expr"], env), str(body["path"])) is not MISSING


def _obj(body: dict[str, dict[str, Any]], env: Environment) -> object:
    return built({name: interpret(node, env) for name, node in body["fields"].items()})


def _arr(body: dict[str, list[Any]], env: Environment) -> object:
    return built([interpret(node, env) for node in body["items"]])


def _not(body: Any, env: Environment) -> object:
    return not truth(interpret(body, env))


def _bool(body: Any, env: Environment) -> object:
    return truth(interpret(body, env))


def _and(body: list[Any], env: Environment) -> object:
    return all(truth(interpret(node, env)) for node in body)


def _or(body: list[Any], env: Environment) -> object:
    return any(truth(interpret(node, env)) for node in body)


def _if(body: dict[str, Any], env: Environment) -> object:
    return interpret(body["then"] if truth(interpret(body["cond"], env)) else body["else"], env)


def _coalesce(body: list[Any], env: Environment) -> object:
    for node in body:
        value = interpret(node, env)
        if value is not None:
            return value
    return None


def _is_null(body: Any, env: Environment) -> object:
    return interpret(body, env) is None


def _eq(body: list[Any], env: Environment) -> object:
    return equal(interpret(body[0], env), interpret(body[1], env))


def _ne(body: list[Any], env: Environment) -> object:
    return not equal(interpret(body[0], env), interpret(body[1], env))


def _comparison(compare: Callable[[float, float], bool]) -> Callable[[list[Any], Environment], object]:
    def compared(body: list[Any], env: Environment) -> object:
        a, b = interpret(body[0], env), interpret(body[1], env)
        return compare(a, b) if is_number(a) and is_number(b) else None

    return compared


def _in(body: dict[str, Any], env: Environment) -> object:
    needle, haystack = interpret(body["needle"], env), interpret(body["haystack"], env)
    return any(equal(needle, item) for item in haystack) if isinstance(haystack, list) else None


def _time_between(body: list[Any], env: Environment) -> object:
    return truncated(sub(interpret(body[1], env), interpret(body[0], env)))


def _map_enum(body: dict[str, Any], env: Environment) -> object:
    value, mapping = interpret(body["expr"], env), body["mapping"]
    assert isinstance(mapping, dict)
    return mapping.get(value) if isinstance(value, str) else None


def _call(body: dict[str, Any], env: Environment) -> object:
    arguments = body["args"]
    assert isinstance(arguments, list)
    [value] = [interpret(node, env) for node in arguments]
    function = body["fn"]
    if function == "len":
        return len(value) if isinstance(value, (str, list)) else None
    if function == "str":
        return text(value)
    if function == "int":
        return truncated(value)
    assert function == "float", f"the host functions are not part of the oracle: {function}"
    return nearest_double(value) if is_number(value) else None


CONSTRUCTS: dict[str, Callable[..., object]] = {
    "lit": _lit,
    "var": _var,
    "get": _get,
    "has": _has,
    "obj": _obj,
    "arr": _arr,
    "not": _not,
    "bool": _bool,
    "and": _and,
    "or": _or,
    "if": _if,
    "coalesce": _coalesce,
    "is_null": _is_null,
    "eq": _eq,
    "ne": _ne,
    "lt": _comparison(lambda a, b: a < b),
    "le": _comparison(lambda a, b: a <= b),
    "gt": _comparison(lambda a, b: a > b),
    "ge": _comparison(lambda a, b: a >= b),
    "in": _in,
    "time_between": _time_between,
    "map_enum": _map_enum,
    "call": _call,
}

__all__ = ["CONSTRUCTS", "Environment", "interpret"]
