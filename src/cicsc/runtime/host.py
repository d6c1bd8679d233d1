"""What a host supplies to guards: functions by the names that the language admits, answers held to JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cicsc.errors import UsageError
from cicsc.expression import suggestion
from cicsc.expression.grammar import HOST_FUNCTIONS
from cicsc.history.plain import plain_value

HostFunction = Callable[..., object]


def host_environment(host: Mapping[str, HostFunction] | None) -> dict[str, object]:
    """Return the environment of guards, in which the functions of the host stand.

    What a function raises passes through. Raises UsageError for a function that no guard can call.
    """
    return {"host": {name: _checked(name, function) for name, function in (host or {}).items()}}


def _checked(name: str, function: HostFunction) -> HostFunction:
    """Let only JSON values into an expression, which is defined on nothing else."""
    if name not in HOST_FUNCTIONS:
        raise UsageError(
            "UNKNOWN_HOST_FUNCTION",
            f"no guard can call {name!r}{suggestion(name, HOST_FUNCTIONS)}",
            hint=f"one of: {', '.join(sorted(HOST_FUNCTIONS))}",
        )

    def call(*arguments: object) -> object:
        return plain_value(function(*arguments), f"the answer of host function {name!r}")

    return call
