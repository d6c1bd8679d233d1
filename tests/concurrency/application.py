"""An application with any number of versions: each renames the event and the state of the one before, back and forth.

So a tenant can be cut over again and again. A program of an old version is known by what it writes.
"""

from __future__ import annotations

from typing import Any

from cicsc.bundle.load import load_bundle
from concurrency.writer import COMMAND, EVENT_TYPES, event_type_of

MIGRATION = "rename"


def _command(event_type: str) -> dict[str, Any]:
    return {
        "input": {"token": {"type": "string"}},
        "guard": {"expr": {"lit": {"bool": True}}},
        "emits": [{"event_type": event_type, "payload": {"token": {"var": {"input": {"field": "token"}}}}}],
    }


def bundle(version: int) -> Any:
    """The application at a version, with the migration that leads to it."""
    name = event_type_of(version)
    note = {
        "id_type": "string",
        "states": ["new", name],
        "initial_state": "new",
        "attrs": {"token": {"type": "string"}},
        "commands": {COMMAND: _command(name)},
        "reducer": {
            name: [
                {"set_state": {"expr": {"lit": {"string": name}}}},
                {"set_attr": {"name": "token", "expr": {"var": {"e_payload": {"path": "token"}}}}},
            ]
        },
    }
    core: dict[str, Any] = {"version": 0, "types": {"Note": note}}
    if version > 1:
        before = event_type_of(version - 1)
        core["migrations"] = {
            MIGRATION: {
                "from_version": version - 1,
                "to_version": version,
                "on_type": "Note",
                "event_transforms": {before: {"emit_as": name}},
                "state_map": {before: name},
            }
        }
    return load_bundle({"bundle_version": version, "core_ir": core})


assert len(EVENT_TYPES) == 2
