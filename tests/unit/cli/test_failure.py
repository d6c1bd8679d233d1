"""From exceptions to outcomes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cicsc.cli.failure import PROBLEMS_MAX, failure, interrupted
from cicsc.cli.outcome import Outcome
from cicsc.errors import BundleError, HistoryError, InputError, Problem, UsageError, WorkError


def document(outcome: Outcome) -> dict[str, Any]:
    return dict(json.loads(outcome.document))


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (UsageError("A", "a"), 2),
        (InputError("B", "b"), 2),
        (HistoryError("C", "c"), 1),
        (WorkError("D", "d", hint="h"), 3),
    ],
)
def test_known_errors_keep_code_message_hint_and_exit_code(error: Any, exit_code: int) -> None:
    outcome = failure(error)

    assert outcome.exit_code == exit_code
    assert document(outcome) == {
        "ok": False,
        "error": {"code": error.code, "message": error.message, "hint": error.hint},
    }


def test_bundle_error_lists_problems_up_to_the_cap() -> None:
    problems = tuple(Problem(f"$.a[{number}]", "wrong") for number in range(PROBLEMS_MAX + 1))
    found = document(failure(BundleError("bad", problems)))

    assert found["problems"][0] == {"path": "$.a[0]", "message": "wrong"}
    assert (len(found["problems"]), found["problems_total"]) == (PROBLEMS_MAX, PROBLEMS_MAX + 1)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MemoryError(), "OUT_OF_MEMORY", "memory"),
        (RecursionError(), "TOO_DEEP", "nested too deeply"),
        (OSError(28, "No space left on device", "x"), "SYSTEM_ERROR", "No space left on device ('x')"),
        (ValueError("boom"), "INTERNAL_ERROR", "unexpected ValueError: boom"),
    ],
)
def test_other_exceptions_are_work_not_done(error: Exception, code: str, message: str) -> None:
    outcome = failure(error)
    found = document(outcome)["error"]

    assert (outcome.exit_code, found["code"]) == (3, code)
    assert message in found["message"]
    assert found["hint"]


def test_messages_with_lone_surrogates_can_be_printed() -> None:
    assert document(failure(InputError("A", "file \udce9")))["error"]["message"] == "file \\udce9"


def test_traceback_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("boom")
    raised = caught.value
    monkeypatch.delenv("CICSC_DEBUG", raising=False)
    assert "Traceback" not in (failure(raised).message or "")
    monkeypatch.setenv("CICSC_DEBUG", "1")
    assert "Traceback" in (failure(raised).message or "")


def test_interrupt_on_one_line_for_json_lines() -> None:
    outcome = interrupted("SIGINT", one_line=True)

    assert outcome.exit_code == 3
    assert outcome.document.count(b"\n") == 1
    assert document(outcome)["error"]["code"] == "INTERRUPTED"
