"""What the summaries say: verdict, reasons, and the next command, for each way in which a call can end."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from e2e.running import migration
from e2e.shop import MIGRATION, event, history, source, target, write
from unit.cli.calling import Call, Said


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def preflight(call: Call, *more: str, target_file: str = "bundle.v1.json", verb: str = "migration-preflight") -> Said:
    return call(*migration(verb, *more, target=target_file), "--summary", "always")


def break_a_rule(shop: Path) -> None:
    events = history()
    events[0]["payload"]["total"] = -5
    write(shop / "events.v0.json", events)


def test_yes_names_the_dry_run_with_the_same_flags(call: Call, shop: Path) -> None:
    lines = preflight(call, "--tenant", "acme", "--now", "5").err.splitlines()

    assert lines[0] == "migration v0_to_v1: safe to cut over"
    assert lines[1] == "version 0 (4 events, 2 entities) to version 1 (4 events, 2 entities)"
    assert [line.split()[0] for line in lines[3:10]] == ["ok"] * 7
    assert "--tenant acme --now 5 --artifact artifacts/migration-dry-run.json" in lines[-1]
    assert lines[-1].startswith("  cicsc migration-dry-run --from bundle.v0.json --to bundle.v1.json")


def test_yes_to_no_events_says_so(call: Call, shop: Path) -> None:
    (shop / "events.v0.json").write_text("[]")
    said = preflight(call)

    assert said.err.startswith("migration v0_to_v1: nothing is wrong, but nothing was checked either\n")


def test_divergence_shows_the_smallest_example(call: Call, shop: Path) -> None:
    lines = preflight(call, target_file="bundle.v1.diverging.json").err.splitlines()

    assert lines[0] == "migration v0_to_v1: refused: 1 of 7 checks failed"
    assert '  tenant "acme", Order "o2"' in lines
    assert '  after seq 1, event "placed"' in lines
    assert "  attrs.total: expected 7, found 8" in lines
    assert [line.split() for line in lines if line.startswith("  >")] == [[">", "attrs.total", "7", "8"]]
    assert lines[-1].endswith("--tenant acme --type Order --id o2 --steps")


def test_violations_of_the_source_can_be_accepted_by_name(call: Call, shop: Path) -> None:
    break_a_rule(shop)
    tolerant = target()
    del tolerant["core_ir"]["constraints"]["total_is_positive"]
    write(shop / "bundle.v1.json", tolerant)
    said = preflight(call)
    accepted = preflight(call, "--accept-source-violations", "total_is_positive")

    assert "source history: 1 violation (total_is_positive: 1)" in said.err
    assert said.err.count("does not hold for stream ('acme', 'Order', 'o1')") == 1
    assert said.err.splitlines()[-1].endswith("--migration v0_to_v1 --accept-source-violations total_is_positive")
    assert "- accepted: constraint 'total_is_positive'" in accepted.err
    assert "note     accepted by name: total_is_positive" in accepted.err


def test_violations_of_both_sides_have_to_be_repaired(call: Call, shop: Path) -> None:
    break_a_rule(shop)
    said = preflight(call)

    assert "source history: 1 violation (total_is_positive: 1)" in said.err
    assert "target history: 1 violation (total_is_positive: 1)" in said.err
    assert said.err.splitlines()[-1] == "next: repair the history: it violates the rules of both bundles"


def test_events_without_a_reducer_cannot_be_accepted(call: Call, shop: Path) -> None:
    write(shop / "events.v0.json", [*history(), event(4, "vanished", {})])
    said = preflight(call)

    assert "'vanished' has no reducer in the source bundle" in said.err
    assert "next: give the --from bundle that wrote this history" in said.err


def test_a_history_that_is_not_intact(call: Call, shop: Path) -> None:
    write(shop / "events.v0.json", [*history(), event(9, "paid", {}), {"a": 1}])
    said = preflight(call)

    assert "FAILED   history_integrity" in said.err
    assert "1 MALFORMED_EVENT, 1 SEQ_GAP" in said.err
    assert "not intact and not replayed" in said.err
    assert said.err.splitlines()[-1] == "  cicsc history-verify --events events.v0.json"


def test_malformed_events_are_located_for_people_only(call: Call, shop: Path) -> None:
    lines = [json.dumps(item) for item in ({**event(1, "placed", {}), "seq": "1"}, [{}])]
    (shop / "bad.jsonl").write_text("\n".join(lines))
    said = call("history-verify", "--events", "bad.jsonl", "--summary", "always")

    assert "- 'bad.jsonl' line 1 (tenant 'acme', type 'Order', id 'o1'): malformed event: seq: expected an" in said.err
    assert "- 'bad.jsonl' line 2: malformed event: expected an object, found an array" in said.err
    assert "has no events" not in said.err
    assert b"bad.jsonl" not in said.out


def test_malformed_events_are_located_in_every_assessment(call: Call, shop: Path) -> None:
    write(shop / "events.v0.json", [{**item, "ts": None} for item in history()])
    for verb in ("migration-preflight", "migration-dry-run"):
        said = preflight(call, verb=verb)
        assert "- 'events.v0.json' index 0 line 1 (tenant 'acme', type 'Order', id 'o1', seq 1): " in said.err
        assert "has no events" not in said.err


def test_a_long_place_hides_no_message(call: Call, shop: Path) -> None:
    write(shop / "events.v0.json", [{**event(1, "placed", {}, entity="o" * 5_000), "ts": None}])
    said = call("history-verify", "--events", "events.v0.json", "--summary", "always")

    assert "malformed event: ts: expected an integer" in " ".join(said.err.split())
    assert len(said.err) < 1_000


def test_holes_of_a_migration(call: Call, shop: Path) -> None:
    body = copy.deepcopy(MIGRATION)
    body["event_transforms"] = {"placed": {"emit_as": "order_plced"}}
    write(shop / "holes.json", target(migration=body))
    said = preflight(call, target_file="holes.json")

    assert "FAILED   migration_total" in said.err
    assert said.err.count("'paid' of entity type 'Order' is carried over") == 1
    assert "next: map or drop in the migration what is named above" in said.err


def test_a_bundle_that_is_not_valid_skips_what_needs_it(call: Call, shop: Path) -> None:
    document = target()
    document["core_ir"]["types"]["Order"]["initial_state"] = "elsewhere"
    write(shop / "bad.json", document)
    said = preflight(call, target_file="bad.json")

    assert "refused: 1 of 7 checks failed" in said.err
    assert said.err.count("  skipped  ") == 4
    assert said.err.splitlines()[-1] == "  cicsc bundle-validate bad.json"


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        (("--migration", "v0_to_v2"), "next: name a migration of the --to bundle in --migration"),
        (("--from", "bundle.v1.json"), "next: correct the versions, or give the bundles that the migration is for"),
    ],
)
def test_wrong_bundles_or_migration(call: Call, shop: Path, words: tuple[str, str], next_step: str) -> None:
    flags = {
        "--from": "bundle.v0.json",
        "--to": "bundle.v1.json",
        "--events": "events.v0.json",
        "--migration": "v0_to_v1",
    }
    flags[words[0]] = words[1]
    said = call("migration-preflight", *(word for flag in flags.items() for word in flag), "--summary", "always")

    assert said.code == 1
    assert next_step in said.err


def test_dry_run_names_what_it_wrote_and_what_is_still_missing(call: Call, shop: Path) -> None:
    bare = preflight(call, verb="migration-dry-run")
    recorded = preflight(call, "--artifact", "a.json", verb="migration-dry-run")
    complete = preflight(call, "--artifact", "a.json", "--out-events", "e.jsonl", verb="migration-dry-run")

    assert bare.err.splitlines()[-1].endswith("--migration v0_to_v1 --artifact artifacts/migration-dry-run.json")
    assert "artifact       a.json" in recorded.err
    assert recorded.err.splitlines()[-1].endswith("--out-events events.migrated.jsonl")
    assert "events         e.jsonl" in complete.err
    assert "next: cut over (runbook, chapter 3)" in complete.err
    assert len(complete.report["artifact"]["source_digest"]) == 64


def test_refused_dry_run_says_that_events_were_not_written(call: Call, shop: Path) -> None:
    words = ("--artifact", "a.json", "--out-events", "e.jsonl")
    said = preflight(call, *words, target_file="bundle.v1.diverging.json", verb="migration-dry-run")

    assert said.code == 1
    assert "events         not written" in said.err
    assert (shop / "a.json").exists()
    assert not (shop / "e.jsonl").exists()


def test_rollback_from_check_to_verified_file(call: Call, shop: Path) -> None:
    preflight(call, "--out-events", "events.v1.jsonl", verb="migration-dry-run")
    words = ("migration-rollback", "--to", "bundle.v1.json", "--events", "events.v1.jsonl", "--migration", "v0_to_v1")
    check = call(*words, "--summary", "always")
    done = call(*words, "--from", "bundle.v0.json", "--out-events", "back.jsonl", "--summary", "always")

    assert check.err.startswith(
        "rollback of v0_to_v1: safe, nothing was written yet\n5 events taken back (structural)\n"
    )
    assert "not replayed: the bundle before the migration was not given with --from" in check.err
    assert check.err.splitlines()[-1].endswith("--out-events events.rolledback.jsonl")
    assert done.err.startswith("rollback of v0_to_v1: done\n")
    assert done.err.splitlines()[-1] == "  cicsc history-verify --bundle bundle.v0.json --events back.jsonl"


def test_refused_rollback_lists_the_obstacles(call: Call, shop: Path) -> None:
    body = copy.deepcopy(MIGRATION)
    body["event_transforms"]["noted"] = {"drop": True}
    write(shop / "bundle.v1.json", target(migration=body))
    words = ("migration-rollback", "--to", "bundle.v1.json", "--events", "events.v0.json", "--migration", "v0_to_v1")
    said = call(*words, "--summary", "always")

    assert said.code == 1
    assert said.err.splitlines()[0].startswith("rollback of v0_to_v1: refused, ")
    assert "  - dropped event 'noted'" in said.err.splitlines()


def test_history_verdicts(call: Call, shop: Path) -> None:
    words = ("history-verify", "--events", "events.v0.json", "--summary", "always")
    intact = call(*words)
    refused = call(*words, "--bundle", "bundle.v1.json")
    moved = call(*words, "--expected-hash", "0" * 64)

    assert intact.err.startswith("history: intact\n5 events in 3 streams of 2 tenants\ndigest ")
    assert refused.err.startswith("history: intact, but its bundle does not accept it\n")
    assert "event type 'placed' has no reducer in the bundle" in refused.err
    assert "source bundle" not in refused.err
    assert "next: repair the history, or give the bundle that wrote it" in refused.err
    assert moved.err.startswith("history: intact, but not the one that was expected\n")
    assert "HASH_MISMATCH" in moved.err


def test_violations_name_the_replay_that_shows_the_values(call: Call, shop: Path) -> None:
    break_a_rule(shop)
    words = ("history-verify", "--events", "events.v0.json", "--bundle", "bundle.v0.json", "--summary", "always")
    lines = [*call(*words).err.splitlines(), *preflight(call).err.splitlines()]
    shown = [line.split() for line in lines if line.startswith("  cicsc history-replay ")]

    assert lines.count("next: see what violates total_is_positive, step by step") == len(shown) == 2
    for command in shown:
        assert command[-7:] == ["--tenant", "acme", "--type", "Order", "--id", "o1", "--steps"]
        assert json.loads(call(*command[1:]).out.splitlines()[0])["attrs"] == {"total": -5}


def test_violations_of_a_query_name_no_replay(call: Call, shop: Path) -> None:
    document = source()
    query = {"source": {"snap": {"type": "Order"}}, "pipeline": []}
    never = {"kind": "bool_query", "on_type": "Order", "args": {}, "query": query, "assert": {"lit": {"bool": False}}}
    document["core_ir"]["constraints"] = {"never": never}
    write(shop / "never.json", document)
    said = call("history-verify", "--events", "events.v0.json", "--bundle", "never.json", "--summary", "always")

    assert (said.code, "violations (never:" in said.err, "step by step" in said.err) == (1, True, False)


def test_history_of_a_bundle_that_is_not_valid(call: Call, shop: Path) -> None:
    write(shop / "bad.json", {"core_ir": {}})
    said = call("history-verify", "--events", "events.v0.json", "--bundle", "bad.json", "--summary", "always")

    assert said.err.startswith("history: intact, but its bundle is not valid\n")
    assert said.err.splitlines()[-1] == "  cicsc bundle-validate bad.json"


def test_long_lists_are_cut_and_say_so(call: Call, shop: Path) -> None:
    write(shop / "events.v0.json", [event(2, "paid", {}, entity=f"o{number}") for number in range(50)])
    said = preflight(call)

    assert said.err.count("expected seq 1, found 2") == 3
    assert "- and 47 more" in said.err


def test_a_replay_says_how_many_snapshots_there_were(call: Call, shop: Path) -> None:
    said = call("history-replay", "--events", "events.v0.json", "--bundle", "bundle.v0.json", "--summary", "always")

    assert said.err == "replay: complete, 3 snapshots\n"
