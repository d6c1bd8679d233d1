"""What a bundle reads although nothing declares it: valid, since it is null, but perhaps a typing error."""

from __future__ import annotations

import pickle

import pytest

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.load import load_bundle
from cicsc.expression.grammar import FIELD_VARIABLES, FLAG_VARIABLES
from unit.bundle.documents import (
    MIGRATION,
    ORDER,
    PIPELINE,
    TRANSFORMS,
    Document,
    Steps,
    bundle,
    changed,
    number,
    payload,
    row,
    text,
)

TYPE = "$.core_ir.types.Order"
PAY = (*ORDER, "commands", "pay")
OPENED = (*ORDER, "reducer", "opened")
CONSTRAINTS = ("core_ir", "constraints")
VIEW = ("core_ir", "views", "board", "query", "pipeline")
BACK = ("event_transforms", "opened", "payload_map")


PROJECTED = [{"name": "who", "expr": row("who")}, {"name": "sum", "expr": row("total")}]


def attr(name: str) -> object:
    return {"var": {"attrs": {"field": name}}}


def given(name: str) -> object:
    return {"var": {"input": {"field": name}}}


def unread(name: str, near: str) -> str:
    return f"there is no attribute {name!r} to read here, so this is null, did you mean {near!r}?"


@pytest.mark.parametrize(
    ("steps", "value", "path", "message"),
    [
        (
            (*PAY, "emits", 0, "payload", "amount"),
            given("amuont"),
            f"{TYPE}.commands.pay.emits[0].payload.amount.var.input.field",
            "the command declares no input 'amuont', so this is null, did you mean 'amount'?",
        ),
        (
            (*PAY, "guard", "expr"),
            {"call": {"fn": "allowed", "args": [attr("rnk")]}},
            f"{TYPE}.commands.pay.guard.expr.call.args[0].var.attrs.field",
            unread("rnk", "rank"),
        ),
        (
            (*OPENED, 1, "set_attr", "expr"),
            {"not": attr("amuont")},
            f"{TYPE}.reducer.opened[1].set_attr.expr.not.var.attrs.field",
            unread("amuont", "amount"),
        ),
        (
            (*OPENED, 2, "set_shadow", "expr"),
            attr("rank"),  # a shadow, which no reducer sees
            f"{TYPE}.reducer.opened[2].set_shadow.expr.var.attrs.field",
            "there is no attribute 'rank' to read here, so this is null",
        ),
        (
            (*OPENED, 0, "set_state", "expr"),
            attr("chanel"),
            f"{TYPE}.reducer.opened[0].set_state.expr.var.attrs.field",
            unread("chanel", "channel"),
        ),
        (
            (*CONSTRAINTS, "paid_has_amount", "expr"),
            attr("amuont"),
            "$.core_ir.constraints.paid_has_amount.expr.var.attrs.field",
            unread("amuont", "amount"),
        ),
        (
            ("core_ir", "views", "board", "query", "pipeline", 0),
            {"filter": attr("amuont")},
            "$.core_ir.views.board.query.pipeline[0].filter.var.attrs.field",
            unread("amuont", "amount"),
        ),
    ],
)
def test_what_nothing_declares_is_a_warning(steps: Steps, value: object, path: str, message: str) -> None:
    found, problems = parse_bundle(changed(steps, value))
    assert found is not None
    assert (problems.total, problems) == (0, ())
    assert [(warning.path, warning.message) for warning in found.warnings] == [(path, message)]


@pytest.mark.parametrize(
    ("steps", "value"),
    [
        ((*OPENED, 1, "set_attr", "expr"), attr("customer")),
        ((*OPENED, 1, "set_attr", "expr"), payload("whatever")),
        ((*PAY, "guard", "expr"), attr("mark")),
        ((*PAY, "emits", 0, "payload", "amount"), {"var": {"now": True}}),
        ((*CONSTRAINTS, "paid_has_amount", "expr"), attr("rank")),
        ((*TRANSFORMS, "created", "payload_map", "by"), {"var": {"e_actor": True}}),
        ((*MIGRATION, "attrs_map", "rank"), row("any_of_the_source")),
        ((*VIEW, 0), {"filter": {"eq": [{"var": {"state": True}}, row("state")]}}),
    ],
)
def test_what_is_declared_is_none(steps: Steps, value: object) -> None:
    assert load_bundle(changed(steps, value)).warnings == ()


@pytest.mark.parametrize(
    ("steps", "wrap", "unheld"),
    [
        ((*OPENED, 1, "set_attr", "expr"), None, "input row arg agg rows_count"),
        ((*PAY, "guard", "expr"), None, "arg agg rows_count e_type e_actor e_time e_payload payload"),
        ((*PAY, "emits", 0, "payload", "amount"), None, "arg agg rows_count e_type e_actor e_time e_payload payload"),
        (
            (*CONSTRAINTS, "paid_has_amount", "expr"),
            None,
            "input arg agg rows_count e_type e_actor e_time e_payload payload",
        ),
        ((*CONSTRAINTS, "few_open", "assert"), None, "state attrs input agg e_type e_actor e_time e_payload payload"),
        ((*VIEW, 0), "filter", "input arg agg rows_count e_type e_actor e_time e_payload payload"),
        ((*PIPELINE, 0), "filter", "state attrs input agg rows_count e_type e_actor e_time e_payload payload"),
        ((*PIPELINE, 2), "having", "state attrs input rows_count e_type e_actor e_time e_payload payload"),
        ((*PIPELINE, 4), "filter", "state attrs input agg rows_count e_type e_actor e_time e_payload payload"),
        ((*TRANSFORMS, "created", "payload_map", "amount"), None, "state attrs input row arg agg rows_count"),
        ((*MIGRATION, "inverse", *BACK), "x", "state attrs input row arg agg rows_count"),
        (
            (*TRANSFORMS, "closed", "fan_out", "emit_many", 0, "condition"),
            None,
            "state attrs input row arg agg rows_count",
        ),
        ((*MIGRATION, "attrs_map", "rank"), None, "input arg agg rows_count e_type e_actor e_time e_payload payload"),
    ],
)
def test_what_a_place_does_not_hold_is_a_warning(steps: Steps, wrap: str | None, unheld: str) -> None:
    for name in sorted({*FLAG_VARIABLES, *FIELD_VARIABLES}):
        value: object = {"var": {name: {FIELD_VARIABLES[name]: "x"} if name in FIELD_VARIABLES else True}}
        found, problems = parse_bundle(changed(steps, value if wrap is None else {wrap: value}))
        if found is None:
            assert {problem.path.split(".")[-2] for problem in problems} == {name}
            continue
        nothing = '""' if name == "state" else "null"
        messages = [warning.message for warning in found.warnings if "cannot be read here" in warning.message]
        assert messages == ([f"{name!r} cannot be read here, so this is {nothing}"] if name in unheld.split() else [])


def state_is(value: str) -> Document:
    return {"eq": [{"var": {"state": True}}, text(value)]}


@pytest.mark.parametrize(
    ("steps", "value", "path"),
    [
        ((*OPENED, 1, "set_attr", "expr"), state_is("opne"), f"{TYPE}.reducer.opened[1].set_attr.expr.eq[1]"),
        ((*PAY, "guard", "expr"), {"not": state_is("opne")}, f"{TYPE}.commands.pay.guard.expr.not.eq[1]"),
        (
            (*PAY, "emits", 0, "payload", "amount"),
            {"ne": [text("opne"), row("state")]},
            f"{TYPE}.commands.pay.emits[0].payload.amount.ne[0]",
        ),
        (
            (*CONSTRAINTS, "paid_has_amount", "expr"),
            {"in": {"needle": row("state"), "haystack": {"arr": {"items": [text("new"), number(1), text("opne")]}}}},
            "$.core_ir.constraints.paid_has_amount.expr.in.haystack.arr.items[2]",
        ),
        ((*VIEW, 0), {"filter": state_is("opne")}, "$.core_ir.views.board.query.pipeline[0].filter.eq[1]"),
    ],
)
def test_a_comparison_with_a_state_that_nothing_declares_is_a_warning(steps: Steps, value: object, path: str) -> None:
    found = load_bundle(changed(steps, value))
    assert [(warning.path, warning.message) for warning in found.warnings] == [
        (f"{path}.lit.string", "no state 'opne' is declared, did you mean 'open'?")
    ]


@pytest.mark.parametrize(
    ("steps", "value"),
    [
        ((*PAY, "guard", "expr"), state_is("open")),
        ((*PAY, "guard", "expr"), {"eq": [row("channel"), text("opne")]}),
        ((*PAY, "guard", "expr"), {"eq": [{"var": {"state": True}}, row("state")]}),
        ((*PAY, "guard", "expr"), {"in": {"needle": {"var": {"state": True}}, "haystack": row("customer")}}),
        ((*PAY, "guard", "expr"), {"in": {"needle": text("opne"), "haystack": {"arr": {"items": [row("state")]}}}}),
        ((*MIGRATION, "attrs_map", "rank"), state_is("one_of_the_source")),
        ((*PIPELINE, 0), {"filter": {"eq": [row("left.state"), text("opne")]}}),
        ((*PIPELINE, 3), {"project": {"fields": [{"name": "state", "expr": row("who")}, *PROJECTED]}}),
    ],
)
def test_other_comparisons_are_none(steps: Steps, value: object) -> None:
    document = changed(steps, value)
    if steps == (*PIPELINE, 3):
        document["core_ir"]["constraints"]["few_open"]["query"]["pipeline"].append(
            {"filter": {"eq": [row("state"), text("a_customer")]}}
        )
    assert load_bundle(document).warnings == ()


def test_states_that_cannot_be_told_are_not_compared_with() -> None:
    for states in (["new", 1], [], {}, None):
        document = changed((*PAY, "guard", "expr"), state_is("opne"))
        document["core_ir"]["types"]["Order"]["states"] = states
        assert all("opne" not in problem.message for problem in parse_bundle(document)[1])


def emitting(key: str, *read: object) -> Document:
    """Return the example with a command that emits `key`, in an event whose reducer reads what is given."""
    document = changed((*PAY, "emits", 0, "payload"), {key: number(1), "other": number(2)})
    document["core_ir"]["types"]["Order"]["reducer"]["paid"] = [
        {"set_attr": {"name": "amount", "expr": expr}} for expr in read
    ] + [{"clear_attr": {"name": "channel"}}]
    return document


def test_what_a_command_emits_and_the_reducer_reads_under_a_name_very_like_it_is_a_warning() -> None:
    found = load_bundle(emitting("amout", payload("..amount.minor"), {"var": {"payload": {"path": "why"}}}))
    assert [(warning.path, warning.message) for warning in found.warnings] == [
        (
            f"{TYPE}.commands.pay.emits[0].payload.amout",
            "the reducer of 'paid' does not read 'amout', did you mean 'amount'?",
        )
    ]


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ("amount", [payload("amount")]),
        ("amout", [payload("amount"), payload("amout")]),
        ("amout", [payload("amount"), payload("")]),
        ("sum", [payload("amount")]),
        ("amout", []),
    ],
)
def test_what_is_read_or_very_unlike_is_none(key: str, read: list[object]) -> None:
    assert load_bundle(emitting(key, *read)).warnings == ()


def test_a_reducer_with_a_defect_hides_no_other() -> None:
    document = emitting("amout", {"lit": 1}, payload("amount"))
    document["core_ir"]["types"]["Order"]["commands"]["pay"]["emits"][0]["event_type"] = "payd"
    found, problems = parse_bundle(document)
    assert (found, len(problems)) == (None, 2)


def test_an_argument_that_is_declared_cannot_be_read_in_the_query() -> None:
    found = load_bundle(changed((*PIPELINE, 0), {"filter": {"var": {"arg": {"name": "most"}}}}))
    assert [(warning.path, warning.message) for warning in found.warnings] == [
        (
            "$.core_ir.constraints.few_open.query.pipeline[0].filter.var.arg.name",
            "'arg' cannot be read here, so this is null",
        )
    ]


def test_warnings_are_counted_and_survive_pickling() -> None:
    read_often = {"or": [attr(f"gone{number}") for number in range(1_500)]}
    found = load_bundle(changed((*CONSTRAINTS, "paid_has_amount", "expr"), read_often))
    for one in (found, pickle.loads(pickle.dumps(found))):
        assert (len(one.warnings), one.warnings.total) == (1_000, 1_500)


def test_the_documents_of_these_tests_have_none() -> None:
    assert load_bundle(bundle()).warnings == ()
