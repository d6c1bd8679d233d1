"""A wrong call: exit code 2, one JSON object, and a message that names what to correct."""

from __future__ import annotations

import os

import pytest

from cicsc import __version__
from unit.cli.calling import Call

PREFLIGHT = ("migration-preflight", "--from", "a", "--to", "b", "--events", "c", "--migration", "d")


@pytest.mark.parametrize(
    ("words", "code", "message", "hint"),
    [
        ((), "MISSING_COMMAND", "no command", "bundle-validate"),
        (("preflight",), "UNKNOWN_COMMAND", "'preflight'", "did you mean migration-preflight?"),
        (("migration-dryrun",), "UNKNOWN_COMMAND", "'migration-dryrun'", "did you mean migration-dry-run?"),
        (("xyzzy",), "UNKNOWN_COMMAND", "'xyzzy'", "see: cicsc --help"),
        (("--versoin",), "UNKNOWN_FLAG", "cicsc has no flag --versoin", "did you mean --version?"),
        (("migration-preflight", "--form", "a"), "UNKNOWN_FLAG", "--form", "did you mean --from?"),
        (("migration-rollback", "--all"), "UNKNOWN_FLAG", "--all", "see: cicsc migration-rollback --help"),
        (("bundle-validate", "-x"), "UNKNOWN_FLAG", "-x", "see: cicsc bundle-validate --help"),
        (("migration-preflight", "--to"), "EMPTY_FLAG", "--to", "migration-preflight --help"),
        (
            ("migration-preflight", "--from", "--to", "b"),
            "EMPTY_FLAG",
            "--from has no value, --to follows it",
            "--help",
        ),
        (("migration-preflight", "--from="), "EMPTY_FLAG", "--from is empty", "shell variable"),
        ((*PREFLIGHT, "--tenant", ""), "EMPTY_FLAG", "--tenant is empty", "shell variable"),
        ((*PREFLIGHT, "--to", "e"), "REPEATED_FLAG", "--to is given more than once", "give it once"),
        ((*PREFLIGHT, "--equivalence", "every"), "INVALID_VALUE", "'every'", "did you mean every-event?"),
        ((*PREFLIGHT, "--equivalence", "q"), "INVALID_VALUE", "'q'", "one of: final, every-event"),
        ((*PREFLIGHT, "--summary", "alway"), "INVALID_VALUE", "'alway'", "did you mean always?"),
        ((*PREFLIGHT, "surplus"), "USAGE", "unexpected extra argument", "migration-preflight --help"),
        (("bundle-schema", "--summary=x"), "UNKNOWN_FLAG", "--summary", "bundle-schema --help"),
        (("history-replay", "--steps=1"), "EMPTY_FLAG", "does not take a value", "history-replay --help"),
    ],
)
def test_usage_errors(call: Call, words: tuple[str, ...], code: str, message: str, hint: str) -> None:
    said = call(*words)

    assert (said.code, said.error["code"]) == (2, code)
    assert message in said.error["message"]
    assert hint in said.error["hint"]
    assert said.error["message"] in said.err
    assert said.error["hint"] in said.err


@pytest.mark.parametrize("verb", ["migration-preflight", "migration-dry-run"])
def test_missing_flags_are_named_all_at_once(call: Call, verb: str) -> None:
    said = call(verb, "--to", "b")

    assert (said.code, said.error["code"]) == (2, "MISSING_FLAG")
    assert said.error["message"] == f"{verb} needs --from, --events or --store, --migration"


@pytest.mark.parametrize(
    "value", ["1e3", "", "1_000", "٣", "+1", "9223372036854775808", "-9223372036854775808", " 1", "--1"]
)
def test_now_takes_only_an_integer_of_64_bits(call: Call, value: str) -> None:
    said = call(*PREFLIGHT, f"--now={value}")

    assert said.code == 2
    assert said.error["code"] == ("INVALID_VALUE" if value else "EMPTY_FLAG")


@pytest.mark.parametrize("value", ["0", "-5", "9223372036854775807"])
def test_now_takes_negative_and_large_integers(call: Call, value: str) -> None:
    assert call(*PREFLIGHT, "--now", value).error["code"] == "BUNDLE_NOT_FOUND"


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "1234567", "²"])
def test_workers_that_are_no_number_are_refused(call, value):
    said = call(*PREFLIGHT, f"--workers={value}")
    assert said.error["code"] == "INVALID_VALUE"
    assert said.error["message"] == f"--workers is {value!r}, expected a whole number from 1 to 64"


def test_arguments_that_are_not_text_are_refused(call: Call) -> None:
    said = call("bundle-validate", os.fsdecode(b"caf\xe9.json"))

    assert (said.code, said.error["code"]) == (2, "ARGUMENT_NOT_TEXT")
    assert "caf" in said.error["message"]


def test_help_wins_over_missing_flags(call: Call) -> None:
    said = call("migration-preflight", "--help", "--to", "b", "--to", "c")

    assert said.code == 0
    assert said.out.startswith(b"Usage: cicsc migration-preflight")


def test_help_and_version_are_text_and_succeed(call: Call) -> None:
    assert (call("--help").code, call("--version").out) == (0, f"cicsc {__version__}\n".encode())


def test_control_characters_of_an_argument_do_not_reach_the_terminal(call: Call) -> None:
    said = call("\x1b[2Jboom\n")

    assert said.code == 2
    assert "\x1b" not in said.err
    assert "\\x1b[2Jboom\\n" in said.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--type", "Order"), "--type needs --id"),
        (("--id", "o1"), "--id needs --type"),
        (("--id", "", "--steps"), "--id needs --type"),
        (("--steps",), "--steps needs --type and --id"),
    ],
)
def test_replay_of_half_an_entity_is_refused(call: Call, words: tuple[str, ...], complaint: str) -> None:
    said = call("history-replay", "--events", "a", "--bundle", "b", *words)

    assert (said.code, said.error["code"]) == (2, "MISSING_FLAG")
    assert complaint in said.error["message"]
