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

from cicsc.cli.suggestion import did_you_mean
from cicsc.cli.values import flag_of
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


_MAY_BE_EMPTY: Final = frozenset({"--actor", "--id", "--type"})
"""Flags whose value may be the empty string; elsewhere it is the sign of a shell variable that is not set."""


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
                raise UsageError("EMPTY_FLAG", f"{flag_of(param)} is empty", hint="is a shell variable unset?")

    def _refuse_missing(self, ctx: click.Context, values: dict[str, Any]) -> None:
        def given(param: click.Parameter) -> bool:
            value = values.get(param.name or "")
            return isinstance(value, str | tuple | list) or param.resolve_envvar_value(ctx) is not None

        missing = []
        for param in self.params:
            if isinstance(param, Alternative) and param.is_missing(given, self.params):
                missing.append(flag_of(param) + (f" or {param.instead}" if param.instead else ""))
            elif param.required and not given(param):
                missing.append(flag_of(param) + _of_environment(param))
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
                hint=did_you_mean(args[0], self.homes) or _see(None),
            )
        return super().resolve_command(ctx, args)


def usage_error(error: click.UsageError) -> UsageError:
    """Say in our words what click refuses."""
    verb = error.ctx.info_name if error.ctx is not None and error.ctx.parent is not None else None
    if isinstance(error, click.NoSuchOption):
        params = [] if error.ctx is None else error.ctx.command.params
        known = [name[2:] for param in params for name in param.opts if name.startswith("--")]
        hint = did_you_mean(error.option_name.lstrip("-"), known, "--") or _see(verb)
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


def _of_environment(param: click.Parameter) -> str:
    """Say what in the environment may stand for a missing flag, or that it does but is empty."""
    name = param.envvar
    if not isinstance(name, str):
        return ""
    return f" ({name} is empty)" if os.environ.get(name) == "" else f" (or {name})"


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
