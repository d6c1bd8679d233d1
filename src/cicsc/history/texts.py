"""Pieces of JSON text, one value each, with the place they come from.

Between the readers of text formats and `intake`, which decodes. A batch keeps the places of all
its texts in a few numbers, since only those with a fault are ever named.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from cicsc.errors import InputError

TEXT_BYTES_MAX: Final = 16 * 1024 * 1024
"""Bytes of the text of one event. Decoded, a text can take twenty times its size of memory."""


class TextBatch(Struct, frozen=True):
    """Texts in the order of the input; blank ones stand for lines to be skipped.

    `first` is the number of the first: its line (from 1), or its index (from 0) where `lines` tells
    the line of each. `joined` is all of them, each ended by a line feed, where they come that way. Where some lines
    are left out, `offsets` tells how many lines after `first` each text stands.
    """

    texts: list[bytes]
    first: int
    lines: list[int] | None = None
    joined: bytes | None = None
    offsets: list[int] | None = None

    def line(self, offset: int) -> int:
        """Return the line on which a text of the batch begins."""
        if self.lines is not None:
            return self.lines[offset]
        return self.first + (offset if self.offsets is None else self.offsets[offset])

    def origin(self, name: str, offset: int) -> str:
        """Name the input, and the index of a text of the batch where it has one."""
        return name if self.lines is None else f"{name} index {self.first + offset}"

    def place(self, name: str, offset: int) -> str:
        """Name the place of a text of the batch, for people."""
        return f"{self.origin(name, offset)} line {self.line(offset)}"


class Lines(Struct):
    """Whole lines, each ended by a line feed; `first` is the number of the first, from 1.

    `count` is how many they are, where somebody has counted them.
    """

    data: bytes
    first: int
    count: int | None = None

    def batch(self) -> TextBatch:
        """Return the lines as a batch of texts."""
        return TextBatch(self.data[:-1].split(b"\n"), self.first, joined=self.data)


def too_long(place: str) -> InputError:
    """Make the error for a text that exceeds TEXT_BYTES_MAX."""
    return InputError(
        "TEXT_TOO_LONG",
        f"cannot read {place}: expected an event of at most {TEXT_BYTES_MAX} bytes, found a longer one",
        hint="check that the file is JSON Lines (one event per line) or one JSON array of events",
    )
