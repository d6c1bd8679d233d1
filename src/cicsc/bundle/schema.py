"""The published JSON Schema of bundles, for editors and other tools (draft 2020-12).

It describes shapes only, and never refuses what `check_bundle` accepts; names that must be declared,
limits and everything else beyond shape are checked there.
"""

from __future__ import annotations

from importlib.resources import files

import msgspec


def bundle_schema() -> dict[str, object]:
    """Return the JSON Schema, each time as a new object."""
    text = files("cicsc.bundle").joinpath("bundle.schema.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, object])
