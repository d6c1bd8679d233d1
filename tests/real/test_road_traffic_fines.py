"""Traffic fines of a local police force: 561,470 events of 150,370 fines.

Version 2 counts whole cents, merges the steps of an appeal, lets points and dismissals be events of their
own and forgets letters about results. What `expected.json` says was computed independently of the product. Variants
that need no needle in a haystack are refused on an excerpt, every fine whose number starts with one letter.
"""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from real.calling import call
from real.refusal import refusal_of

pytestmark = pytest.mark.slow

BUNDLES = Path(__file__).parent / "road_traffic_fines"
EXPECTED = json.loads((BUNDLES / "expected.json").read_bytes())
SOURCE, NEXT, REVERSIBLE, EXCERPT = (EXPECTED[part] for part in ("source", "next", "reversible", "excerpt"))


@pytest.fixture(scope="module")
def log(real_logs: Path) -> Path:
    return real_logs / "road_traffic_fines.jsonl.gz"


@pytest.fixture(scope="module")
def excerpt(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fine whose number starts with one letter, in the order of the log."""
    path = tmp_path_factory.mktemp("fines") / "excerpt.jsonl"
    start = f'"entity_id":"{EXCERPT["entity_id_prefix"]}'.encode()
    with gzip.open(log) as lines, path.open("wb") as file:
        file.writelines(line for line in lines if start in line)
    return path


def migration(events: Path, variant: str = "") -> list[object]:
    """The flags of the migration to version 2, or to a variant of it."""
    target = BUNDLES / variant / "to.json"
    return ["--from", BUNDLES / "from.json", "--to", target, "--events", events, "--migration", NEXT["migration"]]


def test_version_2_means_the_same_in_whole_cents(log: Path) -> None:
    dry_run = call("migration-dry-run", *migration(log))

    artifact = dry_run["artifact"]
    assert dry_run.exit_code == 0
    assert (artifact["source_events"], artifact["migrated_events"]) == (SOURCE["events"], NEXT["events"])
    assert (artifact["source_digest"], artifact["migrated_digest"]) == (SOURCE["digest"], NEXT["digest"])
    assert artifact["from_bundle_digest"] == SOURCE["bundle_digest"]
    assert artifact["to_bundle_digest"] == NEXT["bundle_digest"]
    assert artifact["heads"] == {"police-it": {"events": SOURCE["events"], "digest": SOURCE["digest"]}}
    assert sorted(artifact["reversibility"]["reasons"]) == NEXT["no_way_back"]

    verify = artifact["preflight"]["verify"]
    for side in ("source_verify", "target_verify"):
        assert (verify[side]["entities_count"], verify[side]["constraints_count"]) == (SOURCE["entities"], 7)
        assert verify[side]["violations_total"] == 0
    assert verify["equivalence"]["streams_compared"] == SOURCE["entities"]
    assert verify["equivalence"]["diverged_by_field"] == {}
    assert "fine.attrs.result_notified_at (source only)" in verify["equivalence"]["unconstrained"]


def test_version_2_means_the_same_after_every_event(excerpt: Path) -> None:
    dry_run = call("migration-dry-run", *migration(excerpt), "--equivalence", "every-event")

    artifact = dry_run["artifact"]
    assert dry_run.exit_code == 0
    assert (artifact["source_events"], artifact["migrated_events"]) == (EXCERPT["events"], EXCERPT["next_events"])
    assert (artifact["source_digest"], artifact["migrated_digest"]) == (EXCERPT["digest"], EXCERPT["next_digest"])
    assert artifact["preflight"]["verify"]["equivalence"]["streams_compared"] == EXCERPT["entities"]


def test_renamed_history_rolls_back_to_the_very_history(log: Path, tmp_path: Path) -> None:
    to, renamed = BUNDLES / "reversible" / "to.json", tmp_path / "renamed.jsonl"
    _rename(log, to, renamed)

    flags = ["--from", BUNDLES / "from.json", "--to", to, "--events", renamed, "--migration", REVERSIBLE["migration"]]
    back = call("migration-rollback", *flags, "--expected-hash", REVERSIBLE["digest"])

    assert (back.exit_code, back["rolled_back_events"], back["source_checked"]) == (0, SOURCE["events"], True)
    assert (back["method"], back["source_digest"]) == ("structural", REVERSIBLE["digest"])
    assert back["rolled_back_digest"] == SOURCE["digest"]


def _rename(log: Path, to: Path, renamed: Path) -> None:
    """Write the log with the event types of the renaming version, without the help of the product."""
    transforms = json.loads(to.read_bytes())["core_ir"]["migrations"][REVERSIBLE["migration"]]["event_transforms"]
    names = {old.encode(): change["emit_as"].encode() for old, change in transforms.items()}
    member = re.compile(rb'(?<="event_type":")[^"]*(?=")')
    with gzip.open(log) as lines, renamed.open("wb") as file:
        file.writelines(member.sub(lambda old: names[old[0]], line, count=1) for line in lines)


@pytest.mark.parametrize("variant", EXPECTED["refused"])
def test_variant_is_refused_on_the_complete_log(variant: str, log: Path) -> None:
    refused = call("migration-preflight", *migration(log, variant))

    assert refused.exit_code == 1
    assert refusal_of(refused) == EXPECTED["refused"][variant]


@pytest.mark.parametrize("variant", EXCERPT["refused"])
def test_variant_is_refused_on_an_excerpt(variant: str, excerpt: Path) -> None:
    refused = call("migration-preflight", *migration(excerpt, variant))

    assert refused.exit_code == 1
    assert refusal_of(refused) == EXCERPT["refused"][variant]
