"""Keys that are ignored, and yet likely meant to be read: valid, with a warning."""

from __future__ import annotations

import pytest

from cicsc.bundle.load import load_bundle
from cicsc.bundle.place import SUGGESTION_NAMES_MAX
from unit.bundle.documents import ORDER, Steps, changed, without


def warned(document: object) -> list[tuple[str, str]]:
    """Return the path and the message of each warning of a valid document."""
    assert isinstance(document, dict)
    return [(warning.path, warning.message) for warning in load_bundle(document).warnings]


@pytest.mark.parametrize(
    ("steps", "key", "instead"),
    [
        (("core_ir",), "constraints", "constrains"),
        (("core_ir",), "migrations", "migration"),
        (("core_ir",), "policies", "polices"),
        ((), "bundle_version", "bundleVersion"),
        (ORDER, "shadows", "shadow"),
        ((*ORDER, "attrs", "amount"), "optional", "optinal"),
        ((*ORDER, "attrs", "channel"), "values", "vales"),
        ((*ORDER, "commands", "pay", "input", "amount"), "type", "typ"),
    ],
)
def test_a_key_that_is_nearly_one_that_is_absent_is_warned_of(steps: Steps, key: str, instead: str) -> None:
    document = without(("core_ir", "migrations", "v1_to_v2", "attrs_map", "rank"))  # a shadow of Order
    for constraint in ("paid_has_amount", "few_open"):  # they read the shadow
        del document["core_ir"]["constraints"][constraint]
    document["core_ir"]["types"]["Order"]["reducer"]["opened"].pop()  # it sets the shadow
    record = document
    for step in steps:
        record = record[step]
    record[instead] = record.pop(key)
    path = ".".join(("$", *map(str, steps), instead))
    assert (path, f"unknown key {instead!r} is ignored, did you mean {key!r}?") in warned(document)


@pytest.mark.parametrize(
    ("steps", "value"),
    [
        (("core_ir", "constrains"), {}),  # `constraints` is there as well
        (("core_ir", "description"), "of the whole"),
        (("description",), "of the whole"),
        (("version",), "2.1"),
        ((*ORDER, "label"), "an order"),
        ((*ORDER, "attrs", "customer", "description"), "who"),
    ],
)
def test_other_keys_are_ignored_without_a_warning(steps: Steps, value: object) -> None:
    assert warned(changed(steps, value)) == []


@pytest.mark.parametrize("key", ["types", "constraints", "migrations"])
def test_a_section_beside_core_ir_is_warned_of(key: str) -> None:
    assert warned(changed((key,), {})) == [(f"$.{key}", f"{key!r} is ignored here, did you mean it inside 'core_ir'?")]


def test_among_very_many_keys_no_close_one_is_sought() -> None:
    document = without(("core_ir", "policies"))
    document["core_ir"] |= {f"police {number}": 1 for number in range(SUGGESTION_NAMES_MAX + 1)}
    assert warned(document) == []
