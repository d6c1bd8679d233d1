"""The application that the suite runs: accounts with a balance that must not be negative."""

from __future__ import annotations

import copy
from typing import Any

from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle

Json = dict[str, Any]

NOW, ACTOR, STATE = ({"var": {name: True}} for name in ("now", "actor", "state"))


def field(variable: str, name: str) -> Json:
    return {"var": {variable: {"field": name}}}


def payload(path: str) -> Json:
    return {"var": {"e_payload": {"path": path}}}


def text(value: str) -> Json:
    return {"lit": {"string": value}}


def call(function: str, *arguments: Json) -> Json:
    return {"call": {"fn": function, "args": list(arguments)}}


def is_state(state: str) -> Json:
    return {"eq": [STATE, text(state)]}


def command(guard: Json, emits: dict[str, Json], **declared: Json) -> Json:
    return {
        "input": declared,
        "guard": {"expr": guard},
        "emits": [{"event_type": name, "payload": fields} for name, fields in emits.items()],
    }


AMOUNT = field("input", "amount")
BALANCE = {"coalesce": [field("attrs", "balance"), {"lit": {"int": 0}}]}
POSITIVE = {"gt": [AMOUNT, {"lit": {"int": 0}}]}
MOVED = {"amount": AMOUNT, "by": ACTOR, "at": NOW, "note": field("input", "note"), "way": field("input", "way")}
NUMBER: Json = {"type": "int"}
NOTE: Json = {"type": "string", "optional": True}
WAY: Json = {"type": "enum", "values": ["cash", "wire"], "default": "cash"}


def changed(operator: str) -> list[Json]:
    return [
        {"set_attr": {"name": "balance", "expr": {operator: [BALANCE, payload("amount")]}}},
        {"set_shadow": {"name": "latest", "expr": payload("amount")}},
    ]


DOCUMENT: Json = {
    "bundle_version": 3,
    "core_ir": {
        "version": 0,
        "types": {
            "Account": {
                "id_type": "string",
                "states": ["new", "open", "closed"],
                "initial_state": "new",
                "attrs": {"balance": {"type": "int"}, "owner": {"type": "json"}},
                "shadows": {"latest": {"type": "int"}},
                "commands": {
                    "open": command(is_state("new"), {"opened": {"owner": field("input", "owner")}}, owner={}),
                    "deposit": command(
                        {"and": [is_state("open"), POSITIVE]},
                        {"deposited": MOVED},
                        amount=NUMBER,
                        note=NOTE,
                        way=WAY,
                    ),
                    "withdraw": command(is_state("open"), {"withdrawn": {"amount": AMOUNT}}, amount=NUMBER),
                    "swap": command(
                        is_state("open"),
                        {"deposited": {"amount": BALANCE}, "withdrawn": {"amount": BALANCE}},
                    ),
                    "look": command(is_state("open"), {}),
                    "close": command(call("has_role", ACTOR, text("manager")), {"closed": {}}),
                },
                "reducer": {
                    "opened": [
                        {"set_state": {"expr": text("open")}},
                        {"set_attr": {"name": "owner", "expr": payload("owner")}},
                    ],
                    "deposited": changed("add"),
                    "withdrawn": changed("sub"),
                    "closed": [{"set_state": {"expr": text("closed")}}, {"clear_attr": {"name": "owner"}}],
                },
            }
        },
        "constraints": {
            "not overdrawn": {
                "kind": "snapshot",
                "on_type": "Account",
                "expr": {"ge": [{"coalesce": [field("row", "balance"), {"lit": {"int": 0}}]}, {"lit": {"int": 0}}]},
            }
        },
    },
}


def bank(**commands: Json) -> Bundle:
    """The application, with further commands of an account."""
    document = copy.deepcopy(DOCUMENT)
    document["core_ir"]["types"]["Account"]["commands"].update(commands)
    return load_bundle(document)


BANK = bank()
