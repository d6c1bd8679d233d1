"""Travel permits, declarations and payment requests of a university: 261,026 events, five entity types, 38 tenants.

Version 2 rewrites three of the five types at once: approvals and rejections become one event type
for each document, what a case opens with becomes an event of its own, amounts are in cents. Payment requests and
prepaid costs keep their events. Counts and digests were computed independently of the product.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from real.calling import call, example_of

pytestmark = pytest.mark.slow

BUNDLES = Path(__file__).parent / "bpic2020_travel_expenses"
SOURCE_DIGEST = "4ac02c4270334f605dc0ad02a0aa86e8dbbb82cab72c100ed5d298b415729e9e"
MIGRATED_DIGEST = "32e67ae7fb7be908e6070056a6935a556a067265d5eba804422b198da28ec404"
RENAMED_DIGEST = "18afbcdb240e53971505a92218b3647eda9b951506abecb163ce0a2be51fef94"
UNASSIGNED_DIGEST = "d27f8e4491f4a4114ac2faa59175630ea30adc68b9eeb20e52c0d71edbd1d0b5"
SMALLEST_TENANT_DIGEST = "32f96a13d663d9346b6a1a50a20171abdc46c1a808af57c949c7ebc828958940"
LARGEST_UNIT = "tue-organizational-unit-65458"


@pytest.fixture(scope="module")
def log(real_logs: Path) -> Path:
    return real_logs / "bpic2020_travel_expenses.jsonl.gz"


def migration(log: Path, variant: str = "") -> list[object]:
    """The flags of a migration to version 2, or to a variant of it."""
    target = BUNDLES / variant / "to.json"
    return ["--from", BUNDLES / "from.json", "--to", target, "--events", log, "--migration", "v1_to_v2"]


def test_version_2_means_the_same_for_every_tenant_after_every_event(log: Path) -> None:
    dry_run = call("migration-dry-run", *migration(log), "--equivalence", "every-event")

    artifact = dry_run["artifact"]
    assert dry_run.exit_code == 0
    assert (artifact["source_events"], artifact["migrated_events"]) == (261_026, 282_021)
    assert (artifact["source_digest"], artifact["migrated_digest"]) == (SOURCE_DIGEST, MIGRATED_DIGEST)
    assert len(artifact["heads"]) == 38
    assert artifact["heads"]["tue-unassigned"] == {"events": 55_628, "digest": UNASSIGNED_DIGEST}
    assert artifact["heads"]["tue-organizational-unit-65483"] == {"events": 3, "digest": SMALLEST_TENANT_DIGEST}
    assert artifact["from_bundle_digest"] == "e9fa2f0cf1e1210f5e6396d65c6452f744b7f4026f54f824a9b0bb2eba5fc670"
    assert artifact["to_bundle_digest"] == "0f94e1c11e59dad2b6ed71361bdff408a7fcba3c7b5341e4192a8a12ef16bc00"
    assert artifact["reversibility"]["reversible"] is False

    verify = artifact["preflight"]["verify"]
    for side in ("source_verify", "target_verify"):
        assert (verify[side]["types_count"], verify[side]["entities_count"]) == (5, 31_873)
        assert (verify[side]["constraints_count"], verify[side]["violations_total"]) == (9, 0)
    assert verify["equivalence"]["streams_compared"] == 31_873
    assert verify["equivalence"]["diverged_by_field"] == {}


def test_one_tenant_alone_is_judged_by_its_own_events(log: Path) -> None:
    dry_run = call("migration-dry-run", *migration(log), "--tenant", LARGEST_UNIT)

    assert dry_run.exit_code == 0
    assert (dry_run["artifact"]["source_events"], dry_run["artifact"]["migrated_events"]) == (41_006, 43_458)
    assert list(dry_run["artifact"]["heads"]) == [LARGEST_UNIT]
    assert dry_run["artifact"]["migrated_digest"] == "9594bdb125797e1645ce8722a527b540e0df7108b5832755ab702acb2c5200ae"


def test_renaming_version_rolls_back_to_the_very_history(log: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed.jsonl"

    forward = call("migration-dry-run", *migration(log, "reversible"), "--out-events", renamed)
    back = call("migration-rollback", *migration(renamed, "reversible"), "--expected-hash", RENAMED_DIGEST)

    assert (forward.exit_code, forward["artifact"]["migrated_digest"]) == (0, RENAMED_DIGEST)
    assert forward["artifact"]["reversibility"]["reasons"] == []
    assert (back.exit_code, back["rolled_back_events"], back["source_checked"]) == (0, 261_026, True)
    assert back["rolled_back_digest"] == SOURCE_DIGEST


def test_sibling_of_a_payload_key_diverges_in_the_attribute(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_sibling_permit_id"))

    assert refused.exit_code == 1
    diverged = refused["verify"]["equivalence"]["diverged_by_field"]
    assert diverged == {"international_declaration.attrs.permit_id": 446}
    assert refused["verify"]["target_verify"]["ok"]  # the join finds fewer permits, and no wrong ones
    step = ("declaration 143612", 1, "Declaration SAVED by EMPLOYEE")
    assert example_of(refused) == (*step, "attrs.permit_id", "travel permit 423", "travel permit 143614")


def test_wrong_state_map_of_one_type_diverges_in_its_state(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_state_map"))

    assert refused.exit_code == 1
    assert refused["verify"]["equivalence"]["diverged_by_field"] == {"domestic_declaration.state": 284}
    step = ("declaration 100512", 3, "Declaration REJECTED by EMPLOYEE")
    assert example_of(refused) == (*step, "state", "rejected", "returned")


def test_constraint_over_groups_is_violated_tenant_by_tenant(log: Path) -> None:
    refused = call("migration-preflight", *migration(log, "broken_new_constraint"))

    target = refused["verify"]["target_verify"]
    assert refused.exit_code == 1
    assert refused["verify"]["source_verify"]["ok"]
    assert refused["verify"]["equivalence"]["ok"]
    assert target["violations_total"] == 16  # one for each tenant with a permit that was declared more than once
    assert {violation["constraint_id"] for violation in target["violations"]} == {"one_declaration_per_permit"}
    samples = [(found["sample"]["tenant_id"], found["sample"]["rows_count"]) for found in target["violations"]]
    units = [("tue-organizational-unit-65454", 24), ("tue-organizational-unit-65455", 46)]
    assert samples[:2] == units
