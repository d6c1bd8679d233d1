"""Totality: every hole by its name."""

import time

import pytest

from cicsc.bundle.load import load_bundle
from cicsc.bundle.place import SUGGESTION_NAMES_MAX
from cicsc.migration.totality import (
    SUGGESTIONS_MAX,
    emitted_types,
    holes,
    inverse_warnings,
    target_faults,
    warnings,
)
from unit.migration.documents import bundles, target_document

SECONDS_MAX = 20
"""Many times what it takes, and a part of what comparing each name with each takes."""


def found(migration=None, change_target=None, change_source=None):
    return [problem.message for problem in holes(*bundles(migration, change_target, change_source))]


def test_a_total_migration_has_no_holes():
    assert found() == []
    assert warnings(*bundles()) == []


def places(problems):
    return [problem.path.removeprefix("$.core_ir.migrations.m") for problem in problems]


def test_holes_carry_the_place_that_names_what_is_not_there():
    transforms = {
        "opened": {"emit_as": "zzz"},
        "paid": {"fan_out": {"emit_many": [{"emit_as": "paid"}, {"emit_as": "zzz"}, {"emit_as": "zzz"}]}},
        "pinged": {},
    }
    migration = {"event_transforms": transforms, "state_map": {"open": "zzz"}}
    assert places(holes(*bundles(migration))) == [
        ".event_transforms.opened.emit_as",
        ".event_transforms.paid.fan_out.emit_many[1].emit_as",
        ".event_transforms.pinged",
        ".state_map.open",
    ]


def test_a_hole_that_nothing_names_has_the_place_of_the_migration():
    assert places(holes(*bundles({"event_transforms": {}, "state_map": {}}))) == ["", "", ""]
    assert places(holes(*bundles_of_types({"Account": {"event_transforms": {}}}))) == [".types.Account"] * 3
    assert places(holes(*bundles_of_types({"Konto": {"event_transforms": {}}}))) == [
        ".types.Konto",
        ".types.Konto",
        "",
        "",
        "",
    ]


def bundles_of_types(types):
    """The two bundles, with a migration of the form that has `types`."""
    document = target_document()
    document["core_ir"]["migrations"]["m"] = {"from_version": 1, "to_version": 2, "types": types}
    target = load_bundle(document)
    return bundles()[0], target, target.migrations["m"]


FAULTY = {
    "event_transforms": {"opened": {"emit_as": "acount_opened"}, "odd": {}},
    "state_map": {"open": "activ"},
    "inverse": {"event_transforms": {"payd": {"emit_as": "paid"}}},
}


def test_a_target_shows_by_itself_what_its_preflight_will_find_in_the_same_words():
    source, target, migration = bundles(FAULTY)
    wanted = {*holes(source, target, migration), *inverse_warnings(source, target, migration)}
    known = target_faults(target)
    assert places(known) == [
        ".event_transforms.odd",
        ".event_transforms.opened.emit_as",
        ".state_map.open",
        ".inverse.event_transforms.payd",
    ]
    assert set(known) < wanted
    assert [problem.path for problem in wanted - set(known)] == ["$.core_ir.migrations.m"]  # `pinged` is of the source
    assert target_faults(bundles()[1]) == []


def test_a_target_shows_a_type_that_it_does_not_have():
    _, target, _ = bundles({"on_type": "Acount"})
    assert [(problem.path, problem.message) for problem in target_faults(target)] == [
        (
            "$.core_ir.migrations.m.on_type",
            "entity type 'Acount' does not exist in the target bundle, did you mean 'Account'?",
        )
    ]


@pytest.mark.parametrize(
    ("migration", "messages"),
    [
        ({"from_version": 2}, ["expected from_version < to_version, found 2 and 2"]),
        ({"to_version": 3}, ["the target bundle is version 2, the migration expects 3"]),
        ({"from_version": 0, "to_version": 1}, ["the target bundle is version 2, the migration expects 1"]),
    ],
)
def test_a_target_shows_versions_that_cannot_be(migration, messages):
    assert [problem.message for problem in target_faults(bundles(migration)[1])] == messages


@pytest.mark.parametrize("version", [2, None])
def test_a_step_that_led_to_an_earlier_version_may_lead_to_what_is_gone(version):
    document = target_document()
    earlier = {"from_version": 0, "to_version": 1, "on_type": "Account", "event_transforms": {"a": {"emit_as": "b"}}}
    document["core_ir"]["migrations"]["earlier"] = earlier
    if version is None:
        del document["bundle_version"]
    assert target_faults(load_bundle(document)) == []
    document["core_ir"]["migrations"]["earlier"] = earlier | {"to_version": 2}
    assert len(target_faults(load_bundle(document))) == 1


def test_a_bundle_without_migrations_has_no_faults_of_them():
    assert target_faults(bundles()[0]) == []


@pytest.mark.parametrize(
    ("migration", "message"),
    [
        ({"event_transforms": {"pinged": {"drop": True}}}, "event type 'opened' of entity type 'Account' is carried over, but the target's reducer does not handle 'opened'"),
        ({"event_transforms": {"opened": {"emit_as": "acount_opened"}, "pinged": {"drop": True}}}, "event type 'opened' of entity type 'Account' becomes 'acount_opened', but the target's reducer does not handle 'acount_opened', did you mean 'account_opened'?"),
        ({"event_transforms": {"opened": {"emit_as": "account_opened"}, "pinged": {"fan_out": {"emit_many": [{"emit_as": "zzz"}, {"emit_as": "paid"}]}}}}, "event type 'pinged' of entity type 'Account' becomes 'zzz', but the target's reducer does not handle 'zzz'"),
        ({"state_map": {}}, "state 'open' of entity type 'Account' is not mapped and is no state of the target"),
        ({"state_map": {"open": "activ"}}, "state 'open' of entity type 'Account' is mapped to 'activ', which is no state of the target, did you mean 'active'?"),
        ({"state_map": {"open": "active", "gone": "nowhere"}}, "state 'gone' of entity type 'Account' is mapped to 'nowhere', which is no state of the target"),
    ],
)  # fmt: skip
def test_holes(migration, message):
    (only,) = found(migration)
    assert only.startswith(message)


def test_a_transform_of_an_unknown_event_type_must_still_lead_somewhere():
    migration = {
        "event_transforms": {
            "opened": {"emit_as": "account_opened"},
            "pinged": {"drop": True},
            "odd": {"emit_as": "zzz"},
        }
    }
    assert [message.split(" of ")[0] for message in found(migration)] == ["event type 'odd'"]


def rename_type(core):
    core["types"]["Konto"] = core["types"].pop("Account")
    core["constraints"] = {}


def test_a_type_that_one_side_lacks():
    assert found({"on_type": "Account"}, change_target=rename_type) == [
        "entity type 'Account' does not exist in the target bundle",
    ]  # fmt: skip
    assert found(change_source=rename_type) == [
        "entity type 'Account' does not exist in the source bundle",
        "entity type 'Konto' does not exist in the target bundle",
    ]


def add_type(core):
    core["types"]["Branch"] = {
        "id_type": "string",
        "states": ["s", "r"],
        "initial_state": "s",
        "attrs": {},
        "commands": {},
        "reducer": {"e": [], "f": []},
    }


def add_smaller_type(core):
    add_type(core)
    core["types"]["Branch"]["states"] = ["s"]
    del core["types"]["Branch"]["reducer"]["f"]


def test_an_untouched_type_takes_part():
    assert found(change_source=add_type, change_target=add_type) == []
    assert found(change_source=add_type) == ["entity type 'Branch' does not exist in the target bundle"]
    assert found(change_target=add_type) == []
    assert found(change_source=add_type, change_target=add_smaller_type) == [
        "event type 'f' of entity type 'Branch' is carried over, but the target's reducer does not handle 'f'",
        "state 'r' of entity type 'Branch' is not mapped and is no state of the target",
    ]


def test_warnings_name_what_the_source_does_not_have():
    migration = {"event_transforms": {"payd": {"emit_as": "paid"}}, "state_map": {"opn": "active"}}
    source, target, parsed = bundles(migration)
    assert [(problem.path, problem.message) for problem in warnings(source, target, parsed)] == [
        ("$.core_ir.migrations.m.event_transforms.payd", "event type 'payd' has a transform, but no reducer in entity type 'Account' of the source, did you mean 'paid'?"),
        ("$.core_ir.migrations.m.state_map.opn", "state 'opn' is mapped, but is no state of entity type 'Account' of the source, did you mean 'open'?"),
    ]  # fmt: skip
    assert warnings(bundles(change_source=rename_type)[0], target, parsed) == []


def test_warnings_name_what_an_inverse_does_not_find():
    typo = {
        "types": {
            "Account": {"event_transforms": {"payd": {"emit_as": "paid"}, "paid": {"emit_as": "payed"}}},
            "Acount": {"event_transforms": {}},
        }
    }
    source, target, parsed = bundles({"inverse": typo})
    assert [problem.message for problem in warnings(source, target, parsed)] == [
        "event type 'paid' becomes 'payed' in the inverse, which has no reducer in entity type 'Account' of the source, did you mean 'paid'?",
        "event type 'payd' has a transform in the inverse, but no reducer in entity type 'Account' of the target, did you mean 'paid'?",
        "entity type 'Acount' has an inverse, but the migration does not change it, did you mean 'Account'?",
    ]  # fmt: skip
    assert [(problem.path, problem.message.split()[2]) for problem in inverse_warnings(None, target, parsed)] == [
        ("$.core_ir.migrations.m.inverse.types.Account.event_transforms.payd", "'payd'"),
        ("$.core_ir.migrations.m.inverse.types.Acount", "'Acount'"),
    ]
    assert warnings(source, source, bundles({"inverse": {"event_transforms": {"paid": {}}}})[2]) == []


def test_an_inverse_of_a_type_that_no_bundle_has_is_a_hole_already():
    migration = {"on_type": "Konto", "inverse": {"event_transforms": {"a": {"emit_as": "b"}}}}
    assert warnings(*bundles(migration)) == []


def test_emitted_types_are_listed_once():
    _, _, migration = bundles(
        {
            "event_transforms": {
                "paid": {"fan_out": {"emit_many": [{"emit_as": "b"}, {"emit_as": "a"}, {"emit_as": "b"}]}}
            }
        }
    )
    assert emitted_types("paid", migration.types["Account"].event_transforms["paid"]) == ("b", "a")
    assert emitted_types("x", None) == ("x",)


def test_a_type_of_nearly_the_same_name_is_suggested():
    def misspell(core):
        core["types"]["Acount"] = core["types"].pop("Account")
        core["constraints"] = {}

    assert found(change_target=misspell) == [
        "entity type 'Account' does not exist in the target bundle, did you mean 'Acount'?"
    ]
    assert (
        found(change_source=misspell)[0]
        == "entity type 'Account' does not exist in the source bundle, did you mean 'Acount'?"
    )


def with_states(core, count):
    core["types"]["Account"] |= {"states": [f"s{number}" for number in range(count)], "initial_state": "s0"}
    core["types"]["Account"]["reducer"] = {name: [] for name in core["types"]["Account"]["reducer"]}


def with_event_types(core, prefix, count):
    core["types"]["Account"]["reducer"] |= {f"{prefix} {number}": [] for number in range(count)}


def test_two_bundles_of_the_largest_size_are_compared_in_time_that_grows_with_them():
    began = time.process_time()
    before = bundles(
        {"state_map": {}}, lambda core: with_states(core, 100_000), lambda core: with_states(core, 100_000)
    )
    assert holes(*before) == []
    assert time.process_time() - began < SECONDS_MAX


def test_where_much_differs_names_are_suggested_for_the_first_holes_only():
    began = time.process_time()
    messages = found(
        change_target=lambda core: with_event_types(core, "thing", 150),
        change_source=lambda core: with_event_types(core, "think", 5_000),
    )
    assert len(messages) == 5_000
    assert ["did you mean" in message for message in messages] == [True] * SUGGESTIONS_MAX + [False] * 4_900
    assert time.process_time() - began < SECONDS_MAX


def test_among_very_many_names_no_close_one_is_sought():
    (message,) = found(
        change_target=lambda core: with_event_types(core, "thing", SUGGESTION_NAMES_MAX),
        change_source=lambda core: with_event_types(core, "think", 1),
    )
    assert "did you mean" not in message
