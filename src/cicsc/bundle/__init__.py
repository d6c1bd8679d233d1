"""Bundles: one version of an application, decoded, checked and ready to be replayed.

`load.load_bundle` reads a file, bytes or a mapping, `check_bundle.parse_bundle` turns a decoded
document into a `model.Bundle` or into the list of its problems, `schema.bundle_schema` gives the
JSON Schema for editors. Nothing here knows of events, histories or clocks.
"""
