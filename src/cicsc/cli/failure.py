"""From what went wrong to the outcome that says so: exit code, error object, message.

Every exception that leaves a verb is turned here into one JSON object. A traceback is for our own
defects, and only for those who ask for it with CICSC_DEBUG=1.
"""

from __future__ import annotations

import os
import traceback
from typing import Final

from cicsc.cli.machine import encode
from cicsc.cli.outcome import NOT_DONE, Outcome
from cicsc.errors import BundleError, CicscError, CommandInputError, WorkError
from cicsc.report.moments import dated
from cicsc.report.printable import printable, without_passwords

PROBLEMS_MAX: Final = 100
"""Problems of a bundle that an error lists; their number is exact."""


def failure(error: BaseException, *, one_line: bool = False) -> Outcome:
    """Return the outcome of a verb that raised `error`; with `one_line` the object takes a single line."""
    known = error if isinstance(error, CicscError) else _described(error)
    document: dict[str, object] = {"ok": False, "error": error_fields(known)}
    if isinstance(known, BundleError):
        listed = known.problems[:PROBLEMS_MAX]
        document["problems"] = [{"path": _text(item.path), "message": _text(item.message)} for item in listed]
        document["problems_total"] = known.total
    elif isinstance(known, CommandInputError):
        document["problems"] = [
            {"path": _text(item.path), "message": _text(item.message)} for item in known.problems[:PROBLEMS_MAX]
        ]
        document["problems_total"] = len(known.problems)
    return Outcome(known.exit_code, encode(document, one_line=one_line), message=message_of(known, error))


def interrupted(signal_name: str, *, one_line: bool = False) -> Outcome:
    """Return the outcome of work that a signal ended."""
    error = WorkError(
        "INTERRUPTED",
        f"interrupted by {signal_name} before the work was done",
        hint="no file was left half written; the same command can be run again",
    )
    return failure(error, one_line=one_line)


def error_fields(error: CicscError) -> dict[str, object]:
    """Return the error object of a report."""
    hint = None if error.hint is None else _text(error.hint)
    return {"code": error.code, "message": _text(error.message), "hint": hint}


def _described(error: BaseException) -> CicscError:
    """Describe an exception that no layer below has turned into an error of ours."""
    match error:
        case MemoryError():
            hint = "give the process more memory, or take one tenant at a time with --tenant"
            return WorkError("OUT_OF_MEMORY", "the memory does not suffice for this work", hint=hint)
        case RecursionError():
            return WorkError(
                "TOO_DEEP", "the input is nested too deeply for this work", hint="flatten the bundle or payload"
            )
        case OSError():
            name = "" if error.filename is None else f" ({str(error.filename)!r})"
            message = f"the operating system refused: {error.strerror or error}{name}"
            return WorkError("SYSTEM_ERROR", message, hint="mind free disk space, also for temporary files (TMPDIR)")
        case _:
            message = f"unexpected {type(error).__name__}: {error}"
            hint = "this is a defect of cicsc: run again with CICSC_DEBUG=1 and report the traceback"
            return WorkError("INTERNAL_ERROR", message, hint=hint)


def message_of(known: CicscError, error: BaseException | None = None) -> str:
    """Return what people are told of an error: the message, the hint, and where it is wanted how `error` came about."""
    lines = [f"cicsc: {dated(known.message)}"]
    if known.hint is not None:
        lines.append(f"hint: {known.hint}")
    if os.environ.get("CICSC_DEBUG") == "1" and known.exit_code == NOT_DONE:
        lines.extend("".join(traceback.format_exception(error or known)).splitlines())
    return "\n".join(printable(without_passwords(line)) for line in lines)


def _text(text: str) -> str:
    """Make a text without secrets that JSON can hold: a file name that is not UTF-8 carries lone surrogates."""
    return without_passwords(text).encode("utf-8", "backslashreplace").decode()
