"""Standard error, which people read: messages in plain text, summaries laid out for the terminal.

It is a courtesy beside the machine output: where it cannot be written, nothing else fails.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cicsc.report.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType


_TRAILING: Final = re.compile(r" +((?:\x1b\[[0-9;]*m)*)$", re.MULTILINE)
"""Spaces at the end of a line, before the codes that end a colour."""


def shows_summary(mode: str) -> bool:
    """Tell whether a summary is wanted: always, never, or when standard error is a terminal."""
    if sys.stderr is None or mode == "never":
        return False
    return mode == "always" or sys.stderr.isatty()


def shows_progress(mode: str) -> bool:
    """Tell whether people see how far the work is: on a terminal, unless they want nothing said."""
    return mode != "never" and sys.stderr is not None and sys.stderr.isatty()


def say(message: str) -> None:
    """Print a plain message; whatever could control a terminal is made visible."""
    _write("".join(f"{printable(line)}\n" for line in message.split("\n")))


def show(summary: Callable[[], RenderableType]) -> None:
    """Print a summary, in colour where the terminal has it and NO_COLOR does not forbid it.

    The verdict has been printed and stands, so a summary that cannot be made only says so.
    """
    try:
        text = _rendered(summary())
    except Exception as error:  # noqa: BLE001 (any defect of the rendering; the verdict must not change by it)
        say(f"cicsc: the summary could not be rendered ({type(error).__name__}); the report above is complete")
        return
    _write(text)


def _rendered(summary: RenderableType) -> str:
    from rich.console import Console  # noqa: PLC0415 (start-up: rich is slow to load)

    console = Console(file=sys.stderr, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(summary, crop=False)
    return _TRAILING.sub(r"\1", capture.get())


def _write(text: str) -> None:
    if sys.stderr is not None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()
