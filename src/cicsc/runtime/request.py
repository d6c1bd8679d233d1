"""What is asked of a runtime, held to what JSON and a store can hold before any store is asked."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from cicsc.errors import UsageError
from cicsc.history.model import INTEGER_MAX, INTEGER_MIN, StreamKey
from cicsc.history.plain import plain_value
from cicsc.runtime.result import request_digest


class Request(Struct, frozen=True):
    """A command for an entity, by whom and when; `digest` covers all that must be the same when it is repeated."""

    key: StreamKey
    command: str
    input: Mapping[str, object]
    actor: str
    now: int | None
    command_id: str | None
    expected_seq: int | None
    digest: str


def make_request(
    key: StreamKey,
    command: str,
    given: Mapping[str, object],
    *,
    actor: str,
    now: int | None,
    command_id: str | None,
    expected_seq: int | None,
) -> Request:
    """Return the request, with a copy of the input; raises UsageError, and InputError for what is no JSON."""
    texts = dict(zip(("tenant_id", "entity_type", "entity_id"), key, strict=True))
    texts |= {"command": command, "actor": actor}
    if command_id is not None:
        texts["command_id"] = command_id
    for name, text in texts.items():
        _require_text(name, text)
    if command_id == "":
        raise UsageError("INVALID_VALUE", "command_id is empty", hint="give each request an id of its own, or none")
    require_integer("now", now, INTEGER_MIN)
    require_integer("expected_seq", expected_seq, 0)
    if not isinstance(given, Mapping):
        raise UsageError("INVALID_VALUE", f"input is of type {type(given).__name__}, expected an object")
    held = plain_value(dict(given), "the input")
    assert isinstance(held, dict)
    # The tenant is left out: receipts are kept by tenant.
    digest = request_digest(key[1], key[2], command, held, actor)
    return Request(key, command, held, actor, now, command_id, expected_seq, digest)


def _require_text(name: str, text: object) -> None:
    if type(text) is not str:
        raise UsageError("INVALID_VALUE", f"{name} is of type {type(text).__name__}, expected a string")
    plain_value(text, name)


def require_integer(name: str, number: object, least: int) -> None:
    """Raise UsageError for what is neither None nor an integer from `least` on, of 64 bits."""
    if number is not None and not (type(number) is int and least <= number <= INTEGER_MAX):
        raise UsageError("INVALID_VALUE", f"{name} is {number!r}, expected an integer from {least} to {INTEGER_MAX}")
