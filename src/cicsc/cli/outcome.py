"""What a command comes to: its exit code, the machine output, and the summary for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import RenderableType

OK: Final = 0
VERDICT_NO: Final = 1
CALL_WRONG: Final = 2
NOT_DONE: Final = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is left to say when the work is over.

    `document` are the bytes for standard output. `summary` makes the text for a terminal, only when
    somebody reads it; `message` is a plain text for standard error, terminal or not.
    """

    exit_code: int
    document: bytes = b""
    summary: Callable[[], RenderableType] | None = None
    message: str | None = None


def verdict(*, ok: bool, document: bytes, summary: Callable[[], RenderableType]) -> Outcome:
    """Return the outcome of an operation that came to a verdict."""
    return Outcome(OK if ok else VERDICT_NO, document, summary)
