"""Migrations: both forms, transforms that are closed, and a declared inverse."""

from __future__ import annotations

import pytest

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import Emission, Migration, Transform, TypeMigration
from unit.bundle.documents import (
    MIGRATION,
    TRANSFORMS,
    TYPES_MIGRATION,
    Document,
    Steps,
    bundle,
    changed,
    number,
    payload,
    problems,
    without,
)

AT = "$.core_ir.migrations.v1_to_v2"
TYPES_AT = "$.core_ir.migrations.v0_to_v2"
KEYS = "emit_as, payload_map, drop, fan_out"
EMIT_MANY = (*TRANSFORMS, "closed", "fan_out", "emit_many")
EMIT_AT = f"{AT}.event_transforms.closed.fan_out.emit_many"
EXPRESSION = "expected an expression, an object with exactly one key, found"

CHANGES: list[tuple[Steps, object, str, str]] = [
    (MIGRATION, [], AT, "expected a migration, an object, found a list of 0"),
    ((*MIGRATION, "from_version"), "1", f"{AT}.from_version", "expected an integer, found the string '1'"),
    ((*MIGRATION, "to_version"), None, f"{AT}.to_version", "expected an integer, found null"),
    ((*MIGRATION, "on_type"), None, f"{AT}.on_type", "expected a string, found null"),
    ((*MIGRATION, "state_mpa"), {}, f"{AT}.state_mpa", "unknown key 'state_mpa', did you mean 'state_map'?"),
    (
        (*MIGRATION, "inverse", "event_transform"),
        {},
        f"{AT}.inverse.event_transform",
        "unknown key 'event_transform', did you mean 'event_transforms'?",
    ),
    (TRANSFORMS, [], f"{AT}.event_transforms", "expected an object of transforms, found a list of 0"),
    ((*TRANSFORMS, "noted"), None, f"{AT}.event_transforms.noted", "expected a transform, an object, found null"),
    (
        (*TRANSFORMS, "noted", "emitas"),
        "x",
        f"{AT}.event_transforms.noted.emitas",
        f"unknown key 'emitas', expected one of {KEYS}, did you mean 'emit_as'?",
    ),
    (
        (*TRANSFORMS, "noted", "comment"),
        "x",
        f"{AT}.event_transforms.noted.comment",
        f"unknown key 'comment', expected one of {KEYS}",
    ),
    (
        (*TRANSFORMS, "noted", "emit_as"),
        "",
        f"{AT}.event_transforms.noted.emit_as",
        "expected a non-empty string, found the string ''",
    ),
    (
        (*TRANSFORMS, "noted", "emit_as"),
        [],
        f"{AT}.event_transforms.noted.emit_as",
        "expected a non-empty string, found a list of 0",
    ),
    (
        (*TRANSFORMS, "noted", "emit_as"),
        None,
        f"{AT}.event_transforms.noted.emit_as",
        "expected a non-empty string, found null",
    ),
    (
        (*TRANSFORMS, "noted", "drop"),
        "yes",
        f"{AT}.event_transforms.noted.drop",
        "expected true or false, found the string 'yes'",
    ),
    (
        (*TRANSFORMS, "noted", "payload_map"),
        [],
        f"{AT}.event_transforms.noted.payload_map",
        "expected an object of expressions, found a list of 0",
    ),
    (
        (*TRANSFORMS, "noted", "payload_map"),
        {"items": 1},
        f"{AT}.event_transforms.noted.payload_map.items",
        f'{EXPRESSION} the number 1, did you mean {{"lit": {{"int": 1}}}}?',
    ),
    (
        (*TRANSFORMS, "closed", "emit_as"),
        "x",
        f"{AT}.event_transforms.closed.emit_as",
        "'emit_as' cannot stand beside 'fan_out'",
    ),
    (
        (*TRANSFORMS, "closed", "payload_map"),
        {},
        f"{AT}.event_transforms.closed.payload_map",
        "'payload_map' cannot stand beside 'fan_out'",
    ),
    (
        (*TRANSFORMS, "closed", "fan_out"),
        [],
        f"{AT}.event_transforms.closed.fan_out",
        "expected a fan_out, an object, found a list of 0",
    ),
    (
        (*TRANSFORMS, "closed", "fan_out", "emit_one"),
        [],
        f"{AT}.event_transforms.closed.fan_out.emit_one",
        "unknown key 'emit_one', expected one of emit_many, did you mean 'emit_many'?",
    ),
    (EMIT_MANY, {}, EMIT_AT, "expected a list of events, found an empty object"),
    (EMIT_MANY, [], EMIT_AT, "expected at least one event, found an empty list; 'drop' is how an event is dropped"),
    ((*EMIT_MANY, 2), None, f"{EMIT_AT}[2]", "expected an event to emit, an object, found null"),
    ((*EMIT_MANY, 0, "emit_as"), "", f"{EMIT_AT}[0].emit_as", "expected a non-empty string, found the string ''"),
    (
        (*EMIT_MANY, 0, "drop"),
        True,
        f"{EMIT_AT}[0].drop",
        "unknown key 'drop', expected one of emit_as, payload_map, condition",
    ),
    (
        (*EMIT_MANY, 0, "condition"),
        True,
        f"{EMIT_AT}[0].condition",
        f'{EXPRESSION} true, did you mean {{"lit": {{"bool": true}}}}?',
    ),
    (
        (*EMIT_MANY, 0, "payload_map"),
        1,
        f"{EMIT_AT}[0].payload_map",
        "expected an object of expressions, found the number 1",
    ),
    ((*MIGRATION, "state_map"), [], f"{AT}.state_map", "expected an object of states, found a list of 0"),
    ((*MIGRATION, "state_map", "a"), 1, f"{AT}.state_map.a", "expected a string, found the number 1"),
    ((*MIGRATION, "attrs_map"), 1, f"{AT}.attrs_map", "expected an object of expressions, found the number 1"),
    (
        (*MIGRATION, "attrs_map", "channel"),
        1,
        f"{AT}.attrs_map.channel",
        f'{EXPRESSION} the number 1, did you mean {{"lit": {{"int": 1}}}}?',
    ),
    (
        (*MIGRATION, "attrs_map", "chanel"),
        number(1),
        f"{AT}.attrs_map.chanel",
        "the target type has no attribute or shadow 'chanel', did you mean 'channel'?",
    ),
    ((*MIGRATION, "types"), {}, AT, "expected either 'on_type' or 'types', found both"),
    ((*MIGRATION, "inverse"), 1, f"{AT}.inverse", "expected an inverse, an object, found the number 1"),
    (
        (*MIGRATION, "inverse", "state_map", "x"),
        1,
        f"{AT}.inverse.state_map.x",
        "expected a string, found the number 1",
    ),
    ((*TYPES_MIGRATION, "types"), [], f"{TYPES_AT}.types", "expected an object of entity types, found a list of 0"),
    (
        (*TYPES_MIGRATION, "types", "Order"),
        1,
        f"{TYPES_AT}.types.Order",
        "expected the migration of an entity type, an object, found the number 1",
    ),
    (
        (*TYPES_MIGRATION, "types", "Order", "attr_map"),
        {},
        f"{TYPES_AT}.types.Order.attr_map",
        "unknown key 'attr_map', did you mean 'attrs_map'?",
    ),
    (
        (*TYPES_MIGRATION, "types", "Customer", "attrs_map"),
        {"rank": number(1)},
        f"{TYPES_AT}.types.Customer.attrs_map.rank",
        "the target type has no attribute or shadow 'rank'",
    ),
    (
        (*TYPES_MIGRATION, "state_map"),
        {},
        f"{TYPES_AT}.state_map",
        "expected 'state_map' inside 'types', below the entity type it is for",
    ),
    (
        (*TYPES_MIGRATION, "inverse"),
        {"event_transforms": {}},
        f"{TYPES_AT}.inverse",
        "missing key 'types', found an object with the keys 'event_transforms'",
    ),
]

MISSING: list[tuple[Steps, str]] = [
    ((*MIGRATION, "from_version"), AT),
    ((*MIGRATION, "to_version"), AT),
    (TRANSFORMS, AT),
    ((*MIGRATION, "inverse", "event_transforms"), f"{AT}.inverse"),
    ((*TYPES_MIGRATION, "types", "Order", "event_transforms"), f"{TYPES_AT}.types.Order"),
    (EMIT_MANY, f"{AT}.event_transforms.closed.fan_out"),
    ((*EMIT_MANY, 0, "emit_as"), f"{EMIT_AT}[0]"),
]


def migrations(document: Document) -> list[Migration]:
    parsed, found = parse_bundle(document)
    assert found == ()
    assert parsed is not None
    return list(parsed.migrations.values())


@pytest.mark.parametrize(("steps", "value", "path", "message"), CHANGES)
def test_migration_reports_each_defect(steps: Steps, value: object, path: str, message: str) -> None:
    assert problems(changed(steps, value)) == [(path, message)]


@pytest.mark.parametrize(("steps", "path"), MISSING)
def test_migration_reports_each_missing_key(steps: Steps, path: str) -> None:
    ((found_path, message),) = problems(without(steps))
    assert found_path == path
    assert message.startswith(f"missing key {steps[-1]!r}, found ")


def test_migration_needs_on_type_or_types() -> None:
    document = without((*MIGRATION, "on_type"))
    del document["core_ir"]["migrations"]["v1_to_v2"]["inverse"]
    assert problems(document) == [(AT, "expected 'on_type' or 'types', found neither")]


def test_fan_out_may_stand_beside_drop() -> None:
    assert problems(changed((*TRANSFORMS, "closed", "drop"), value=True)) == []


@pytest.mark.parametrize("key", ["comment", "author", "x-ticket"])
def test_unrelated_keys_of_a_migration_are_ignored(key: str) -> None:
    assert problems(changed((*MIGRATION, key), "why")) == []


def test_versions_in_the_wrong_order_are_left_to_the_preflight() -> None:
    assert problems(changed((*MIGRATION, "from_version"), 7)) == []


def test_types_that_this_bundle_lacks_are_left_to_the_preflight() -> None:
    assert problems(changed((*MIGRATION, "on_type"), "Nobody")) == []


def test_event_types_that_this_bundle_lacks_make_it_not_invalid() -> None:
    assert problems(changed((*TRANSFORMS, "noted", "emit_as"), "nothing")) == []


def test_read_migration_gives_one_type() -> None:
    emissions = (
        Emission("paid", None, {"is_null": payload("sum")}),
        Emission("noted", {"text": payload("why")}, None),
    )
    transforms = {
        "created": Transform("opened", {"amount": payload("sum")}, drop=False, fan_out=None),
        "pinged": Transform(None, None, drop=True, fan_out=None),
        "noted": Transform(None, None, drop=False, fan_out=None),
        "remarked": Transform("noted", None, drop=False, fan_out=None),
        "closed": Transform(None, None, drop=False, fan_out=emissions),
    }
    attrs_map = {"amount": {"var": {"attrs": {"field": "sum"}}}, "rank": number(1)}
    path = "$.core_ir.migrations.v1_to_v2"
    undone = {"opened": Transform("created", None, drop=False, fan_out=None)}
    back = TypeMigration(undone, {"open": "created"}, {}, f"{path}.inverse")
    assert migrations(bundle())[0] == Migration(
        "v1_to_v2", 1, 2, {"Order": TypeMigration(transforms, {"created": "open"}, attrs_map, path)}, {"Order": back}
    )


def test_read_migration_gives_several_types() -> None:
    def renamed(source: str, target: str, path: str) -> TypeMigration:
        return TypeMigration({source: Transform(target, None, drop=False, fan_out=None)}, {}, {}, path)

    path = "$.core_ir.migrations.v0_to_v2"
    types = {
        "Order": TypeMigration({}, {}, {}, f"{path}.types.Order"),
        "Customer": renamed("a", "b", f"{path}.types.Customer"),
    }
    inverse = {"Customer": renamed("b", "a", f"{path}.inverse.types.Customer")}
    assert migrations(bundle())[1] == Migration("v0_to_v2", 0, 2, types, inverse)


def test_inverse_of_one_type_may_be_written_by_types() -> None:
    document = changed((*MIGRATION, "inverse"), {"types": {"Order": {"event_transforms": {}}}})
    path = "$.core_ir.migrations.v1_to_v2.inverse.types.Order"
    assert migrations(document)[0].inverse == {"Order": TypeMigration({}, {}, {}, path)}


def test_migration_without_an_inverse_has_none() -> None:
    assert migrations(without((*MIGRATION, "inverse")))[0].inverse is None
