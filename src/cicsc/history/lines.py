"""Splitting JSON Lines into the texts of its events, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

from cicsc.errors import InputError
from cicsc.history import texts
from cicsc.history.texts import TextBatch, too_long


def line_batches(chunks: Iterator[bytes], name: str, first: int = 1) -> Iterator[TextBatch]:
    """Yield the lines of some chunks of text in batches; a line may end in LF or CR LF.

    `first` is the number of the first line.

    Raises InputError for a line that is too long, and for an array in place of lines.
    """
    tail = b""
    number = first
    for chunk in chunks:
        data = tail + chunk
        if b"\r" in chunk or tail.endswith(b"\r"):
            data = data.replace(b"\r\n", b"\n")
        lines = data.split(b"\n")
        if len(data) > texts.TEXT_BYTES_MAX:
            _check_lengths(lines, number, name)
        tail = lines.pop()
        if lines:
            if number == 1 and lines[0].strip() == b"[":
                raise _array(name)
            yield TextBatch(lines, number, joined=data[: len(data) - len(tail)])
            number += len(lines)
    if tail:
        yield TextBatch([tail], number)


def _check_lengths(lines: list[bytes], number: int, name: str) -> None:
    for offset, line in enumerate(lines):
        if len(line) > texts.TEXT_BYTES_MAX:
            raise too_long(f"{name} line {number + offset}")


def _array(name: str) -> InputError:
    return InputError(
        "JSON_INVALID",
        f"cannot decode {name} at line 1: expected one event per line, found the beginning of an array",
        hint="give a file that holds one JSON array a name that ends in .json",
    )
