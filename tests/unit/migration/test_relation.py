"""The relation between source and target snapshots."""

import pytest

from cicsc.migration.relation import Difference, compile_relation, unconstrained_fields
from cicsc.replay.fold import Fold
from unit.migration.documents import attr, bundles, lit

ENTITY = ("Account", "1")


def fold(state, attrs=None, shadows=None, updated_ts=5):
    made = Fold(None)
    made.state, made.attrs, made.shadows, made.updated_ts = state, attrs or {}, shadows or {}, updated_ts
    return made


def relation(migration=None, change_target=None):
    source, target, parsed = bundles(migration, change_target)
    return compile_relation(source.types["Account"], target.types["Account"], parsed.types["Account"])


def differences(source, target, migration=None, change_target=None):
    compiled = relation(migration, change_target)
    found = compiled.differences(source, target, ENTITY, 9, "me")
    both = (*ENTITY, source.state, source.updated_ts, source.attrs, source.shadows, 9, "me")
    assert bool(compiled.holds(*both, target.state, target.attrs, target.shadows)) is not bool(found)
    return found


def test_related_snapshots_do_not_differ():
    assert (
        differences(fold("open", {"owner": "Ann", "balance": 1}), fold("active", {"owner": "Ann", "balance": 1.0}))
        == []
    )


def test_unmapped_states_keep_their_name():
    assert differences(fold("closed"), fold("closed")) == []
    assert differences(fold("open"), fold("open")) == [Difference("state", "active", "open")]


def test_absent_equals_null():
    assert differences(fold("new", {"owner": None}), fold("new")) == []
    assert differences(fold("new"), fold("new", {"owner": None}, {"payments": None})) == []


def test_updated_ts_is_not_compared():
    assert differences(fold("new", updated_ts=1), fold("new", updated_ts=2)) == []


def test_every_difference_is_named_state_first():
    found = differences(
        fold("open", {"owner": 1, "balance": 2}, {"payments": 3}),
        fold("new", {"owner": True, "balance": 2}, {"payments": 4}),
    )
    assert found == [
        Difference("state", "active", "new"),
        Difference("attrs.owner", 1, True),
        Difference("shadows.payments", 3, 4),
    ]


def rename_attribute(core):
    account = core["types"]["Account"]
    account["attrs"] = {"holder": {}, "balance": {}, "cents": {}, "seen": {}}
    account["shadows"] = {"last": {}}
    account["reducer"] = {name: [] for name in account["reducer"]}


MAPPED = {
    "attrs_map": {
        "holder": attr("owner"), "cents": {"mul": [attr("balance"), lit(100)]}, "seen": {"var": {"row": {"field": "updated_ts"}}}, "last": attr("payments"),
    }
}  # fmt: skip


def test_mapped_attributes_and_shadows():
    source = fold("open", {"owner": "Ann", "balance": 2}, {"payments": 7})
    target = fold("active", {"holder": "Ann", "balance": 2, "cents": 200, "seen": 5}, {"last": 7})
    assert differences(source, target, MAPPED, rename_attribute) == []
    wrong = fold("active", {"holder": "Bob", "balance": 2, "cents": 2, "seen": 5}, {"last": 8})
    assert differences(source, wrong, MAPPED, rename_attribute) == [
        Difference("attrs.cents", 200, 2), Difference("attrs.holder", "Ann", "Bob"), Difference("shadows.last", 7, 8)
    ]  # fmt: skip


def test_map_of_a_name_that_both_sides_declare_stands_for_the_name():
    migration = {
        "attrs_map": {"balance": {"mul": [attr("balance"), lit(100)]}, "payments": {"sub": [lit(0), attr("payments")]}}
    }
    source = fold("new", {"balance": 2}, {"payments": 7})
    assert differences(source, fold("new", {"balance": 200}, {"payments": -7}), migration) == []
    assert differences(source, fold("new", {"balance": 2}, {"payments": 7}), migration) == [
        Difference("attrs.balance", 200, 2),
        Difference("shadows.payments", -7, 7),
    ]


def test_mapped_value_that_is_equal_does_not_differ_beside_one_that_does():
    source, target = (
        fold("open", {"owner": "Ann", "balance": 2}),
        fold("active", {"holder": "Bob", "cents": 200.0, "seen": 5}),
    )
    found = differences(source, target, MAPPED, rename_attribute)
    assert [one.field for one in found] == ["attrs.balance", "attrs.holder"]


def only(part):
    """Leave the target one attribute, or one shadow, of those that the source has."""

    def change(core):
        account = core["types"]["Account"]
        account["attrs"] = {"balance": {}} if part == "attrs" else {}
        account["shadows"] = {"payments": {}} if part == "shadows" else {}
        account["reducer"] = {name: [] for name in account["reducer"]}

    return change


@pytest.mark.parametrize(("part", "name"), [("attrs", "balance"), ("shadows", "payments")])
def test_the_only_field_in_common_is_compared(part, name):
    target = fold("active")
    setattr(target, part, {name: 2})
    source = fold("open", {"balance": 1}, {"payments": 1})
    assert differences(source, target, None, only(part)) == [Difference(f"{part}.{name}", 1, 2)]
    setattr(target, part, {name: 1})
    assert differences(source, target, None, only(part)) == []


def test_the_state_alone_is_compared():
    assert differences(fold("open", {"balance": 1}), fold("active"), None, only("nothing")) == []
    assert differences(fold("open"), fold("closed"), None, only("nothing")) == [Difference("state", "active", "closed")]


@pytest.mark.parametrize(("name", "expected"), [("now", 9), ("actor", "me"), ("state", "open"), ("e_type", None)])
def test_environment_of_attrs_map(name, expected):
    found = differences(
        fold("open"), fold("active"), {"attrs_map": {"owner": {"arr": {"items": [{"var": {name: True}}]}}}}
    )
    assert found == [Difference("attrs.owner", [expected], None)]


def test_unconstrained_fields_are_listed():
    source, target, migration = bundles(None, rename_attribute)
    assert unconstrained_fields(source, target, migration) == [
        "Account.attrs.cents (target only)", "Account.attrs.holder (target only)", "Account.attrs.owner (source only)",
        "Account.attrs.seen (target only)", "Account.shadows.last (target only)", "Account.shadows.payments (source only)",
    ]  # fmt: skip
    source, target, migration = bundles(MAPPED, rename_attribute)
    assert unconstrained_fields(source, target, migration) == []
    by_row = {"attrs_map": {"holder": {"var": {"row": {"field": "owner"}}}}}
    source, target, migration = bundles(by_row, rename_attribute)
    assert "Account.attrs.owner (source only)" not in unconstrained_fields(source, target, migration)
    assert "Account.shadows.payments (source only)" in unconstrained_fields(source, target, migration)


def test_an_untouched_type_is_related_by_name():
    source, _, _ = bundles()
    same = compile_relation(source.types["Account"], source.types["Account"], None)
    assert same.differences(fold("open", {"owner": 1}), fold("open", {"owner": 1}), ENTITY, None, None) == []
    assert same.differences(fold("open", {"owner": 1}), fold("open", {"owner": 2}), ENTITY, None, None) == [
        Difference("attrs.owner", 1, 2)
    ]


def test_unconstrained_fields_of_untouched_and_one_sided_types():
    def add(*attrs):
        made = {
            "id_type": "string",
            "states": ["s"],
            "initial_state": "s",
            "attrs": {name: {} for name in attrs},
            "commands": {},
            "reducer": {},
        }
        return lambda core: core["types"].update(Branch=made)

    source, target, migration = bundles(None, add("b", "c"), add("a", "b"))
    assert unconstrained_fields(source, target, migration) == [
        "Branch.attrs.a (source only)",
        "Branch.attrs.c (target only)",
    ]
    source, target, migration = bundles(None, None, add("a"))
    assert unconstrained_fields(source, target, migration) == []
