"""The command to type next."""

from __future__ import annotations

from cicsc.report.invocation import Invocation

CALL = Invocation(
    "migration-preflight", (("--from", "a b.json"), ("--tenant", "x"), ("--tenant", "-y"), ("--steps", None))
)


def test_one_line_where_it_fits() -> None:
    assert CALL.lines(120) == ["cicsc migration-preflight --from 'a b.json' --tenant x --tenant=-y --steps"]


def test_one_flag_a_line_where_it_does_not() -> None:
    assert CALL.lines(20) == [
        "cicsc migration-preflight \\",
        "  --from 'a b.json' \\",
        "  --tenant x \\",
        "  --tenant=-y \\",
        "  --steps",
    ]


def test_flags_are_kept_renamed_and_added() -> None:
    command = CALL.then("bundle-validate", "--from").renamed("--from", "").plus("--summary", "always")

    assert command.lines(80) == ["cicsc bundle-validate 'a b.json' --summary always"]
    assert CALL.value("--tenant") == "x"
    assert CALL.value("--events") is None


def test_standard_input_stays_a_plain_word() -> None:
    assert Invocation("v", (("--events", "-"),)).lines(5) == ["cicsc v \\", "  --events -"]
