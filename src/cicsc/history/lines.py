"""Cutting JSON Lines into whole lines, a bounded piece at a time."""

from __future__ import annotations

from collections.abc import Iterator

from cicsc.errors import InputError
from cicsc.history import texts
from cicsc.history.texts import Lines, too_long


def line_batches(chunks: Iterator[bytes], name: str, first: int = 1) -> Iterator[Lines]:
    """Yield the lines of some chunks of text in batches; a line may end in LF or CR LF, the last one in nothing.

    `first` is the number of the first line. Whoever counts the lines of a batch tells it, which saves doing it here.

    Raises InputError for a line that is too long, and for an array in place of lines.
    """
    tail: list[bytes] = []
    number = first
    for chunk in chunks:
        tail.append(chunk)
        if b"\n" not in chunk:  # a long line, which is not to be joined again and again
            if sum(map(len, tail)) > texts.TEXT_BYTES_MAX:
                raise too_long(f"{name} line {number}")
            continue
        data = b"".join(tail)
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        if len(data) > texts.TEXT_BYTES_MAX:
            _check_lengths(data, number, name)
        end = data.rindex(b"\n") + 1
        tail = [data[end:]] if end < len(data) else []
        lines = Lines(data[:end], number)
        if number == 1 and lines.data[: lines.data.index(b"\n")].strip() == b"[":
            raise _array(name)
        yield lines
        number += lines.data.count(b"\n") if lines.count is None else lines.count
    if tail:
        yield Lines(b"".join(tail) + b"\n", number)


def _check_lengths(data: bytes, number: int, name: str) -> None:
    for offset, line in enumerate(data.split(b"\n")):
        if len(line) > texts.TEXT_BYTES_MAX:
            raise too_long(f"{name} line {number + offset}")


def _array(name: str) -> InputError:
    return InputError(
        "JSON_INVALID",
        f"cannot decode {name} at line 1: expected one event per line, found the beginning of an array",
        hint="give a file that holds one JSON array a name that ends in .json",
    )
