"""`history-replay`: what a history folds to, as JSON Lines."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from cicsc.cli import options
from cicsc.cli.history_source import with_history
from cicsc.cli.machine import LineOutput
from cicsc.cli.outcome import OK, Outcome
from cicsc.cli.progress import metered
from cicsc.cli.verb import LINES, Alternative, Verb
from cicsc.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType


@click.command("history-replay", cls=Verb, short_help="Print the snapshots that a history folds to.")
@options.together(*options.history)
@click.option(
    "--bundle",
    metavar="BUNDLE",
    cls=Alternative,
    needless_with="--store",
    help="The bundle to replay with; with --store it is the active one.",
)
@click.option("--type", "entity_type", metavar="TYPE", help="Only the entity of this type; with --id.")
@click.option("--id", "entity_id", metavar="ID", help="Only the entity with this id; with --type.")
@click.option("--steps", is_flag=True, help="The snapshot after every event; with --type and --id.")
@options.workers
@options.metrics_out
@options.summary
@click.pass_context
def history_replay(
    ctx: click.Context, /, entity_type: str | None, entity_id: str | None, *, steps: bool, **given: Any
) -> Outcome:
    """Print the snapshots that a history folds to, one JSON object per line.

    All entities by default; one with --type and --id, step by step with --steps. Where something
    could not be replayed, a last line carries ok false and the error.
    """
    entity = _entity(entity_type, entity_id, steps=steps)
    source = with_history(ctx, given)

    from cicsc.operations.replay_history import replay_history  # noqa: PLC0415 (start-up: help must not load the operations)

    output = ctx.find_root().meta[LINES] = LineOutput()
    with metered(ctx, prints_lines=True) as progress:
        snapshots = replay_history(**source, entity=entity, steps=steps, progress=progress)
        count = _print(snapshots, output)

    def summary() -> RenderableType:
        from cicsc.report.text import replay_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return replay_summary(count)

    return Outcome(OK, summary=summary)


def _entity(entity_type: str | None, entity_id: str | None, *, steps: bool) -> tuple[str, str] | None:
    """Return the entity that was asked for; raises UsageError for half of one."""
    if entity_type is not None and entity_id is not None:
        return (entity_type, entity_id)
    if entity_type is None and entity_id is None and not steps:
        return None
    given = "--steps" if entity_type is None and entity_id is None else "--id" if entity_type is None else "--type"
    lacking = " and ".join(flag for flag, value in (("--type", entity_type), ("--id", entity_id)) if value is None)
    raise UsageError("MISSING_FLAG", f"history-replay: {given} needs {lacking}", hint="name one entity by both")


def _print(snapshots: Iterator[Any], output: LineOutput) -> int:
    """Write a line for each snapshot and return how many there were; the history is closed in any case."""
    import msgspec  # noqa: PLC0415 (start-up: help encodes nothing)

    encoder = msgspec.json.Encoder()
    count = 0
    with closing(snapshots):  # type: ignore[type-var]
        for snapshot in snapshots:
            output.write(encoder.encode(snapshot) + b"\n")
            count += 1
    return count
