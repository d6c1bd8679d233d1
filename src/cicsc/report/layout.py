"""The pieces that summaries are made of: headline, marked line, indented text, table, command.

All text passes through `printable`, and none is read as markup. Nothing here is wider than the
terminal but the command to type, which must stay whole to be copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct
from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.style import Style
from rich.table import Table
from rich.text import Text

from cicsc.report.invocation import Invocation
from cicsc.report.printable import printable

Mark = Literal["ok", "FAILED", "skipped", "note"]

_STYLES: Final[dict[Mark, str]] = {"ok": "green", "FAILED": "bold red", "skipped": "yellow", "note": "yellow"}
_MARK_WIDTH: Final = 9
_NARROW: Final = 60
"""Columns below which details are set in less deep."""


class Marked(Struct, frozen=True):
    """A line that opens with a mark: ok, FAILED, skipped or note."""

    mark: Mark
    text: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Write the line; what does not fit goes on under its own beginning."""
        first = Text(f"  {self.mark.ljust(_MARK_WIDTH)}", style=_STYLES[self.mark])
        for line in _wrapped(Text(printable(self.text)), console, options, len(first)):
            yield first + line
            first = Text(" " * len(first))


class Detail(Struct, frozen=True):
    """A text under another line; with a bullet where it is one of several, set in `deep` under a marked line."""

    text: str
    bullet: bool = False
    deep: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Write the text, set in under the line it belongs to."""
        indent = 2 if not self.deep else 4 if options.max_width < _NARROW else 2 + _MARK_WIDTH
        first, rest = " " * indent + ("- " if self.bullet else ""), " " * (indent + (2 if self.bullet else 0))
        for line in _wrapped(Text(printable(self.text)), console, options, len(rest)):
            yield Text(first) + line
            first = rest


class Typed(Struct, frozen=True):
    """A command to type, broken at its flags where it is too long, and nowhere else."""

    command: Invocation

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Write the command as the shell takes it."""
        for line in self.command.lines(options.max_width - 2):
            yield Text(f"  {line}", style="bold", no_wrap=True, overflow="ignore")


class Rows(Struct, frozen=True):
    """A table of rows, each with a mark for one of its cells; where the terminal is narrow, a list of them."""

    names: tuple[str, ...]
    rows: Sequence[tuple[Mark, tuple[str, ...]]]
    marked: int
    numbers: frozenset[int] = frozenset()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Write the table, or the list."""
        if options.max_width < _NARROW:
            yield from self._list()
            return
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
        for number, name in enumerate(self.names):
            table.add_column(name, justify="right" if number in self.numbers else "left", overflow="fold")
        for mark, cells in self.rows:
            table.add_row(
                *(styled(cell, mark) if number == self.marked else plain(cell) for number, cell in enumerate(cells))
            )
        yield table

    def _list(self) -> Iterator[RenderableType]:
        for _, (first, *cells) in self.rows:
            yield plain(first)
            said = (f"{name} {cell}" for name, cell in zip(self.names[1:], cells, strict=True) if cell)
            yield Detail(", ".join(said), deep=False)


def headline(subject: str, verdict: str, mark: Mark) -> Text:
    """Return the first line: what it is about, and the verdict."""
    return Text(f"{printable(subject)}: ") + Text(
        printable(verdict), style=Style(bold=True) + Style.parse(_STYLES[mark])
    )


def styled(text: str, mark: Mark) -> Text:
    """Return a text in the colour of a mark."""
    return Text(printable(text), style=_STYLES[mark], overflow="fold")


def plain(text: str = "") -> Text:
    """Return a line of plain text, or an empty one."""
    return Text(printable(text), overflow="fold")


def next_step(text: str, command: Invocation | None = None) -> Iterator[RenderableType]:
    """Say what to do next, with the command to type."""
    yield plain()
    yield Text("next: ", style="bold") + plain(text)
    if command is not None:
        yield Typed(command)


def comparison(rows: Iterable[tuple[str, str, str, bool]], names: tuple[str, str, str]) -> Table:
    """Return a table of fields before and after; a row that is marked stands out."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    table.add_column("")
    for name in names:
        table.add_column(name, overflow="fold")
    for field, before, after, marked in rows:
        style = "bold red" if marked else ""
        table.add_row("  >" if marked else "", *map(plain, (field, before, after)), style=style)
    return table


def _wrapped(text: Text, console: Console, options: ConsoleOptions, indent: int) -> Iterable[Text]:
    """Break a text into lines that leave room for `indent` columns."""
    lines = text.wrap(console, max(options.max_width - indent, 8), overflow="fold")
    return lines or [Text()]
