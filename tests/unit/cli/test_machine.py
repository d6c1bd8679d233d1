"""Standard output: pieces, cut lines, objects."""

from __future__ import annotations

import io
import json
import sys

import pytest

from cicsc.cli import machine
from cicsc.cli.machine import LineOutput, encode


class Halting(io.BytesIO):
    """Takes some pieces, then is interrupted."""

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self._pieces = pieces

    def write(self, data: object) -> int:
        if self._pieces == 0:
            raise KeyboardInterrupt
        self._pieces -= 1
        return super().write(data)  # type: ignore[arg-type]


def halt_after(pieces: int, monkeypatch: pytest.MonkeyPatch) -> Halting:
    stream = Halting(pieces)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stream))
    return stream


@pytest.mark.parametrize(("pieces", "line", "rest"), [(0, b"short\n", b""), (1, b"x" * 20000 + b"\n", b"\n")])
def test_close_ends_a_line_only_if_it_was_cut(
    monkeypatch: pytest.MonkeyPatch, pieces: int, line: bytes, rest: bytes
) -> None:
    halt_after(pieces, monkeypatch)
    output = LineOutput()
    with pytest.raises(KeyboardInterrupt):
        output.write(line)

    assert output.close() == rest


def test_whole_lines_leave_nothing_to_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = halt_after(10, monkeypatch)
    output = LineOutput()
    output.write(b"x" * 20000 + b"\n")

    assert (output.close(), len(stream.getvalue())) == (b"", 20001)


def test_objects_are_utf8_and_end_in_a_line_feed() -> None:
    assert json.loads(encode({"a": "é"})) == {"a": "é"}
    assert encode({"a": "é"}, one_line=True) == '{"a":"é"}\n'.encode()
    assert machine.encode({"a": 1}) == b'{\n  "a": 1\n}\n'
