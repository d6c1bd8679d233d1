"""What a guard and a payload can read, and what a host may supply."""

from __future__ import annotations

from typing import Any

import pytest

from cicsc.errors import InputError, UsageError
from cicsc.runtime.host import host_environment
from cicsc.runtime.program import CommandProgram, compile_application
from conformance.runtime.bank import ACTOR, NOW, STATE, bank, call, command, field, payload, text

ATTRS = {"balance": 5, "state": "hidden"}


def compiled(guard: Any, emits: dict[str, Any] | None = None) -> CommandProgram:
    return compile_application(bank(ask=command(guard, emits or {})))["Account"].commands["ask"]


def arguments(given: dict[str, object] | None = None, **host) -> tuple[object, ...]:
    return ("Account", "7", "open", 99, ATTRS, {"latest": 3}, 1_000, "ann", given or {}, host_environment(host))


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (NOW, 1_000),
        (ACTOR, "ann"),
        (STATE, "open"),
        (field("input", "amount"), 8),
        (field("input", "missing"), None),
        (field("attrs", "balance"), 5),
        (field("attrs", "latest"), 3),
        (field("row", "entity_id"), "7"),
        (field("row", "entity_type"), "Account"),
        (field("row", "state"), "open"),
        (field("row", "updated_ts"), 99),
        (field("row", "attrs_json"), ATTRS),
        (field("row", "latest"), 3),
        (payload("amount"), None),
        ({"var": {"e_type": True}}, None),
        ({"var": {"arg": {"name": "a"}}}, None),
    ],
)
def test_what_can_be_read(node: Any, value: object) -> None:
    guard = {"eq": [node, field("input", "same")]}
    given = {"amount": 8, "same": value}
    program = compiled(guard, {"opened": {"seen": node}})

    assert program.guard(*arguments(given))
    assert program.emits[0].payload(*arguments(given)) == {"seen": value}


def test_payload_without_fields_is_empty() -> None:
    assert compiled(STATE, {"opened": {}}).emits[0].payload(*arguments()) == {}


@pytest.mark.parametrize("function", ["has_role", "role_of", "auth_ok", "allowed", "constraint"])
def test_host_is_asked(function: str) -> None:
    guard = {"eq": [call(function, ACTOR, text("x")), text("ann x")]}

    assert compiled(guard).guard(*arguments(**{function: lambda *words: " ".join(words)}))
    assert not compiled(guard).guard(*arguments())


def test_answers_that_are_no_json_are_refused() -> None:
    guard = compiled(call("has_role", ACTOR)).guard

    with pytest.raises(InputError, match="the answer of host function 'has_role'"):
        guard(*arguments(has_role=lambda _: object()))


def test_function_that_no_guard_can_call_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        host_environment({"has_rolle": len})

    assert caught.value.code == "UNKNOWN_HOST_FUNCTION"
    assert "did you mean 'has_role'?" in caught.value.message


@pytest.mark.parametrize("name", ["__class__", "environment", "'); import os; ('", "input", "\n"])
def test_names_of_a_bundle_stay_constants(name: str) -> None:
    program = compiled({"is_null": field("input", name)}, {"opened": {name: text(name)}})

    assert program.guard(*arguments())
    assert program.emits[0].payload(*arguments()) == {name: name}
