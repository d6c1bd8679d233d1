"""Splitting one JSON array into the texts of its elements, without ever holding the array.

Where an object is followed by another, the first guess at its end is mostly right, and quickly
proven. Any other element is scanned token by token. What it holds is checked later, by `intake`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec

from cicsc.decoding import MAX_NESTING
from cicsc.errors import InputError
from cicsc.history import texts
from cicsc.history.texts import TextBatch, too_long

_BATCH_TEXTS_MAX: Final = 4096
_BATCH_BYTES_MAX: Final = 1024 * 1024
_FILL_BYTES: Final = 1024 * 1024
"""What is left of an element in the window is copied when more enters, so as much enters again, up to so many bytes."""

_GUESSES_MAX: Final = 4
_GUESS_BYTES_MAX: Final = 64 * 1024
_BUNDLE_KEY: Final = b'"core_ir"'
_BUNDLE_BYTES_MAX: Final = 4096
"""By its first key, or soon after, a bundle that is given for a history can be told."""

_QUOTE: Final = ord('"')

_match_space: Final = re.compile(rb"[ \t\n\r]*").match
_match_scalar: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[^\s"\[\]{},][^\s\[\]{},]*+', re.DOTALL).match
_find_seams: Final = re.compile(rb"\}[ \t\n\r]*,[ \t\n\r]*\{").finditer
_find_brackets: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL).finditer
_skip_value: Final = msgspec.json.Decoder(msgspec.Raw).decode


def array_batches(chunks: Iterator[bytes], name: str) -> Iterator[TextBatch]:
    """Yield the elements of an array in batches.

    Raises InputError for what is no array, does not end, goes on after its end, or has an element
    that is too long.
    """
    splitter = _Splitter(chunks, name)
    splitter.open()
    elements = splitter.elements()
    first = 0
    fault: InputError | None = None
    while fault is None:
        found: list[bytes] = []
        lines: list[int] = []
        try:
            _gather(elements, found, lines)
        except InputError as error:
            fault = error
        if not found:
            break
        yield TextBatch(found, first, lines)
        first += len(found)
    if fault is not None:
        raise fault  # Only now, since what is wrong inside an earlier element explains more.


def _gather(elements: Iterator[tuple[int, bytes]], found: list[bytes], lines: list[int]) -> None:
    size = 0
    for line, text in elements:
        found.append(text)
        lines.append(line)
        size += len(text)
        if len(found) >= _BATCH_TEXTS_MAX or size >= _BATCH_BYTES_MAX:
            return


class _Splitter:
    """A window over the text: what was consumed leaves it, what is needed enters it."""

    def __init__(self, chunks: Iterator[bytes], name: str) -> None:
        self._chunks = chunks
        self._name = name
        self._window = b""
        self._at = 0
        self._line = 1
        self._index = 0

    def open(self) -> None:
        """Consume the opening bracket."""
        if self._next_byte() != b"[":
            raise self._error("expected a JSON array", hint=self._other_hint())
        self._consume(1)

    def elements(self) -> Iterator[tuple[int, bytes]]:
        """Yield each element with its line, and check what stands between and after them."""
        byte = self._next_byte()
        while byte != b"]":
            if byte == b"":
                raise self._ended()
            text = (self._guessed() if byte == b"{" else None) or self._scanned()
            if len(text) > texts.TEXT_BYTES_MAX:
                raise too_long(self._place())
            yield self._line, text
            self._consume(len(text))
            self._index += 1
            byte = self._next_byte()
            if byte == b",":
                self._consume(1)
                byte = self._next_byte()
                if byte == b"]":
                    raise self._error("expected another element after the comma")
            elif byte not in (b"]", b""):
                raise self._error("expected ',' or ']' after an element")
        self._consume(1)
        if self._next_byte() != b"":
            raise self._error("expected nothing after the array")

    def _guessed(self) -> bytes | None:
        """Return an object that ends where the next one seems to begin, if it does."""
        limit = self._at + _GUESS_BYTES_MAX
        for seam in islice(_find_seams(self._window, self._at, limit), _GUESSES_MAX):
            text = self._window[self._at : seam.start() + 1]
            try:
                _skip_value(text)
            except (msgspec.MsgspecError, RecursionError):
                continue
            return text
        return None

    def _scanned(self) -> bytes:
        """Return the element up to the token that ends it."""
        if self._window[self._at] in b"{[":
            return self._scanned_container()
        match = _match_scalar(self._window, self._at)
        while match is None or match.end() == len(self._window):
            if match is None and self._window[self._at] != _QUOTE:
                raise self._error("expected an element")
            if not self._fill():
                raise self._ended()
            match = _match_scalar(self._window, self._at)
        return match[0]

    def _scanned_container(self) -> bytes:
        depth = 0
        at = self._at
        while True:
            for token in _find_brackets(self._window, at):
                if token.end() == len(self._window) and token[0][:1] == b'"':
                    break  # The string may go on in the next chunk.
                at = token.end()
                if token[0][:1] == b'"':
                    continue
                depth += 1 if token[0] in b"{[" else -1
                if depth == 0:
                    return self._window[self._at : at]
                if depth > MAX_NESTING:
                    raise self._error(f"expected at most {MAX_NESTING} levels of nesting", code="JSON_NESTING")
            scanned = at - self._at
            if not self._fill():
                raise self._ended()
            at = self._at + scanned

    def _other_hint(self) -> str:
        """Say what to do about a document that is no array."""
        if _BUNDLE_KEY in self._window[self._at : self._at + _BUNDLE_BYTES_MAX]:
            return "is this a bundle, perhaps? --events is for the history"
        return "give JSON Lines a name that ends in .jsonl"

    def _next_byte(self) -> bytes:
        """Consume space; return the byte after it, or nothing at the end of the input."""
        while True:
            match = _match_space(self._window, self._at)
            assert match is not None
            self._consume(len(match[0]))
            if self._at < len(self._window):
                return self._window[self._at : self._at + 1]
            if not self._fill():
                return b""

    def _consume(self, size: int) -> None:
        self._line += self._window.count(b"\n", self._at, self._at + size)
        self._at += size

    def _fill(self) -> bool:
        """Let the next chunks enter the window, and what was consumed leave it."""
        if len(self._window) - self._at > texts.TEXT_BYTES_MAX:
            raise too_long(self._place())
        rest = self._window[self._at :]
        pieces, size, wanted = [rest], 0, min(max(len(rest), 1), _FILL_BYTES)
        while size < wanted and (chunk := next(self._chunks, b"")):
            pieces.append(chunk)
            size += len(chunk)
        self._window = b"".join(pieces)
        self._at = 0
        return size > 0

    def _place(self) -> str:
        return f"{self._name} index {self._index} line {self._line}"

    def _ended(self) -> InputError:
        what = f"expected the array to be closed by ']', found the end of the input at index {self._index}"
        hint = "the file is incomplete; copy it again from where it came"
        return InputError("JSON_INVALID", f"cannot decode {self._name} at line {self._line}: {what}", hint=hint)

    def _error(self, expected: str, *, code: str = "JSON_INVALID", hint: str | None = None) -> InputError:
        found = self._window[self._at : self._at + 1].decode(errors="replace")
        return InputError(code, f"cannot decode {self._place()}: {expected}, found {found!r}", hint=hint)
