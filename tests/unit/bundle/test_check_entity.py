"""Entity types: attributes, shadows, commands, and ops that write only what is declared."""

from __future__ import annotations

import pytest

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import (
    Attribute,
    ClearAttr,
    Command,
    CommandEvent,
    EntityType,
    SetAttr,
    SetShadow,
    SetState,
    Shadow,
)
from unit.bundle.documents import ORDER, Steps, bundle, changed, number, payload, problems, text, without

TYPE = "$.core_ir.types.Order"
OPENED = (*ORDER, "reducer", "opened")
PAY = (*ORDER, "commands", "pay")
CHANNEL = (*ORDER, "attrs", "channel")
OPS = "set_state, set_attr, clear_attr, set_shadow"
EXPRESSION = "expected an expression, an object with exactly one key, found"

CHANGES: list[tuple[Steps, object, str, str]] = [
    (ORDER, [], TYPE, "expected an entity type, an object, found a list of 0"),
    ((*ORDER, "id_type"), "int", f"{TYPE}.id_type", "expected 'string', found the string 'int'"),
    ((*ORDER, "states", 3), "new", f"{TYPE}.states[3]", "'new' is repeated"),
    ((*ORDER, "states", 3), None, f"{TYPE}.states[3]", "expected a string, found null"),
    ((*ORDER, "states"), {}, f"{TYPE}.states", "expected a list of strings, found an empty object"),
    ((*ORDER, "states"), [], f"{TYPE}.states", "expected at least one state, found an empty list"),
    (
        (*ORDER, "initial_state"),
        "newe",
        f"{TYPE}.initial_state",
        "no state 'newe' is declared, did you mean 'new'?",
    ),
    ((*ORDER, "initial_state"), 0, f"{TYPE}.initial_state", "expected a string, found the number 0"),
    (
        (*ORDER, "attrs", "customer"),
        "x",
        f"{TYPE}.attrs.customer",
        "expected an attribute, an object, found the string 'x'",
    ),
    (
        (*CHANNEL, "type"),
        "text",
        f"{TYPE}.attrs.channel.type",
        "expected one of 'string', 'int', 'float', 'bool', 'time', 'enum', 'json', found the string 'text'",
    ),
    (
        (*CHANNEL, "type"),
        [],
        f"{TYPE}.attrs.channel.type",
        "expected one of 'string', 'int', 'float', 'bool', 'time', 'enum', 'json', found a list of 0",
    ),
    ((*CHANNEL, "optional"), 1, f"{TYPE}.attrs.channel.optional", "expected true or false, found the number 1"),
    ((*CHANNEL, "values"), "web", f"{TYPE}.attrs.channel.values", "expected a list of strings, found the string 'web'"),
    ((*CHANNEL, "values", 2), 3, f"{TYPE}.attrs.channel.values[2]", "expected a string, found the number 3"),
    ((*CHANNEL, "values", 2), "web", f"{TYPE}.attrs.channel.values[2]", "'web' is repeated"),
    (
        (*CHANNEL, "default"),
        "wbe",
        f"{TYPE}.attrs.channel.default",
        "the default 'wbe' is not one of the values, did you mean 'web'?",
    ),
    ((*CHANNEL, "default"), 1, f"{TYPE}.attrs.channel.default", "expected a string, found the number 1"),
    ((*ORDER, "shadows", "mark"), 1, f"{TYPE}.shadows.mark", "expected a shadow, an object, found the number 1"),
    (
        (*ORDER, "shadows", "rank", "type"),
        "integer",
        f"{TYPE}.shadows.rank.type",
        "expected one of 'string', 'int', 'float', 'bool', 'time', 'enum', 'json', found the string 'integer'",
    ),
    (
        (*ORDER, "shadows", "rank", "expr"),
        7,
        f"{TYPE}.shadows.rank.expr",
        f'{EXPRESSION} the number 7, did you mean {{"lit": {{"int": 7}}}}?',
    ),
    ((*ORDER, "commands"), [], f"{TYPE}.commands", "expected an object of commands, found a list of 0"),
    (PAY, None, f"{TYPE}.commands.pay", "expected a command, an object, found null"),
    ((*PAY, "input"), 1, f"{TYPE}.commands.pay.input", "expected an object of attributes, found the number 1"),
    ((*PAY, "guard"), True, f"{TYPE}.commands.pay.guard", "expected a guard, an object, found true"),
    ((*PAY, "guard", "expr"), {}, f"{TYPE}.commands.pay.guard.expr", f"{EXPRESSION} an empty object"),
    ((*PAY, "emits"), {}, f"{TYPE}.commands.pay.emits", "expected a list of events, found an empty object"),
    (
        (*PAY, "emits", 0),
        "paid",
        f"{TYPE}.commands.pay.emits[0]",
        "expected an event to emit, an object, found the string 'paid'",
    ),
    (
        (*PAY, "emits", 0, "event_type"),
        "piad",
        f"{TYPE}.commands.pay.emits[0].event_type",
        "event type 'piad' has no reducer, did you mean 'paid'?",
    ),
    (
        (*PAY, "emits", 0, "payload"),
        [],
        f"{TYPE}.commands.pay.emits[0].payload",
        "expected an object of expressions, found a list of 0",
    ),
    (
        (*PAY, "emits", 0, "payload", 'a"b'),
        None,
        f'{TYPE}.commands.pay.emits[0].payload["a\\"b"]',
        f'{EXPRESSION} null, did you mean {{"lit": {{"null": true}}}}?',
    ),
    (OPENED, {}, f"{TYPE}.reducer.opened", "expected a list of ops, found an empty object"),
    (
        (*OPENED, 3),
        "x",
        f"{TYPE}.reducer.opened[3]",
        "expected an op, an object with exactly one key, found the string 'x'",
    ),
    (
        (*OPENED, 3),
        {},
        f"{TYPE}.reducer.opened[3]",
        "expected an op, an object with exactly one key, found an empty object",
    ),
    (
        (*OPENED, 3),
        {"set_state": {}, "set_attr": {}},
        f"{TYPE}.reducer.opened[3]",
        "expected an op, an object with exactly one key, found an object with the keys 'set_state', 'set_attr'",
    ),
    (
        (*OPENED, 3),
        {"set_stat": {}},
        f"{TYPE}.reducer.opened[3]",
        f"expected an op, one of {OPS}, found 'set_stat', did you mean 'set_state'?",
    ),
    ((*OPENED, 3), {"set_attr": 1}, f"{TYPE}.reducer.opened[3].set_attr", "expected an object, found the number 1"),
    (
        (*OPENED, 0, "set_state", "expr"),
        text("opne"),
        f"{TYPE}.reducer.opened[0].set_state.expr.lit.string",
        "no state 'opne' is declared, did you mean 'open'?",
    ),
    (
        (*OPENED, 0, "set_state", "expr"),
        number(1),
        f"{TYPE}.reducer.opened[0].set_state.expr.lit.int",
        "expected a string, found the number 1",
    ),
    (
        (*OPENED, 0, "set_state", "expr"),
        {"nul": 1},
        f"{TYPE}.reducer.opened[0].set_state.expr.nul",
        "unknown expression tag 'nul', did you mean 'mul'?",
    ),
    (
        (*OPENED, 1, "set_attr", "name"),
        "amuont",
        f"{TYPE}.reducer.opened[1].set_attr.name",
        "no attribute 'amuont' is declared, did you mean 'amount'?",
    ),
    (
        (*OPENED, 1, "set_attr", "name"),
        "rank",
        f"{TYPE}.reducer.opened[1].set_attr.name",
        "no attribute 'rank' is declared",
    ),
    (
        (*OPENED, 2, "set_shadow", "name"),
        "ranks",
        f"{TYPE}.reducer.opened[2].set_shadow.name",
        "no shadow 'ranks' is declared, did you mean 'rank'?",
    ),
    (
        (*OPENED, 3),
        {"clear_attr": {"name": "x"}},
        f"{TYPE}.reducer.opened[3].clear_attr.name",
        "no attribute 'x' is declared",
    ),
    (
        (*OPENED, 1, "set_attr", "name"),
        5,
        f"{TYPE}.reducer.opened[1].set_attr.name",
        "expected a string, found the number 5",
    ),
]

MISSING: list[tuple[Steps, str, str, str]] = [
    ((*ORDER, "id_type"), TYPE, "id_type", "'states', 'initial_state', 'attrs', 'shadows', ..."),
    ((*ORDER, "states"), TYPE, "states", "'id_type', 'initial_state', 'attrs', 'shadows', ..."),
    ((*ORDER, "initial_state"), TYPE, "initial_state", "'id_type', 'states', 'attrs', 'shadows', ..."),
    ((*ORDER, "commands"), TYPE, "commands", "'id_type', 'states', 'initial_state', 'attrs', ..."),
    ((*ORDER, "reducer"), TYPE, "reducer", "'id_type', 'states', 'initial_state', 'attrs', ..."),
    ((*PAY, "input"), f"{TYPE}.commands.pay", "input", "'guard', 'emits'"),
    ((*PAY, "guard"), f"{TYPE}.commands.pay", "guard", "'input', 'emits'"),
    ((*PAY, "emits"), f"{TYPE}.commands.pay", "emits", "'input', 'guard'"),
    ((*PAY, "emits", 0, "event_type"), f"{TYPE}.commands.pay.emits[0]", "event_type", "'payload'"),
    ((*PAY, "emits", 0, "payload"), f"{TYPE}.commands.pay.emits[0]", "payload", "'event_type'"),
    ((*OPENED, 1, "set_attr", "name"), f"{TYPE}.reducer.opened[1].set_attr", "name", "'expr'"),
    ((*OPENED, 1, "set_attr", "expr"), f"{TYPE}.reducer.opened[1].set_attr", "expr", "'name'"),
    ((*OPENED, 2, "set_shadow", "expr"), f"{TYPE}.reducer.opened[2].set_shadow", "expr", "'name'"),
]


def order(document: object) -> EntityType:
    parsed, found = parse_bundle(document)
    assert found == ()
    assert parsed is not None
    return parsed.types["Order"]


@pytest.mark.parametrize(("steps", "value", "path", "message"), CHANGES)
def test_entity_type_reports_each_defect(steps: Steps, value: object, path: str, message: str) -> None:
    assert problems(changed(steps, value)) == [(path, message)]


@pytest.mark.parametrize(("steps", "path", "key", "found"), MISSING)
def test_entity_type_reports_each_missing_key(steps: Steps, path: str, key: str, found: str) -> None:
    message = f"missing key {key!r}, found an object with the keys {found}"
    assert problems(without(steps)) == [(path, message)]


def test_set_state_reports_undeclared_literals_in_branches() -> None:
    expr = {
        "if": {
            "cond": text("not a result"),
            "then": {"coalesce": [payload("state"), text("opne")]},
            "else": {"if": {"cond": text("x"), "then": text("open"), "else": text("pad")}},
        }
    }
    at = f"{TYPE}.reducer.opened[0].set_state.expr"
    assert problems(changed((*OPENED, 0, "set_state", "expr"), expr)) == [
        (f"{at}.if.then.coalesce[1].lit.string", "no state 'opne' is declared, did you mean 'open'?"),
        (f"{at}.if.else.if.else.lit.string", "no state 'pad' is declared, did you mean 'paid'?"),
    ]


def test_set_state_accepts_null_for_a_state_that_stays() -> None:
    expr = {"if": {"cond": payload("x"), "then": text("open"), "else": {"lit": {"null": True}}}}
    assert problems(changed((*OPENED, 0, "set_state", "expr"), expr)) == []


def test_states_without_a_string_hide_what_states_there_are() -> None:
    assert problems(changed((*ORDER, "states"), [1])) == [
        (f"{TYPE}.states[0]", "expected a string, found the number 1")
    ]


def test_unreadable_reducer_hides_what_events_there_are() -> None:
    assert problems(changed((*ORDER, "reducer"), 1)) == [
        (f"{TYPE}.reducer", "expected an object of event types, found the number 1")
    ]


@pytest.mark.parametrize("default", ["shop", None])
def test_enum_default_may_be_a_value_or_null(default: object) -> None:
    assert order(changed((*CHANNEL, "default"), default)).attrs["channel"].default == default


def test_enum_without_values_takes_any_default() -> None:
    assert problems(changed(CHANNEL, {"type": "enum", "default": 3})) == []


def test_values_of_another_type_do_not_bind_the_default() -> None:
    assert problems(changed(CHANNEL, {"type": "string", "values": ["a"], "default": "b"})) == []


def test_unknown_keys_are_ignored() -> None:
    document = changed((*ORDER, "reducer", "noted"), [{"set_attr": {"name": "amount", "expr": number(1), "why": 1}}])
    document["core_ir"]["types"]["Order"]["color"] = None
    document["core_ir"]["types"]["Order"]["attrs"]["amount"]["unit"] = "EUR"
    assert problems(document) == []


def test_read_type_gives_what_the_document_says() -> None:
    read = order(bundle())
    assert (read.name, read.states, read.initial_state) == ("Order", ("new", "open", "paid"), "new")
    assert list(read.attrs.values()) == [
        Attribute("amount", "float", optional=True, default=0, values=()),
        Attribute("channel", "enum", optional=False, default="web", values=("web", "shop")),
        Attribute("customer", None, optional=False, default=None, values=()),
    ]
    assert list(read.shadows.values()) == [Shadow("rank", "int", number(1)), Shadow("mark", None, None)]


def test_read_type_gives_the_commands() -> None:
    guard = {"call": {"fn": "allowed", "args": [text("clerk")]}}
    emits = (CommandEvent("paid", {"amount": {"var": {"input": {"field": "amount"}}}}),)
    given = {"amount": Attribute("amount", "float", optional=False, default=None, values=())}
    assert order(bundle()).commands == {"pay": Command("pay", given, guard, emits)}


def test_read_type_gives_the_ops_in_order() -> None:
    assert order(bundle()).reducer == {
        "opened": (SetState(text("open")), SetAttr("amount", payload("amount")), SetShadow("rank", number(1))),
        "paid": (SetState(text("paid")), ClearAttr("channel")),
        "noted": (),
    }
