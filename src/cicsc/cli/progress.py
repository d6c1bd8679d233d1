"""What a verb gives its operation to tell its progress to; on a terminal it is shown, and figures stay.

It is loaded with the help of every verb, so it loads what measures and shows only when work begins.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cicsc.cli.people import shows_progress
from cicsc.cli.verb import FIGURES, METRICS, SUMMARY

if TYPE_CHECKING:
    from cicsc.cli.display import Display
    from cicsc.cli.meter import Meter
    from cicsc.cli.tenants_meter import TenantsMeter

_OUTPUTS: Final = ("--artifact", "--out-events", "--out-positions")
_INPUTS: Final = ("--events", "--from", "--to", "--bundle")


@contextmanager
def metered(ctx: click.Context, *, prints_lines: bool = False) -> Iterator[Meter]:
    """Give what an operation is to tell; when the block ends well the figures are written where they are asked for.

    A verb that `prints_lines` shows nothing while these go to a terminal, too. Raises UsageError where the
    figures would overwrite what the call names, and WorkError where they cannot be written.
    """
    from cicsc.cli.meter import SHOWN_AFTER_S, Meter  # noqa: PLC0415 (start-up: help measures nothing)

    metrics_out = ctx.find_root().meta.get(METRICS)
    shown = shows_progress(str(ctx.find_root().meta.get(SUMMARY, "auto")))
    with ExitStack() as stack:
        file = None
        if metrics_out is not None:
            from cicsc.durable import whole_file  # noqa: PLC0415 (start-up)

            _guard(ctx, metrics_out)
            file = stack.enter_context(whole_file(metrics_out))
        meter = Meter(_display if shown and not (prints_lines and sys.stdout.isatty()) else None)
        stack.callback(meter.close)
        yield meter
        meter.close()
        if file is not None:
            file.write(meter.figures(ctx.info_name or "").to_json())
        if shown and meter.seconds() >= SHOWN_AFTER_S:
            ctx.find_root().meta[FIGURES] = meter.figures(ctx.info_name or "").line()


@contextmanager
def tenants_metered(ctx: click.Context, *, at_once: bool) -> Iterator[TenantsMeter]:
    """Give what a cutover is to tell; a last line says what it took, where people see how far it is."""
    from cicsc.cli.meter import SHOWN_AFTER_S  # noqa: PLC0415 (start-up: help measures nothing)
    from cicsc.cli.tenants_meter import TenantsMeter  # noqa: PLC0415

    shown = shows_progress(str(ctx.find_root().meta.get(SUMMARY, "auto")))
    meter = TenantsMeter(_display if shown else None, at_once=at_once)
    try:
        yield meter
    finally:
        meter.close()
    if shown and meter.seconds() >= SHOWN_AFTER_S:
        ctx.find_root().meta[FIGURES] = meter.line(ctx.info_name or "")


def _guard(ctx: click.Context, metrics_out: str) -> None:
    """Refuse to overwrite what the call reads or writes."""
    from cicsc.operations.sources import guard_outputs, store_files  # noqa: PLC0415 (start-up)

    given = {param.opts[0]: ctx.params.get(param.name or "") for param in ctx.command.params}
    store = given.get("--store")
    files = store_files(store) if isinstance(store, str) else {}
    inputs = {**{flag: given.get(flag) for flag in _INPUTS}, **files}
    outputs = {flag: Path(path) for flag in _OUTPUTS if isinstance(path := given.get(flag), str)}
    guard_outputs(inputs, {**outputs, "--metrics-out": Path(metrics_out)})


def _display(label: str = "") -> Display:
    from cicsc.cli.display import Display  # noqa: PLC0415 (rich is slow to load)

    return Display(label)
