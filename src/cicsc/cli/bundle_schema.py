"""`bundle-schema`: the JSON Schema of bundles, for editors."""

from __future__ import annotations

import click

from cicsc.cli.machine import encode
from cicsc.cli.outcome import OK, Outcome
from cicsc.cli.verb import Verb


@click.command("bundle-schema", cls=Verb, short_help="Print the JSON Schema of bundles.")
def bundle_schema() -> Outcome:
    """Print the JSON Schema of bundles, for editors and other tools.

    The schema describes shapes; bundle-validate checks all the rest as well.
    """
    from cicsc.bundle.schema import bundle_schema as schema  # noqa: PLC0415 (start-up)

    return Outcome(OK, encode(schema()))
