"""Loan applications at a bank: 262,200 events of 13,087 applications, 36 event types.

Version 2 keeps one event type for all work items and one grant where three bookings came in any order,
so it means the same at the end and not after every event. What `expected.json` says was computed independently
of the product.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from real.calling import call
from real.refusal import refusal_of

pytestmark = pytest.mark.slow

BUNDLES = Path(__file__).parent / "bpic2012_loan_applications"
EXPECTED = json.loads((BUNDLES / "expected.json").read_bytes())
SOURCE, NEXT, REVERSIBLE = (EXPECTED[part] for part in ("source", "next", "reversible"))


@pytest.fixture(scope="module")
def log(real_logs: Path) -> Path:
    return real_logs / "bpic2012_loan_applications.jsonl.gz"


def migration(events: Path, variant: str = "", name: str = NEXT["migration"]) -> list[object]:
    """The flags of the migration to version 2, or to a variant of it."""
    target = BUNDLES / variant / "to.json"
    return ["--from", BUNDLES / "from.json", "--to", target, "--events", events, "--migration", name]


def test_version_2_means_the_same_at_the_end(log: Path) -> None:
    dry_run = call("migration-dry-run", *migration(log))

    artifact = dry_run["artifact"]
    assert dry_run.exit_code == 0
    assert (artifact["source_events"], artifact["migrated_events"]) == (SOURCE["events"], NEXT["events"])
    assert (artifact["source_digest"], artifact["migrated_digest"]) == (SOURCE["digest"], NEXT["digest"])
    assert artifact["from_bundle_digest"] == SOURCE["bundle_digest"]
    assert artifact["to_bundle_digest"] == NEXT["bundle_digest"]
    assert artifact["heads"] == {"bank-nl": {"events": SOURCE["events"], "digest": SOURCE["digest"]}}
    assert sorted(artifact["reversibility"]["reasons"]) == NEXT["no_way_back"]

    verify = artifact["preflight"]["verify"]
    for side in ("source_verify", "target_verify"):
        assert (verify[side]["entities_count"], verify[side]["constraints_count"]) == (SOURCE["entities"], 7)
        assert verify[side]["violations_total"] == 0
    assert verify["equivalence"]["streams_compared"] == SOURCE["entities"]
    assert verify["equivalence"]["diverged_by_field"] == {}
    assert "loan_application.attrs.granted_by (target only)" in verify["equivalence"]["unconstrained"]


def test_one_grant_for_three_bookings_differs_on_the_way(log: Path) -> None:
    refused = call("migration-preflight", *migration(log), "--equivalence", "every-event")

    assert refused.exit_code == 1
    assert refusal_of(refused) == EXPECTED["every_event"]


def test_renaming_version_rolls_back_to_the_very_history(log: Path, tmp_path: Path) -> None:
    renamed, flags = tmp_path / "renamed.jsonl", ("reversible", REVERSIBLE["migration"])

    forward = call("migration-dry-run", *migration(log, *flags), "--out-events", renamed)
    back = call("migration-rollback", *migration(renamed, *flags), "--expected-hash", REVERSIBLE["digest"])

    assert (forward.exit_code, forward["artifact"]["migrated_digest"]) == (0, REVERSIBLE["digest"])
    assert forward["artifact"]["reversibility"]["reasons"] == []
    assert (back.exit_code, back["rolled_back_events"], back["source_checked"]) == (0, SOURCE["events"], True)
    assert back["rolled_back_digest"] == SOURCE["digest"]


@pytest.mark.parametrize("variant", EXPECTED["refused"])
def test_variant_is_refused(variant: str, log: Path) -> None:
    refused = call("migration-preflight", *migration(log, variant))

    assert refused.exit_code == 1
    assert refusal_of(refused) == EXPECTED["refused"][variant]
