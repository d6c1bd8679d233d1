"""The way back: obstacles by name, and the inverse."""

import pytest

from cicsc.bundle.model import Transform, TypeMigration
from cicsc.migration.inverse import has_way_back, inverse_of, reversibility
from unit.migration.documents import bundles, lit

INJECTIVE = {"opened": {"emit_as": "account_opened"}}


@pytest.mark.parametrize(
    ("transforms", "state_map", "reasons"),
    [
        (INJECTIVE, {"open": "active"}, ()),
        ({}, {}, ()),
        ({"opened": {"emit_as": "paid"}, "paid": {"emit_as": "opened"}}, {"new": "open", "open": "new"}, ()),
        ({"pinged": {"drop": True}}, {}, ("dropped event 'pinged'",)),
        ({"paid": {"payload_map": {"a": lit(1)}}}, {}, ("payload_map on 'paid'",)),
        ({"paid": {"payload_map": {}}}, {}, ()),
        ({"paid": {"fan_out": {"emit_many": [{"emit_as": "x"}]}}}, {}, ("fan_out on 'paid'",)),
        ({"opened": {"emit_as": "paid"}}, {}, ("non-injective event mapping to 'paid'",)),
        ({"opened": {"emit_as": "x"}, "closed": {"emit_as": "x"}}, {}, ("non-injective event mapping to 'x'",)),
        ({}, {"open": "closed"}, ("non-injective state map to 'closed'",)),
        ({}, {"open": "x", "new": "x"}, ("non-injective state map to 'x'",)),
        (
            {"paid": {"payload_map": {"a": lit(1)}}, "opened": {"emit_as": "closed"}, "pinged": {"drop": True, "payload_map": {"a": lit(1)}}},
            {"open": "closed"},
            ("payload_map on 'paid'", "dropped event 'pinged'", "non-injective event mapping to 'closed'", "non-injective state map to 'closed'"),
        ),
    ],
)  # fmt: skip
def test_obstacles(transforms, state_map, reasons):
    source, _, migration = bundles({"event_transforms": transforms, "state_map": state_map})
    found = reversibility(migration, source)
    assert found.reasons == reasons
    assert found.reversible is not bool(reasons)
    assert found.declarable is all("payload_map" in reason for reason in reasons)
    assert found.method == "structural"


def test_without_a_source_bundle_only_the_map_is_known():
    _, _, migration = bundles({"event_transforms": {"opened": {"emit_as": "paid"}}, "state_map": {"open": "closed"}})
    assert reversibility(migration, None).reasons == ()
    _, _, migration = bundles(
        {"event_transforms": {"opened": {"emit_as": "x"}, "paid": {"emit_as": "x"}}, "state_map": {"a": "x", "b": "x"}}
    )
    assert reversibility(migration, None).reasons == (
        "non-injective event mapping to 'x'",
        "non-injective state map to 'x'",
    )


DECLARED = {"event_transforms": {"settled": {"emit_as": "paid", "payload_map": {"a": lit(1)}}}}


def test_a_declared_inverse_undoes_payload_maps():
    transforms = {"paid": {"emit_as": "settled", "payload_map": {"b": lit(1)}}}
    source, _, migration = bundles({"event_transforms": transforms, "inverse": DECLARED})
    found = reversibility(migration, source)
    assert (found.method, found.reasons) == ("declared", ())


def test_a_declared_inverse_undoes_only_what_it_names():
    transforms = {
        "paid": {"payload_map": {"b": lit(1)}},
        "closed": {"emit_as": "settled", "payload_map": {"c": lit(1)}},
        "pinged": {"drop": True},
    }
    source, _, migration = bundles({"event_transforms": transforms, "inverse": DECLARED})
    assert reversibility(migration, source).reasons == ("payload_map on 'paid'", "dropped event 'pinged'")


def back(event_type):
    return Transform(event_type, None, drop=False, fan_out=None)


def test_inverse_of_a_structural_migration():
    _, _, migration = bundles(
        {"event_transforms": {"opened": {"emit_as": "paid"}, "paid": {"emit_as": "opened"}, "closed": {}}}
    )
    found = inverse_of(migration)
    assert (found.id, found.from_version, found.to_version, found.inverse) == ("inverse of m", 2, 1, None)
    transforms = {"paid": back("opened"), "opened": back("paid"), "closed": back("closed")}
    assert found.types == {"Account": TypeMigration(transforms, {"active": "open"}, {})}


def test_inverse_of_a_declared_one_takes_its_transforms():
    transforms = {"paid": {"emit_as": "settled", "payload_map": {"b": lit(1)}}, "opened": {"emit_as": "account_opened"}}
    _, _, migration = bundles({"event_transforms": transforms, "inverse": DECLARED})
    found = inverse_of(migration).types["Account"].event_transforms
    assert found == {
        "account_opened": back("opened"),
        "settled": migration.inverse["Account"].event_transforms["settled"],
    }
    assert found["settled"].payload_map == {"a": lit(1)}


@pytest.mark.parametrize(
    ("event_type", "with_source", "without"),
    [("account_opened", True, True), ("paid", True, True), ("opened", False, False), ("brand_new", False, True)],
)
def test_has_way_back(event_type, with_source, without):
    source, _, migration = bundles()
    assert has_way_back(migration, source, "Account", event_type) is with_source
    assert has_way_back(migration, None, "Account", event_type) is without


def test_has_way_back_of_other_types():
    source, _, migration = bundles()
    assert has_way_back(migration, source, "Branch", "paid") is False
    assert has_way_back(migration, None, "Branch", "paid") is True


def test_a_transform_that_keeps_the_name_is_a_way_back():
    source, _, migration = bundles({"event_transforms": {"closed": {}}})
    assert has_way_back(migration, source, "Account", "closed") is True


def test_an_obstacle_of_two_types_is_named_once():
    def add(core):
        core["types"]["Other"] = core["types"]["Account"]

    changes = {"event_transforms": {"pinged": {"drop": True}}}
    source, _, migration = bundles(
        change_source=add,
        change_target=lambda core: (
            add(core),
            core["migrations"].update(
                m={"from_version": 1, "to_version": 2, "types": {"Account": changes, "Other": changes}}
            ),
        ),
    )
    assert reversibility(migration, source).reasons == ("dropped event 'pinged'",)
