"""The command `cicsc`: its verbs, and the one place from which a call ends.

A verb returns an `Outcome`; whatever it raises becomes one. Then the report goes to standard output,
the summary to standard error, and the exit code to the caller.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Final

import click

from cicsc import __version__
from cicsc.cli.failure import failure, interrupted
from cicsc.cli.interrupts import Interrupts
from cicsc.cli.machine import LineOutput, ReaderGoneError, write
from cicsc.cli.outcome import NOT_DONE, Outcome
from cicsc.cli.people import say, show, shows_summary
from cicsc.cli.verb import FIGURES, LINES, SUMMARY, Verbs, usage_error
from cicsc.errors import WorkError

_EXIT_CODES = """\b
Exit codes:
  0  ok
  1  the verdict is no: a check failed, a bundle or history has defects,
     a rollback is unsafe, a command is refused
  2  the call is wrong, or an input cannot be decoded
  3  the work could not be done: disk full, store unreachable, interrupted
"""

_HOMES: Final = {
    "bundle-validate": "cicsc.cli.bundle_validate",
    "bundle-schema": "cicsc.cli.bundle_schema",
    "history-verify": "cicsc.cli.history_verify",
    "history-replay": "cicsc.cli.history_replay",
    "migration-preflight": "cicsc.cli.migration_preflight",
    "migration-dry-run": "cicsc.cli.migration_dry_run",
    "migration-cutover": "cicsc.cli.migration_cutover",
    "migration-status": "cicsc.cli.migration_status",
    "migration-recover": "cicsc.cli.migration_recover",
    "migration-finalize": "cicsc.cli.migration_finalize",
    "migration-rollback": "cicsc.cli.migration_rollback",
    "tenant-execute": "cicsc.cli.tenant_execute",
    "store-init": "cicsc.cli.store_init",
    "store-upgrade": "cicsc.cli.store_upgrade",
    "store-check": "cicsc.cli.store_check",
    "tenant-create": "cicsc.cli.tenant_create",
    "tenant-list": "cicsc.cli.tenant_list",
    "history-import": "cicsc.cli.history_import",
    "history-export": "cicsc.cli.history_export",
    "tenant-pause": "cicsc.cli.tenant_pause",
    "tenant-resume": "cicsc.cli.tenant_pause",
}
"""Where each verb is; it is imported when it is called, and all of them for the help."""


@click.group("cicsc", cls=Verbs, homes=_HOMES, epilog=_EXIT_CODES, no_args_is_help=False)
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Move an event history from one version of an application to the next, with proof.

    Each command prints one JSON object on standard output, and a readable summary on standard error
    when that is a terminal.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one call, `sys.argv` by default, and return its exit code."""
    if sys.stdout is None:
        say("cicsc: standard output is closed, so no report can be printed\nhint: close nothing, use > /dev/null")
        return NOT_DONE
    call = cli.context_class(cli, info_name="cicsc")
    with Interrupts() as interrupts:
        outcome = _run(call, list(sys.argv[1:] if arguments is None else arguments), interrupts)
        interrupts.release()
        exit_code = _deliver(outcome, str(call.meta.get(SUMMARY, "auto")))
        if FIGURES in call.meta:
            say(str(call.meta[FIGURES]))
        return exit_code


def _run(call: click.Context, arguments: list[str], interrupts: Interrupts) -> Outcome:
    """Parse and invoke; whatever is raised becomes an outcome."""
    try:
        with call.scope(cleanup=False):
            cli.parse_args(call, arguments)
            outcome = cli.invoke(call)
    except click.exceptions.Exit as done:
        return Outcome(done.exit_code)
    except click.UsageError as error:
        return failure(usage_error(error))
    except (ReaderGoneError, BrokenPipeError):
        return Outcome(NOT_DONE)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the one place that reports all)
        return _failed(error, interrupts, call.meta.get(LINES))
    assert isinstance(outcome, Outcome)
    return outcome


def _failed(error: BaseException, interrupts: Interrupts, lines: LineOutput | None) -> Outcome:
    """Say what went wrong; whatever was raised after a signal came was raised because of it."""
    if interrupts.received is not None or isinstance(error, KeyboardInterrupt):
        name = signal.Signals(interrupts.received or signal.SIGINT).name
        outcome = interrupted(name, one_line=lines is not None)
    else:
        outcome = failure(error, one_line=lines is not None)
    if lines is None:
        return outcome
    return Outcome(outcome.exit_code, lines.close() + outcome.document, message=outcome.message)


def _deliver(outcome: Outcome, mode: str) -> int:
    """Print the report, then the summary; a report that cannot be printed is work not done."""
    try:
        write(outcome.document)
    except ReaderGoneError:
        pass  # The verdict stands, and a summary may still find its reader.
    except WorkError as error:
        say(f"cicsc: {error.message}\nhint: {error.hint}")
        return NOT_DONE
    if outcome.summary is not None and shows_summary(mode):
        show(outcome.summary)
    elif outcome.message is not None and mode != "never":
        say(outcome.message)
    return outcome.exit_code
