"""A small application in two versions, for the tests of migrations: accounts that are opened, paid into and closed."""

import copy

from cicsc.bundle.load import load_bundle
from cicsc.history.model import Event


def lit(value):
    kinds = {bool: "bool", int: "int", float: "float", str: "string"}
    return {"lit": {"null": True} if value is None else {kinds[type(value)]: value}}


def attr(name):
    return {"var": {"attrs": {"field": name}}}


def payload(path):
    return {"var": {"e_payload": {"path": path}}}


def paid(name="balance", path="amount"):
    return {"set_attr": {"name": name, "expr": {"add": [{"coalesce": [attr(name), lit(0)]}, payload(path)]}}}


SOURCE = {
    "bundle_version": 1,
    "core_ir": {
        "version": 0,
        "types": {
            "Account": {
                "id_type": "string",
                "states": ["new", "open", "closed"],
                "initial_state": "new",
                "attrs": {"owner": {}, "balance": {}},
                "shadows": {"payments": {}},
                "commands": {},
                "reducer": {
                    "opened": [
                        {"set_state": {"expr": lit("open")}},
                        {"set_attr": {"name": "owner", "expr": payload("owner")}},
                    ],
                    "paid": [paid(), {"set_shadow": {"name": "payments", "expr": payload("amount")}}],
                    "pinged": [],
                    "closed": [{"set_state": {"expr": lit("closed")}}, {"clear_attr": {"name": "owner"}}],
                },
            },
        },
        "constraints": {
            "not_negative": {
                "kind": "snapshot",
                "on_type": "Account",
                "expr": {"ge": [{"coalesce": [attr("balance"), lit(0)]}, lit(0)]},
            }
        },
    },
}
MIGRATION = {
    "from_version": 1,
    "to_version": 2,
    "on_type": "Account",
    "event_transforms": {"opened": {"emit_as": "account_opened"}, "pinged": {"drop": True}},
    "state_map": {"open": "active"},
}


def target_document(migration=None):
    document = copy.deepcopy(SOURCE)
    document["bundle_version"] = 2
    account = document["core_ir"]["types"]["Account"]
    account["states"] = ["new", "active", "closed"]
    account["reducer"] = {
        "account_opened": [
            {"set_state": {"expr": lit("active")}},
            {"set_attr": {"name": "owner", "expr": payload("owner")}},
        ],
        "paid": account["reducer"]["paid"],
        "closed": account["reducer"]["closed"],
    }
    document["core_ir"]["migrations"] = {"m": copy.deepcopy(MIGRATION) | (migration or {})}
    return document


def bundles(migration=None, change_target=None, change_source=None):
    before, after = copy.deepcopy(SOURCE), target_document(migration)
    for change, document in ((change_source, before), (change_target, after)):
        if change is not None:
            change(document["core_ir"])
    source, target = load_bundle(before), load_bundle(after)
    return source, target, target.migrations["m"]


def event(seq, event_type, payload=None, *, entity_id="1", tenant_id="t", entity_type="Account", ts=None, **more):
    return Event(
        tenant_id,
        entity_type,
        entity_id,
        seq,
        event_type,
        payload or {},
        100 * seq if ts is None else ts,
        "ann",
        **more,
    )


HISTORY = [
    event(1, "opened", {"owner": "Ann"}),
    event(2, "pinged"),
    event(3, "paid", {"amount": 5}),
    event(4, "closed"),
]
KEY = ("t", "Account", "1")
