"""How a call is parsed: click's parser, made strict, with every complaint turned into a `UsageError`.

Beyond click, a flag given twice, a flag without a value and all missing flags at once are refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, Final

import click
from click.core import ParameterSource

from cicsc.cli.suggestion import closest
from cicsc.errors import UsageError
from cicsc.report.invocation import Invocation
from cicsc.report.printable import shown_url

SUMMARY: Final = "cicsc.summary"
"""Where the root context keeps the choice of `--summary`."""

METRICS: Final = "cicsc.metrics"
"""Where it keeps the path of `--metrics-out`."""

FIGURES: Final = "cicsc.figures"
"""Where it keeps the line of figures that is said at the end of long work."""

LINES: Final = "cicsc.lines"
"""Where it keeps the `LineOutput` of a verb that has begun to print JSON Lines."""


_DIGITS_MAX: Final = 19
"""Digits of the largest integer of 64 bits."""

_SECONDS_MIN: Final = 0.001
_SECONDS_MAX: Final = 30 * 24 * 3600
"""Bounds of a duration: those of a pause, which `cicsc.store.lease` keeps."""

_MAY_BE_EMPTY: Final = frozenset({"--actor", "--id", "--type"})
"""Flags whose value may be the empty string; elsewhere it is the sign of a shell variable that is not set."""


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
            f"{_flag_of(param)} is {value!r}, expected {' or '.join(self.words)}",
            hint=_did_you_mean(str(value), self.words) or f"one of: {', '.join(self.words)}",
        )


class Integer(click.ParamType[int]):
    """A whole number of at most 64 bits, of at least `least`."""

    name = "integer"

    def __init__(self, least: int = -(2**63)) -> None:
        self.least = least

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> int:
        """Return the integer, or refuse anything but an optional sign and ASCII digits."""
        number = integer(str(value))
        if number is None or number < self.least:
            expected = "an integer" if self.least < 0 else f"an integer from {self.least} on"
            raise UsageError(
                "INVALID_VALUE",
                f"{_flag_of(param)} is {value!r}, expected {expected} of at most 64 bits",
                hint=_digits_hint(str(value)),
            )
        return number


class Milliseconds(click.ParamType[int]):
    """A moment: an integer of milliseconds since the epoch, of at most 64 bits."""

    name = "milliseconds"

    def convert(self, value: Any, param: click.Parameter | None, _ctx: click.Context | None) -> int:
        """Return the integer, or refuse anything but an optional sign and ASCII digits."""
        number = integer(str(value))
        if number is not None:
            return number
        raise UsageError(
            "INVALID_VALUE",
            f"{_flag_of(param)} is {value!r}, expected milliseconds since the epoch, an integer of at most 64 bits",
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
            "INVALID_VALUE", f"{_flag_of(param)} is {value!r}, expected a seq, an integer from 0, of at most 64 bits"
        )


def integer(text: str) -> int | None:
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


class Alternative(click.Option):
    """A flag that is required unless another is given: one that stands `instead` of it, or that makes it needless."""

    def __init__(
        self, *args: Any, instead: str | None = None, needless_with: str | None = None, **attributes: Any
    ) -> None:
        super().__init__(*args, **attributes)
        self.instead = instead
        self.other = instead or needless_with

    def is_missing(self, given: Callable[[click.Parameter], bool], params: Iterable[click.Parameter]) -> bool:
        """Tell whether neither the flag nor the other one is given."""
        return not any(given(param) for param in params if param is self or self.other in param.opts)


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
            f"{_flag_of(param)} is {value!r}, expected seconds, from {_SECONDS_MIN} to {_SECONDS_MAX}",
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
            f"{_flag_of(param)} is {value!r}, expected a whole number from {self.least} to {self.most}",
            hint=_digits_hint(text),
        )


class Verb(click.Command):
    """A command of the group, strict about its flags."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments of the call; raises UsageError."""
        _refuse_undecodable(args)
        self._refuse_swallowed(ctx, args)
        given, _, order = self._read(ctx, args)
        if not any(param.is_eager for param in order):  # --help wins over whatever else is wrong
            self._refuse_repeated(order)
            self._refuse_empty(given)
            self._refuse_missing(ctx, given)
        return super().parse_args(ctx, args)

    def _read(self, ctx: click.Context, args: Sequence[str]) -> tuple[dict[str, Any], list[str], list[Any]]:
        """Read the arguments without judging them; what click refuses here carries the context."""
        try:
            return self.make_parser(ctx).parse_args(list(args))
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def _refuse_swallowed(self, ctx: click.Context, args: Sequence[str]) -> None:
        """Refuse a flag that would take the next flag as its value."""
        options = {
            name: param for param in self.get_params(ctx) if isinstance(param, click.Option) for name in param.opts
        }
        for flag, value in pairwise(args):
            if flag in options and not options[flag].is_flag and value in options:
                raise UsageError("EMPTY_FLAG", f"{flag} has no value, {value} follows it", hint=_see(self.name))

    def _refuse_repeated(self, order: Sequence[click.Parameter]) -> None:
        seen = set()
        for param in order:
            if param in seen and isinstance(param, click.Option) and not param.multiple:
                raise UsageError("REPEATED_FLAG", f"{param.opts[0]} is given more than once", hint="give it once")
            seen.add(param)

    def _refuse_empty(self, given: dict[str, Any]) -> None:
        for param in self.params:
            if param.opts[0] in _MAY_BE_EMPTY:
                continue
            value = given.get(param.name or "")
            if value == "" or (isinstance(value, list | tuple) and "" in value):
                raise UsageError("EMPTY_FLAG", f"{_flag_of(param)} is empty", hint="is a shell variable unset?")

    def _refuse_missing(self, ctx: click.Context, values: dict[str, Any]) -> None:
        def given(param: click.Parameter) -> bool:
            value = values.get(param.name or "")
            return isinstance(value, str | tuple | list) or param.resolve_envvar_value(ctx) is not None

        missing = []
        for param in self.params:
            if isinstance(param, Alternative) and param.is_missing(given, self.params):
                missing.append(_flag_of(param) + (f" or {param.instead}" if param.instead else ""))
            elif param.required and not given(param):
                missing.append(_flag_of(param) + _of_environment(param))
        if missing:
            raise UsageError("MISSING_FLAG", f"{self.name} needs {', '.join(missing)}", hint=_see(self.name))


class Verbs(click.Group):
    """The group of all verbs; `homes` names the module of each, which is imported when the verb is asked for."""

    command_class = Verb

    def __init__(self, *args: Any, homes: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.homes = homes

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click calls it)
        """Return the names of the verbs."""
        return sorted(self.homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click calls it)
        """Import a verb, None where there is no such."""
        home = self.homes.get(cmd_name)
        if home is None:
            return None
        command = getattr(import_module(home), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the verb; raises UsageError where there is no verb."""
        _refuse_undecodable(args)
        rest = super().parse_args(ctx, args)
        if not args:
            raise UsageError("MISSING_COMMAND", "no command is given", hint=f"one of: {', '.join(self.homes)}")
        return rest

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; raises UsageError for an unknown one."""
        if args[0] not in self.homes:
            raise UsageError(
                "UNKNOWN_COMMAND",
                f"there is no command {args[0]!r}",
                hint=_did_you_mean(args[0], self.homes) or _see(None),
            )
        return super().resolve_command(ctx, args)


def usage_error(error: click.UsageError) -> UsageError:
    """Say in our words what click refuses."""
    verb = error.ctx.info_name if error.ctx is not None and error.ctx.parent is not None else None
    if isinstance(error, click.NoSuchOption):
        params = [] if error.ctx is None else error.ctx.command.params
        known = [name[2:] for param in params for name in param.opts if name.startswith("--")]
        hint = _did_you_mean(error.option_name.lstrip("-"), known, "--") or _see(verb)
        return UsageError("UNKNOWN_FLAG", f"{verb or 'cicsc'} has no flag {error.option_name}", hint=hint)
    if isinstance(error, click.BadOptionUsage):
        message = error.message.replace("Option ", "flag ").rstrip(".")
        return UsageError("EMPTY_FLAG", f"{verb or 'cicsc'}: {message}", hint=_see(verb))
    message = error.format_message().rstrip(".")
    return UsageError("USAGE", f"{verb or 'cicsc'}: {message[:1].lower()}{message[1:]}", hint=_see(verb))


def invocation(ctx: click.Context) -> Invocation:
    """Return the call as it was made, for suggesting the next one."""
    words: list[tuple[str, str | None]] = []
    for param in ctx.command.params:
        name = param.name or ""
        value = ctx.params.get(name)
        if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE or not param.expose_value:
            continue
        flag = param.opts[0] if isinstance(param, click.Option) else ""
        match value:
            case True:
                words.append((flag, None))
            case str() if flag == "--store":
                words.append((flag, shown_url(value)))
            case float():
                words.append((flag, str(int(value)) if value.is_integer() else str(value)))
            case tuple() | list():
                words.extend((flag, str(item)) for item in value)
            case _:
                words.append((flag, str(value)))
    return Invocation(ctx.info_name or "", tuple(words))


def _flag_of(param: click.Parameter | None) -> str:
    if param is None:
        return "the value"
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def _of_environment(param: click.Parameter) -> str:
    """Say what in the environment may stand for a missing flag, or that it does but is empty."""
    name = param.envvar
    if not isinstance(name, str):
        return ""
    return f" ({name} is empty)" if os.environ.get(name) == "" else f" (or {name})"


def _did_you_mean(name: str, known: Iterable[str], prefix: str = "") -> str | None:
    """Suggest a known name, which is compared without the prefix that all of them have, since that likens any two."""
    close = closest(name, known)
    return None if close is None else f"did you mean {prefix}{close}?"


def _see(verb: str | None) -> str:
    return "see: cicsc --help" if verb is None else f"see: cicsc {verb} --help"


def _refuse_undecodable(args: Sequence[str]) -> None:
    """Refuse arguments that no report could repeat."""
    for arg in args:
        try:
            arg.encode()
        except UnicodeEncodeError:
            raise UsageError(
                "ARGUMENT_NOT_TEXT",
                f"argument {arg!a} is not valid UTF-8",
                hint="rename the file, or give the name as UTF-8",
            ) from None
