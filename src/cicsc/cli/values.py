"""What the value of a flag may be: each kind of value reads its text, or refuses it with what was expected."""

from __future__ import annotations

from typing import Any, Final

import click

from cicsc.cli.suggestion import did_you_mean
from cicsc.errors import UsageError

_DIGITS_MAX: Final = 19
"""Digits of the largest integer of 64 bits."""

_SECONDS_MIN: Final = 0.001
_SECONDS_MAX: Final = 30 * 24 * 3600
"""Bounds of a duration: those of a pause, which `cicsc.store.lease` keeps."""


class Choice(click.ParamType[str]):
    """One of a few words, with a suggestion for a misspelt one."""

    name = "choice"

    def __init__(self, *words: str) -> None:
        self.words = words

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:  # noqa: ARG002 (click calls it)
        """Show the words in the help."""
        return "|".join(self.words)

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> str:
        """Return the word, or refuse another."""
        if value in self.words:
            return str(value)
        raise UsageError(
            "INVALID_VALUE",
            f"{flag_of(param)} is {value!r}, expected {' or '.join(self.words)}",
            hint=did_you_mean(str(value), self.words) or f"one of: {', '.join(self.words)}",
        )


class Integer(click.ParamType[int]):
    """A whole number of at most 64 bits, of at least `least`."""

    name = "integer"

    def __init__(self, least: int = -(2**63)) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> int:
        """Return the integer, or refuse anything but an optional sign and ASCII digits."""
        number = _integer(str(value))
        if number is None or number < self.least:
            expected = "an integer" if self.least < 0 else f"an integer from {self.least} on"
            raise UsageError(
                "INVALID_VALUE",
                f"{flag_of(param)} is {value!r}, expected {expected} of at most 64 bits",
                hint=_digits_hint(str(value)),
            )
        return number


class Milliseconds(click.ParamType[int]):
    """A moment: an integer of milliseconds since the epoch, of at most 64 bits."""

    name = "milliseconds"

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> int:
        """Return the integer, or refuse anything but an optional sign and ASCII digits."""
        number = _integer(str(value))
        if number is not None:
            return number
        raise UsageError(
            "INVALID_VALUE",
            f"{flag_of(param)} is {value!r}, expected milliseconds since the epoch, an integer of at most 64 bits",
            hint="from a date: date -d '2024-01-31 12:00 UTC' +%s000",
        )


class Seq(click.ParamType[int]):
    """The seq of an event, or 0 for none: a non-negative integer of at most 64 bits."""

    name = "seq"

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> int:
        """Return the integer, or refuse anything but ASCII digits."""
        digits = str(value)
        if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS_MAX and int(digits) < 2**63:
            return int(digits)
        raise UsageError(
            "INVALID_VALUE", f"{flag_of(param)} is {value!r}, expected a seq, an integer from 0, of at most 64 bits"
        )


def _integer(text: str) -> int | None:
    """Return the integer of at most 64 bits that a text is: an optional sign and ASCII digits."""
    if _is_in_digits(text) and len(text.removeprefix("-")) <= _DIGITS_MAX and abs(int(text)) < 2**63:
        return int(text)
    return None


def _digits_hint(text: str) -> str | None:
    """Return the hint for what is no number; one that is out of bounds is written right."""
    return None if _is_in_digits(text) else "write it in digits"


def _is_in_digits(text: str) -> bool:
    """Tell whether a text is a number of any size: an optional sign and ASCII digits."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit()


class Seconds(click.ParamType[float]):
    """A duration: a positive number of seconds, perhaps with a fraction."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> float:
        """Return the number, or refuse anything but decimal digits with at most one point."""
        if isinstance(value, float):  # a default
            return value
        text = str(value)
        whole, _, fraction = text.partition(".")
        if f"{whole}{fraction}".isascii() and f"{whole}{fraction}".isdigit() and len(text) <= _DIGITS_MAX:
            seconds = float(text)
            if _SECONDS_MIN <= seconds <= _SECONDS_MAX:
                return seconds
        raise UsageError(
            "INVALID_VALUE",
            f"{flag_of(param)} is {value!r}, expected seconds, from {_SECONDS_MIN} to {_SECONDS_MAX}",
            hint="a number without a unit, such as 90 or 2.5",
        )


class Count(click.ParamType[int]):
    """A whole number from one bound to another."""

    name = "count"

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> int:
        """Return the number, or refuse anything but ASCII digits within the bounds."""
        text = str(value)
        if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX and self.least <= int(text) <= self.most:
            return int(text)
        raise UsageError(
            "INVALID_VALUE",
            f"{flag_of(param)} is {value!r}, expected a whole number from {self.least} to {self.most}",
            hint=_digits_hint(text),
        )


def flag_of(param: click.Parameter | None) -> str:
    """Name a flag or an argument as it is typed, for a message about its value."""
    if param is None:
        return "the value"
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
