"""`bundle-validate`: every problem of one or more bundles, each with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cicsc.cli import options
from cicsc.cli.failure import error_fields, message_of
from cicsc.cli.machine import encode
from cicsc.cli.outcome import OK, VERDICT_NO, Outcome
from cicsc.cli.verb import Verb
from cicsc.errors import CicscError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cicsc.report.models import BundleVerify


@click.command("bundle-validate", cls=Verb, short_help="Validate bundles and report every problem.")
@click.argument("bundles", metavar="BUNDLE...", nargs=-1, required=True)
@options.summary
def bundle_validate(bundles: tuple[str, ...]) -> Outcome:
    """Validate bundles and report every problem with its JSON path.

    A bundle that cannot be read or decoded does not keep the others from being validated; the highest
    exit code wins.
    """
    from cicsc.operations.history import validate_bundle  # noqa: PLC0415 (start-up: help must not load the operations)

    found: list[tuple[str, BundleVerify | CicscError]] = []
    for path in bundles:
        try:
            found.append((path, validate_bundle(path)))
        except CicscError as error:
            found.append((path, error))
    return _outcome(found)


def _outcome(found: list[tuple[str, BundleVerify | CicscError]]) -> Outcome:
    entries = [_entry(path, result) for path, result in found]
    errors = [result for _, result in found if isinstance(result, CicscError)]
    exit_code = max(_exit_code(result) for _, result in found)
    document: dict[str, object] = {"ok": exit_code == OK, "bundles": entries}
    if errors:
        document["error"] = error_fields(max(errors, key=lambda error: error.exit_code))

    def summary() -> RenderableType:
        from cicsc.report.text import bundles_summary  # noqa: PLC0415 (start-up: rich is slow to load)

        return bundles_summary(found)

    return Outcome(exit_code, encode(document), summary, message="\n".join(map(message_of, errors)) or None)


def _entry(path: str, result: BundleVerify | CicscError) -> dict[str, object]:
    if isinstance(result, CicscError):
        return {"bundle": path, "ok": False, "error": error_fields(result)}
    entry: dict[str, object] = {
        "bundle": path,
        "ok": result.ok,
        "digest": result.digest,
        "problems": result.problems,
        "problems_total": result.problems_total,
    }
    if result.warnings:  # false where it is unset
        entry |= {"warnings": result.warnings, "warnings_total": result.warnings_total}
    return entry


def _exit_code(result: BundleVerify | CicscError) -> int:
    if isinstance(result, CicscError):
        return result.exit_code
    return OK if result.ok else VERDICT_NO
