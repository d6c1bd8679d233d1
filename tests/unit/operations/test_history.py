"""Looking at a history and at a bundle."""

import ast
import inspect

import pytest
from msgspec import UNSET

import cicsc
from unit.migration.documents import HISTORY, SOURCE, attr, event, target_document


def test_verify_without_a_bundle():
    report = cicsc.verify_history([*HISTORY, event(1, "odd", tenant_id="u", entity_type="X")])
    assert report.ok
    assert (report.events, report.streams, report.tenants) == (5, 2, 2)
    assert len(report.digest) == 64


def test_verify_with_a_bundle():
    report = cicsc.verify_history(HISTORY, bundle=SOURCE)
    assert report.ok
    assert (report.verify.entities_count, report.verify.events_count) == (1, 4)
    report = cicsc.verify_history([event(1, "paid", {"amount": -1})], bundle=SOURCE)
    assert not report.ok
    assert report.verify.violations_by_constraint == {"not_negative": 1}


def test_verify_with_an_invalid_bundle_still_looks_at_the_history():
    report = cicsc.verify_history([event(2, "opened")], bundle={"core_ir": 1})
    assert not report.ok
    assert not report.bundle_valid.ok
    assert report.history_integrity.counts == {"SEQ_GAP": 1}
    assert (len(report.digest), report.streams, report.tenants) == (64, 1, 1)
    assert cicsc.verify_history([{}]).digest is None


def test_replay_gives_a_snapshot_for_each_entity():
    snapshots = list(cicsc.replay_history([*HISTORY, event(1, "opened", entity_id="0")], SOURCE))
    assert [(one.entity_id, one.state, one.updated_ts, one.last_seq) for one in snapshots] == [
        ("0", "open", 100, 1),
        ("1", "closed", 400, 4),
    ]
    assert (snapshots[1].attrs, snapshots[1].shadows) == ({"balance": 5}, {"payments": 5})


def test_replay_step_by_step_of_one_entity():
    snapshots = list(
        cicsc.replay_history([*HISTORY, event(1, "opened", entity_id="0")], SOURCE, entity=("Account", "1"), steps=True)
    )
    assert [one.state for one in snapshots] == ["open", "open", "open", "closed"]
    assert snapshots[2].attrs == {"owner": "Ann", "balance": 5}


@pytest.mark.parametrize(
    ("events", "options", "code", "count"),
    [
        ([event(1, "opened"), event(3, "closed")], {}, "HISTORY_NOT_INTACT", 1),
        ([event(1, "opened"), event(2, "odd")], {}, "NOT_REPLAYABLE", 1),
        ([event(1, "opened"), event(2, "odd")], {"steps": True}, "NOT_REPLAYABLE", 1),
        (HISTORY, {"entity": ("Account", "9")}, "NO_SUCH_ENTITY", 0),
        ([event(1, "e", entity_type="X")], {}, "NOT_REPLAYABLE", 1),
    ],
)
def test_faults_are_raised_after_all_snapshots(events, options, code, count):
    seen = []
    with pytest.raises(cicsc.HistoryError) as raised:
        seen.extend(cicsc.replay_history(events, SOURCE, **options))
    assert raised.value.code == code
    assert raised.value.exit_code == 1
    assert len(seen) == count


def test_a_tenant_without_events_is_refused():
    with pytest.raises(cicsc.UsageError, match="tenant 'u' has no events in the history"):
        cicsc.verify_history(HISTORY, tenants=["t", "u"])
    with pytest.raises(cicsc.UsageError, match="tenant 'u' has no events in the history"):
        list(cicsc.replay_history(HISTORY, SOURCE, tenants=["u"]))


def test_validate_bundle():
    report = cicsc.validate_bundle(SOURCE)
    assert (report.ok, report.problems, report.problems_total) == (True, [], 0)
    assert report.digest == cicsc.load_bundle(SOURCE).digest
    report = cicsc.validate_bundle({"core_ir": {"version": 0, "types": {"T": 1, "U": 2}}})
    assert (report.ok, report.digest, report.problems_total) == (False, None, 2)


def test_validate_bundle_warns_of_a_migration_that_its_target_refuses_before_other_doubts():
    document = target_document({"state_map": {"open": "activ"}})
    document["core_ir"]["constraints"]["not_negative"]["expr"] = attr("balanse")
    report = cicsc.validate_bundle(document)
    assert (report.ok, report.warnings_total) == (True, 2)
    assert [warning.path for warning in report.warnings] == [
        "$.core_ir.migrations.m.state_map.open",
        "$.core_ir.constraints.not_negative.expr.var.attrs.field",
    ]
    assert report.warnings[0].message.startswith("state 'open' of entity type 'Account' is mapped to 'activ'")


def test_validate_bundle_without_a_warning_has_none():
    report = cicsc.validate_bundle(target_document())
    assert (report.warnings, report.warnings_total) == (UNSET, UNSET)


def test_public_names():
    assert sorted(cicsc.__all__) == cicsc.__all__
    for name in cicsc.__all__:
        assert getattr(cicsc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        _ = cicsc.missing


def test_a_type_checker_sees_no_names_but_the_public_ones():
    module = ast.parse(inspect.getsource(cicsc))
    assert "__getattr__" not in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}
