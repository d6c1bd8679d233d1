"""Preflight and dry run: checks, what is skipped, what is written."""

import copy
import json

import pytest

import cicsc
from cicsc.history.model import event_fields
from unit.migration.documents import HISTORY, SOURCE, event, lit, target_document

CHECKS = [
    "from_bundle_valid", "to_bundle_valid", "migration_exists", "version_forward", "migration_total", "history_integrity", "replay_verification",
]  # fmt: skip


def changed(document, change):
    made = copy.deepcopy(document)
    change(made)
    return made


def run(source=None, target=None, events=HISTORY, migration="m", **options):
    return cicsc.preflight(source or SOURCE, target or target_document(), events, migration, **options)


def outcome(report):
    """Each check as ok, failed or skipped."""
    checks = {name: getattr(report.checks, name) for name in CHECKS}
    return {name: "skipped" if check.skipped else "ok" if check.ok else "failed" for name, check in checks.items()}


def all_but(**others):
    return dict.fromkeys(CHECKS, "ok") | others


def test_everything_holds():
    report = run()
    assert report.ok
    assert outcome(report) == all_but()
    assert (report.verify.source_events, report.verify.migrated_events) == (4, 3)
    assert report.reversibility.reasons == ["dropped event 'pinged'"]


def test_an_invalid_source_leaves_what_can_run():
    report = run(
        source=changed(SOURCE, lambda d: d["core_ir"].pop("types")), events=[event(1, "opened"), event(3, "closed")]
    )
    assert outcome(report) == all_but(
        from_bundle_valid="failed", migration_total="skipped", history_integrity="failed", replay_verification="skipped"
    )
    assert report.checks.from_bundle_valid.problems[0].path.startswith("$.core_ir")
    assert isinstance(report.verify, type(report.checks.migration_exists.detail))


def test_an_invalid_target_skips_what_needs_it():
    report = run(target=changed(target_document(), lambda d: d["core_ir"].update(types=7)))
    assert outcome(report) == all_but(
        to_bundle_valid="failed", migration_exists="skipped", version_forward="skipped", migration_total="skipped", replay_verification="skipped"
    )  # fmt: skip


def test_an_unknown_migration_is_named():
    report = run(migration="mm")
    assert outcome(report) == all_but(
        migration_exists="failed", version_forward="skipped", migration_total="skipped", replay_verification="skipped"
    )
    assert report.checks.migration_exists.detail == "migration 'mm' is not in the target bundle, did you mean 'm'?"


@pytest.mark.parametrize(
    ("source", "held", "found"),
    [
        (None, {}, ", which has none"),
        (None, {"unlike": target_document()["core_ir"]["migrations"]["m"]}, ", which has 'unlike'"),
        (target_document(), {}, ", but in the source bundle: are the two the wrong way round?"),
    ],
)
def test_a_migration_that_is_elsewhere_is_looked_for(source, held, found):
    report = run(
        source=source or SOURCE, target=changed(target_document(), lambda d: d["core_ir"].update(migrations=held))
    )
    assert report.checks.migration_exists.detail == f"migration 'm' is not in the target bundle{found}"


@pytest.mark.parametrize(
    ("from_version", "to_version", "source", "target", "detail"),
    [
        (2, 2, None, None, "expected from_version < to_version, found 2 and 2"),
        (1, 2, 3, 2, "the source bundle is version 3, the migration expects 1"),
        (1, 2, 1, 4, "the target bundle is version 4, the migration expects 2"),
        (3, 2, 1, 1, "expected from_version < to_version, found 3 and 2; the source bundle is version 1, the migration expects 3; the target bundle is version 1, the migration expects 2"),
    ],
)  # fmt: skip
def test_versions(from_version, to_version, source, target, detail):
    def version(number):
        return lambda d: d.pop("bundle_version") if number is None else d.update(bundle_version=number)

    after = changed(target_document({"from_version": from_version, "to_version": to_version}), version(target))
    report = run(changed(SOURCE, version(source)), after)
    assert outcome(report) == all_but(version_forward="failed")
    assert report.checks.version_forward.detail == detail


def test_holes_do_not_keep_the_replay_from_running():
    report = run(target=target_document({"state_map": {}}))
    assert outcome(report) == all_but(migration_total="failed")
    assert report.checks.migration_total.problems_total == 1
    assert report.verify.ok


def test_warnings_do_not_block():
    report = run(target=target_document({"state_map": {"open": "active", "opn": "active"}}))
    assert report.ok
    assert report.checks.migration_total.warnings == [
        "state 'opn' is mapped, but is no state of entity type 'Account' of the source, did you mean 'open'?"
    ]
    report = run(target=target_document({"state_map": {"opn": "active"}}))
    assert len(report.checks.migration_total.warnings) == 1


def test_broken_streams_are_counted_beside_the_verdict_on_the_others():
    report = run(events=[*HISTORY, event(2, "opened", entity_id="2")])
    assert outcome(report) == all_but(history_integrity="failed", replay_verification="failed")
    assert report.checks.replay_verification.detail == "1 stream is not intact and not replayed"
    assert report.verify.ok
    report = run(events=[event(1, "paid", {"amount": -1}), event(2, "opened", entity_id="2")])
    assert report.checks.replay_verification.detail.startswith(
        "1 stream is not intact and not replayed; source history: constraint"
    )


def test_violations_of_the_source_can_be_accepted_by_name():
    events = [event(1, "paid", {"amount": -1})]
    loose = changed(target_document(), lambda d: d["core_ir"].update(constraints={}))
    report = run(target=loose, events=events)
    assert outcome(report) == all_but(replay_verification="failed")
    assert (
        report.verify.error
        == "source history: constraint 'not_negative' does not hold for stream ('t', 'Account', '1')"
    )
    report = run(target=loose, events=events, accept_source_violations=["not_negative"])
    assert report.ok
    assert report.accepted_source_violations == ["not_negative"]
    assert report.verify.source_verify.violations[0].accepted
    assert report.verify.source_verify.violations_by_constraint == {"not_negative": 1}
    report = run(events=events, accept_source_violations=["not_negative"])
    assert report.verify.error.startswith("target history")


def test_the_error_counts_what_is_not_accepted():
    never = {"kind": "snapshot", "on_type": "Account", "expr": lit(False)}
    source = changed(SOURCE, lambda d: d["core_ir"]["constraints"].update(never=never))
    events = [event(1, "paid", {"amount": -1}, entity_id=name) for name in ("1", "2", "3")]
    error = "source history: constraint 'never' does not hold for stream ('t', 'Account', '1')"
    report = run(source=source, events=events, accept_source_violations=["not_negative"])
    assert (report.verify.source_verify.violations_total, report.verify.error) == (6, f"{error} (3 violations)")
    report = run(source=source, events=events[:1], accept_source_violations=["not_negative"])
    assert (report.verify.source_verify.violations_total, report.verify.error) == (2, error)


def test_an_unknown_constraint_cannot_be_accepted():
    with pytest.raises(
        cicsc.UsageError, match=r"cannot accept violations of 'not_negativ'.*did you mean 'not_negative'"
    ):
        run(accept_source_violations=["not_negativ"])
    assert not run(source={"core_ir": 1}, accept_source_violations=["x"]).ok


def test_replay_findings_cannot_be_accepted():
    source = changed(
        SOURCE, lambda d: d["core_ir"]["constraints"].update(replay=d["core_ir"]["constraints"]["not_negative"])
    )
    report = run(source=source, events=[event(1, "odd")], accept_source_violations=["replay"])
    assert not report.verify.source_verify.ok
    assert report.verify.source_verify.violations[0].kind == "replay"


def test_the_expected_digest():
    digest = cicsc.verify_history(HISTORY).digest
    assert run(expected_hash=digest).ok
    assert run(expected_hash=digest.upper()).ok
    report = run(expected_hash="0" * 64)
    assert outcome(report) == all_but(history_integrity="failed")
    assert report.checks.history_integrity.counts == {"HASH_MISMATCH": 1}
    assert digest in report.checks.history_integrity.findings[0]["message"]


def recent(core):
    core["core_ir"]["constraints"] = {
        "recent": {"kind": "snapshot", "on_type": "Account", "expr": {"eq": [{"var": {"now": True}}, lit(400)]}}
    }


def test_now_defaults_to_the_largest_ts():
    assert run(changed(SOURCE, recent), changed(target_document(), recent)).ok
    assert not run(changed(SOURCE, recent), changed(target_document(), recent), now=401).ok


def test_tenants_restrict():
    events = [*HISTORY, event(1, "paid", {"amount": -1}, tenant_id="u")]
    assert not run(events=events).ok
    assert run(events=events, tenants=["t"]).ok
    with pytest.raises(cicsc.UsageError, match="tenant 'v' has no events in the history"):
        run(events=events, tenants=["t", "v"])


def test_divergence_and_gate():
    def forget(document):
        document["core_ir"]["types"]["Account"]["reducer"]["account_opened"] = []

    target = changed(target_document(), forget)
    assert run(target=target, events=HISTORY).ok
    report = run(target=target, events=HISTORY, equivalence="every-event")
    assert report.verify.equivalence.gate == "every-event"
    assert report.verify.equivalence.example.seq == 1
    assert report.verify.error == "stream ('t', 'Account', '1') diverges in state at seq 1"


def test_fan_outs_without_a_true_condition_are_reported():
    migration = {
        "event_transforms": {
            "opened": {"emit_as": "account_opened"},
            "pinged": {"fan_out": {"emit_many": [{"emit_as": "paid", "condition": lit(0)}]}},
        }
    }
    assert run(target=target_document(migration)).verify.fan_out_unmatched == {"Account": {"pinged": 1}}


def dry(tmp_path, target=None, events=HISTORY, **options):
    outputs = {
        "artifact": tmp_path / "deep" / "er" / "artifact.json",
        "out_events": tmp_path / "out.jsonl",
        "out_positions": tmp_path / "map.jsonl",
    }
    return cicsc.dry_run(SOURCE, target or target_document(), events, "m", **(outputs | options))


def test_a_dry_run_writes_artifact_events_and_positions(tmp_path):
    report = dry(tmp_path)
    assert report.ok
    artifact = json.loads((tmp_path / "deep/er/artifact.json").read_bytes())
    assert artifact == json.loads(report.artifact.to_json())
    assert artifact["version"] == "cicsc/migration-dry-run-v1"
    assert (artifact["source_events"], artifact["migrated_events"], artifact["ok"]) == (4, 3, True)
    assert artifact["heads"] == {"t": {"events": 4, "digest": artifact["source_digest"]}}
    assert artifact["from_bundle_digest"] == cicsc.load_bundle(SOURCE).digest
    assert artifact["migrated_digest"] == cicsc.verify_history(tmp_path / "out.jsonl").digest
    assert artifact["reversibility"] == artifact["preflight"]["reversibility"]
    assert [json.loads(line)["new_seq"] for line in (tmp_path / "map.jsonl").read_text().splitlines()] == [
        1,
        None,
        2,
        3,
    ]
    assert report.artifact_path == str(tmp_path / "deep/er/artifact.json")


def test_a_refused_dry_run_writes_the_artifact_only(tmp_path):
    report = dry(tmp_path, target=target_document({"state_map": {}}))
    assert not report.ok
    assert json.loads((tmp_path / "deep/er/artifact.json").read_bytes())["ok"] is False
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep"]


def test_a_dry_run_of_what_cannot_run_has_nulls(tmp_path):
    report = dry(tmp_path, target={"core_ir": 1}, events=[{"odd": 1}])
    artifact = json.loads(report.artifact.to_json())
    assert [artifact[name] for name in ("to_bundle_digest", "source_digest", "migrated_digest", "reversibility")] == [
        None
    ] * 4
    assert artifact["heads"] == {}


def test_a_dry_run_may_write_nothing():
    report = cicsc.dry_run(SOURCE, target_document(), HISTORY, "m")
    assert report.ok
    assert "artifact_path" not in json.loads(report.to_json())


@pytest.mark.parametrize("flag", ["artifact", "out_events", "out_positions"])
def test_outputs_must_not_be_inputs_or_each_other(tmp_path, flag):
    events = tmp_path / "in.jsonl"
    events.write_text("".join(json.dumps(event_fields(one)) + "\n" for one in HISTORY))
    before = events.read_bytes()
    with pytest.raises(cicsc.UsageError, match="would overwrite --events"):
        dry(tmp_path, events=events, **{flag: events})
    assert events.read_bytes() == before
    other = "artifact" if flag == "out_events" else "out_events"
    with pytest.raises(cicsc.UsageError, match="would overwrite --"):
        dry(tmp_path, events=events, **{flag: tmp_path / "same.jsonl", other: tmp_path / "same.jsonl"})
    assert not (tmp_path / "same.jsonl").exists()
