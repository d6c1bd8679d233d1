"""The input of a command: what is taken, and every problem with its place."""

from __future__ import annotations

import pickle

import pytest

from cicsc.errors import CommandInputError
from cicsc.runtime.inputs import PROBLEMS_SHOWN_MAX, checked_input
from cicsc.runtime.program import CommandProgram, compile_application
from conformance.runtime.bank import bank, command

TRUE = {"lit": {"bool": True}}


def declaring(**fields) -> CommandProgram:
    return compile_application(bank(ask=command(TRUE, {}, **fields)))["Account"].commands["ask"]


def problems(program: CommandProgram, given: dict[str, object]) -> dict[str, str]:
    with pytest.raises(CommandInputError) as caught:
        checked_input(program, given)
    assert caught.value.code == "INPUT_INVALID"
    assert all(problem.message in caught.value.message for problem in caught.value.problems[:PROBLEMS_SHOWN_MAX])
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("kind", "value", "taken"),
    [
        ("string", "", ""),
        ("int", 3, 3),
        ("int", 3.0, 3),
        ("int", -(10**30), -(10**30)),
        ("float", 3, 3),
        ("float", 0.5, 0.5),
        ("bool", False, False),
        ("time", 2**63 - 1, 2**63 - 1),
        ("time", -1.0, -1),
        ("enum", "anything", "anything"),
        ("json", None, None),
        ("json", {"a": [1]}, {"a": [1]}),
        (None, None, None),
        (None, 7, 7),
    ],
)
def test_values_that_fit(kind: str | None, value: object, taken: object) -> None:
    found = checked_input(declaring(a={} if kind is None else {"type": kind}), {"a": value})

    assert found == {"a": taken}
    assert type(found["a"]) is type(taken)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("string", 1, "expected a string, found the integer 1"),
        ("string", None, "expected a string, found nothing"),
        ("int", True, "expected an integer, found true"),
        ("int", 0.5, "expected an integer, found the number 0.5"),
        ("int", "1", "expected an integer, found a string"),
        ("float", False, "expected a number, found false"),
        ("float", [], "expected a number, found an array"),
        ("bool", 1, "expected true or false, found the integer 1"),
        ("bool", None, "expected true or false, found nothing"),
        ("time", 2**63, "expected milliseconds since the epoch, an integer of at most 64 bits"),
        ("time", 0.5, "expected milliseconds since the epoch, an integer of at most 64 bits"),
        ("enum", 1, "expected a string, found the integer 1"),
    ],
)
def test_values_that_do_not_fit(kind: str, value: object, message: str) -> None:
    assert problems(declaring(a={"type": kind}), {"a": value})["$.a"].startswith(message)


def test_enum_names_its_values_and_the_closest_but_not_what_was_given() -> None:
    message = problems(declaring(a={"type": "enum", "values": ["cash", "wire"]}), {"a": "csh"})["$.a"]

    assert message == "expected one of 'cash', 'wire', found another string, did you mean 'cash'?"


def test_default_stands_in_for_what_is_absent_or_null() -> None:
    program = declaring(a={"type": "int", "default": 4}, b={"default": [1]})

    assert checked_input(program, {}) == {"a": 4, "b": [1]}
    assert checked_input(program, {"a": None, "b": None}) == {"a": 4, "b": None}


def test_default_of_the_wrong_type_is_a_problem() -> None:
    assert problems(declaring(a={"type": "int", "default": "x"}), {}) == {"$.a": "expected an integer, found a string"}


def test_optional_fields_may_be_left_out() -> None:
    program = declaring(a={"type": "int", "optional": True})

    assert checked_input(program, {}) == checked_input(program, {"a": None}) == {}


def test_every_problem_is_named() -> None:
    found = problems(declaring(amount={"type": "int"}, note={"type": "string"}), {"amuont": 1, "note": 2, "x y": 3})

    assert found == {
        "$.amount": "expected an integer, found nothing",
        "$.note": "expected a string, found the integer 2",
        "$.amuont": "the command declares no such field, did you mean 'amount'?",
        '$["x y"]': "the command declares no such field",
    }


def test_message_is_cut_and_the_error_is_whole() -> None:
    with pytest.raises(CommandInputError) as caught:
        checked_input(declaring(), {f"f{number}": 1 for number in range(PROBLEMS_SHOWN_MAX + 3)})

    assert caught.value.message.endswith("; and 3 more")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), again.problems, again.exit_code) == (CommandInputError, caught.value.problems, 2)
