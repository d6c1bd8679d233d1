"""An application in three versions, and beside it, written by hand, what its migrations do to a history.

version 1    created, paid
version 2    created, settled, audited        paid is renamed; can be taken back unless something was audited
version 3    opened, priced, settled          created becomes two events, audited is dropped; a total must not be negative
"""

from __future__ import annotations

from typing import Any, NamedTuple

from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle

Json = dict[str, Any]

TOTAL = {"var": {"e_payload": {"path": "total"}}}
INPUT = {"var": {"input": {"field": "total"}}}

CREATED = {1: ("created",), 2: ("created",), 3: ("opened", "priced")}
PAID = {1: "paid", 2: "settled", 3: "settled"}
TYPES = {1: ("created", "paid"), 2: ("created", "settled", "audited"), 3: ("opened", "priced", "settled")}

TRANSFORMS: dict[int, Json] = {
    2: {"paid": {"emit_as": "settled"}},
    3: {
        "created": {"fan_out": {"emit_many": [{"emit_as": "opened"}, {"emit_as": "priced"}]}},
        "audited": {"drop": True},
    },
}


def _version(number: int) -> Bundle:
    state = PAID[number]
    emits = [{"event_type": name, "payload": {"total": INPUT}} for name in CREATED[number]]
    order: Json = {
        "id_type": "string",
        "states": ["new", state],
        "initial_state": "new",
        "attrs": {"total": {"type": "int"}},
        "commands": {
            "create": {"input": {"total": {"type": "int"}}, "guard": {"expr": {"lit": {"bool": True}}}, "emits": emits}
        },
        "reducer": {
            **{name: [] for name in TYPES[number]},
            CREATED[number][-1]: [{"set_attr": {"name": "total", "expr": TOTAL}}],
            state: [{"set_state": {"expr": {"lit": {"string": state}}}}],
        },
    }
    core: Json = {"version": 0, "types": {"Order": order}}
    if number in TRANSFORMS:
        core["migrations"] = {
            f"to_{number}": {
                "from_version": number - 1,
                "to_version": number,
                "on_type": "Order",
                "event_transforms": TRANSFORMS[number],
                "state_map": {"paid": "settled"} if number == 2 else {},
            }
        }
    if number == 3:
        total = {"coalesce": [{"var": {"row": {"field": "total"}}}, {"lit": {"int": 0}}]}
        core["constraints"] = {
            "not negative": {"kind": "snapshot", "on_type": "Order", "expr": {"ge": [total, {"lit": {"int": 0}}]}}
        }
    return load_bundle({"bundle_version": number, "core_ir": core})


BUNDLES = {number: _version(number) for number in (1, 2, 3)}


class Told(NamedTuple):
    """An event as the model knows it, and where it stands."""

    event_type: str
    total: int
    position: int
    ordinal: int = 0


History = dict[str, list[Told]]
"""The events of each entity, by seq."""


def _forward(version: int, event: Told) -> list[Told]:
    if version == 2:
        return [event._replace(event_type="settled")] if event.event_type == "paid" else [event]
    if event.event_type == "created":
        return [event._replace(event_type="opened"), event._replace(event_type="priced", ordinal=1)]
    return [] if event.event_type == "audited" else [event]


def migrated(history: History, version: int) -> History:
    """What the migration to a version makes of a history."""
    made = {name: [new for old in events for new in _forward(version, old)] for name, events in history.items()}
    return {name: events for name, events in made.items() if events}


def taken_back(history: History) -> History:
    """The inverse of the migration to version 2, the only one that has an inverse."""
    return {
        name: [event._replace(event_type="paid") if event.event_type == "settled" else event for event in events]
        for name, events in history.items()
    }
