"""The journal of runs, step by step: each in order, out of order, and by a run that has the tenant no more."""

from __future__ import annotations

from operator import itemgetter

import pytest
from msgspec.structs import replace

from cicsc.errors import FenceError
from cicsc.history.runs import KeyRange
from cicsc.store.encoding import PlacedRow, RowsHasher
from cicsc.store.journal import exhaust
from cicsc.store.protocol import Store
from cicsc.store.records import Phase, Run
from conformance.store.desk import Desk, Plain
from conformance.store.history import BUNDLE, NEXT_BUNDLE, append, event, stored
from conformance.store.running import (
    LEASE_S,
    PHASES,
    PLAN,
    STEPS,
    begin,
    code_of,
    cut_over,
    dump,
    fence,
    outlive,
    placed,
    renamed,
    run_in,
    staged,
    verified,
)

ALLOWED: dict[str, tuple[Phase, ...]] = {
    "aim": ("PLANNED",),
    "keep": ("PLANNED", "FENCED", "VERIFIED", "STAGED", "SWITCHED", "ABORTED"),
    "fence": ("PLANNED",),
    "stage": ("FENCED", "VERIFIED"),
    "verified": ("FENCED",),
    "staged": ("VERIFIED",),
    "switch": ("STAGED",),
    "finish": ("SWITCHED",),
    "abort": ("PLANNED", "FENCED", "VERIFIED", "STAGED"),
    "sweep": ("ABORTED",),
}
"""The phases in which a step may be done."""

PAUSED: tuple[Phase, ...] = ("FENCED", "VERIFIED", "STAGED")


@pytest.fixture(autouse=True)
def history(store: Store) -> None:
    append(store, event(seq=1), event(seq=2, event_type="paid"), event("2"))


def step_refusal(store: Store, step: str, run: Run) -> str:
    return code_of(lambda: STEPS[step](store, run))


# --------------------------------------------------------------------------------------------- in order


def test_run_takes_an_open_tenant(store: Store) -> None:
    head = store.head("t")

    run = store.runs.begin("t", "r1", PLAN, lease_s=60)

    gate = store.gate("t")
    assert (gate.state, gate.owner, gate.epoch) == ("open", "r1", 2)
    assert (run.run_id, run.tenant_id, run.kind, run.actor_id, run.phase, run.epoch) == (
        ("r1", "t", "cutover", "ann", "PLANNED", 2)
    )
    assert (run.plan_digest, run.migration_id) == ("plan", "rename")
    assert (run.source_bundle, run.source_version, run.source_generation) == (BUNDLE.digest, 3, 1)
    assert run.head_position == head.position
    assert 55_000 < run.lease_until_ms - gate.clock_ms <= 60_000
    append(store, event("3"))


def test_run_says_where_it_leads(store: Store) -> None:
    run = begin(store)

    assert (run.method, run.target_bundle, run.target_version) == ("migrate", NEXT_BUNDLE.digest, 4)
    assert run == store.runs.run("t", "r1") == store.runs.holder("t")


def test_fence_refuses_writes_and_reads_the_head(store: Store) -> None:
    run = begin(store)
    append(store, event("3"))

    run = store.runs.fence(run, lease_s=30, max_pause_s=90)

    gate, head = store.gate("t"), store.head("t")
    assert (gate.state, gate.owner, gate.epoch, gate.staging_generation) == ("paused", "r1", 3, 2)
    assert (run.phase, run.epoch, run.target_generation) == ("FENCED", 3, 2)
    assert (run.head_position, run.head_count) == (head.position, 4)
    assert (run.lease_until_ms, gate.pause_deadline_ms) == (gate.lease_until_ms, run.paused_at_ms + 90_000)
    assert run.lease_until_ms == run.paused_at_ms + 30_000
    assert code_of(lambda: append(store, event("4"))) == "TENANT_PAUSED"


def test_kept_generation_is_switched_to_without_staging(store: Store) -> None:
    cut_over(store)
    run = begin(store, "r2")

    run = store.runs.fence(run, lease_s=30, max_pause_s=90, generation=1)

    assert (run.target_generation, store.gate("t").staging_generation) == (1, None)


def test_verification_is_recorded(store: Store) -> None:
    run = run_in(store, "FENCED")

    run = store.runs.verified(run, head_digest="of the head", target_count=3, target_digest="of the target")

    assert (run.phase, run.head_digest, run.target_count, run.target_digest) == (
        ("VERIFIED", "of the head", 3, "of the target")
    )
    assert run.verified_at_ms >= run.paused_at_ms


HOSTILE = ("\\N", "a\tb", "a\nb", "\\.", "\r", "\b\f\v", "'; drop table event", "é\U0001f9ea", "\\", "")


def hostile_rows() -> list[PlacedRow]:
    """Rows whose texts are all that a form for copying might take for something else."""
    rows = [
        row
        for number, text in enumerate(HOSTILE, 1)
        for row in placed(
            event(text, 1, f"type {text}", payload={text: [text, 0.5, None]}, extra={"more": text}),
            event(text, 2, text, entity_type="Order", payload={"a": 1}),
            event("1", 1, entity_type=f"Kind {text}"),
            position=number,
        )
    ]
    return [*rows, *placed(*(event("many", seq) for seq in range(1, 4_001)), position=99)]


def test_rows_are_read_back_as_they_were_written(store: Store) -> None:
    rows, seen, ticks = hostile_rows(), RowsHasher(), []
    rows.sort(key=itemgetter(2, 3, 4))
    run = fence(store, begin(store))
    for some in (rows[:5], [], rows[5:2_500], rows[2_500:]):
        store.runs.stage(run, staged(some), (), seen)

    with store.reading("t") as reading:
        found = reading.sum_rows(2, ticks.append)
        assert list(reading.rows(2)) == rows
        assert reading.sum_rows(1, lambda _: None).hexdigest() != seen.hexdigest()
    assert (found.count, found.hexdigest()) == (seen.count, seen.hexdigest()) == (len(rows), seen.hexdigest())
    assert len(ticks) > 1
    assert sum(ticks) == len(rows)


def test_shares_of_rows_are_summed_up(store: Store) -> None:
    rows = sorted(hostile_rows(), key=itemgetter(2, 3, 4))
    keys = sorted({("t", *row[2:4]) for row in rows})
    run = fence(store, begin(store))
    store.runs.stage(run, staged(rows))
    for first, end in ((None, keys[0]), (keys[0], keys[3]), (keys[3], keys[-1]), (keys[-1], None), (keys[2], keys[2])):
        wanted = [row for row in rows if (first or ()) <= ("t", *row[2:4]) and (not end or ("t", *row[2:4]) < end)]
        with store.reading("t") as reading:
            found = reading.sum_rows(2, lambda _: None, within=KeyRange(first, end))
            assert found.count == len(wanted) == len(list(reading.rows(2, within=KeyRange(first, end))))


def test_a_row_that_was_changed_is_told_by_the_sum(store: Store) -> None:
    seen, rows = RowsHasher(), renamed(store)
    run = fence(store, begin(store))
    store.runs.stage(run, staged(rows), (), seen)
    store.runs.abort(run, reason="as ordered", lease_s=LEASE_S)
    exhaust(store.runs.sweep(store.runs.run("t", "r1"), lease_s=LEASE_S))
    run = fence(store, begin(store, "r2"))
    position, ordinal, entity_type, entity_id, seq, event_type, _, *rest = rows[0]
    spoilt = (position, ordinal, entity_type, entity_id, seq, event_type, '{"more":1}', *rest)
    store.runs.stage(run, staged([spoilt, *rows[1:]]))

    with store.reading("t") as reading:
        found = reading.sum_rows(run.target_generation, lambda _: None)
    assert (found.count, found.hexdigest() == seen.hexdigest()) == (seen.count, False)


def test_head_of_a_run_is_known_from_the_fence_on(store: Store) -> None:
    run = begin(store)
    with pytest.raises(ValueError, match="fenced nothing"):
        _ = run.head

    assert fence(store, run).head == store.head("t")


def test_staging_may_go_on_after_the_verification(store: Store) -> None:
    run = verified(store, fence(store, begin(store)))
    store.runs.stage(run, staged(renamed(store)))

    assert store.runs.staged(run).phase == "STAGED"


def test_switch_makes_active_and_opens_at_once(store: Store) -> None:
    run = store.runs.switch(run_in(store, "STAGED"))

    gate = store.gate("t")
    assert (gate.state, gate.owner, gate.epoch, gate.lease_until_ms, gate.staging_generation) == (
        ("open", "r1", 4, None, None)
    )
    assert (gate.active_version, gate.active_bundle, gate.active_generation) == (4, NEXT_BUNDLE.digest, 2)
    assert (run.phase, run.epoch, run.resumed_by) == ("SWITCHED", 4, "switch")
    assert run.paused_at_ms <= run.verified_at_ms <= run.switched_at_ms == run.resumed_at_ms
    assert [found.event_type for found in stored(store)] == ["created", "settled", "created"]
    append(store, event("3", event_type="settled"), generation=2)


def test_run_ends_with_its_report(store: Store) -> None:
    run = store.runs.finish(run_in(store, "SWITCHED"), report='{"ok": true}')

    assert (run.phase, run.report) == ("DONE", '{"ok": true}')
    assert run.ended_ms >= run.switched_at_ms
    assert (store.gate("t").owner, store.runs.holder("t")) == (None, None)
    assert begin(store, "r2").source_generation == 2


def test_steps_are_in_the_audit(store: Store) -> None:
    cut_over(store)

    actions = [entry.action for entry in store.audit("t")]
    assert actions[-4:] == ["cutover-begin", "cutover-fence", "cutover-switch", "cutover-end"]
    assert {entry.detail["run"] for entry in list(store.audit("t"))[-4:]} == {"r1"}


def test_runs_are_listed_from_the_oldest(store: Store) -> None:
    cut_over(store)
    begin(store, "r0")

    assert [run.run_id for run in store.runs.of_tenant("t")] == ["r1", "r0"]


# ----------------------------------------------------------------------------------------- out of order


@pytest.mark.parametrize(
    ("step", "phase"), [(step, phase) for step in STEPS for phase in PHASES if phase not in ALLOWED[step]]
)
def test_step_out_of_order_changes_nothing(store: Store, plain: Plain, step: str, phase: Phase) -> None:
    run = run_in(store, phase)
    before = dump(plain)

    code = step_refusal(store, step, run)

    # A generation that no run was given, or is active by now, is refused by the fence before anything else.
    assert code == "RUN_LOST" or step in {"stage", "switch"}
    assert dump(plain) == before


@pytest.mark.parametrize(("step", "phase"), [(step, phase) for step in STEPS for phase in ALLOWED[step]])
def test_step_in_order_is_done(store: Store, plain: Plain, step: str, phase: Phase) -> None:
    run = run_in(store, phase)
    before = dump(plain)

    STEPS[step](store, run)

    assert dump(plain) != before


# --------------------------------------------------------------------- by who has the tenant no more


@pytest.mark.parametrize(("step", "phase"), [(step, phase) for step in STEPS for phase in ALLOWED[step]])
@pytest.mark.parametrize("by", [-1, 1])
def test_stale_epoch_changes_nothing(store: Store, plain: Plain, step: str, phase: Phase, by: int) -> None:
    run = run_in(store, phase)
    before = dump(plain)

    assert step_refusal(store, step, replace(run, epoch=run.epoch + by)) == "RUN_LOST"

    assert dump(plain) == before


@pytest.mark.parametrize(("step", "phase"), [(step, phase) for step in STEPS for phase in ALLOWED[step]])
def test_run_that_was_taken_over_changes_nothing(
    desk: Desk, store: Store, plain: Plain, step: str, phase: Phase
) -> None:
    run = run_in(store, phase)
    with desk.open() as other:
        other.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=run.epoch)
    before = dump(plain)

    assert step_refusal(store, step, run) == "RUN_LOST"

    assert dump(plain) == before


@pytest.mark.parametrize(
    ("step", "phase"),
    [
        ("keep", "PLANNED"),
        ("fence", "PLANNED"),
        *[("keep", phase) for phase in PAUSED],
        ("stage", "FENCED"),
        ("verified", "FENCED"),
        ("staged", "VERIFIED"),
        ("switch", "STAGED"),
        ("keep", "ABORTED"),
        ("sweep", "ABORTED"),
    ],
)
def test_run_whose_lease_is_over_changes_nothing(store: Store, plain: Plain, step: str, phase: Phase) -> None:
    run = run_in(store, phase, lease_s=0.02)
    outlive(store, run)
    before = dump(plain)

    assert step_refusal(store, step, run) == "LEASE_OVER"

    assert dump(plain) == before


def test_other_runs_name_does_not_help(store: Store, plain: Plain) -> None:
    run = replace(run_in(store, "STAGED"), run_id="r2")
    before = dump(plain)

    for step in ("keep", "stage", "verified", "staged", "switch", "abort", "finish"):
        assert step_refusal(store, step, run) == "RUN_LOST"

    assert dump(plain) == before


def test_message_says_who_has_the_tenant(store: Store) -> None:
    run = run_in(store, "STAGED")
    store.runs.claim("t", "r1", lease_s=60, actor_id="bob", epoch=run.epoch)

    with pytest.raises(FenceError, match=r"cannot switch tenant 't' as run r1 at epoch 3.*epoch 4") as caught:
        store.runs.switch(run)
    assert caught.value.hint is not None


def test_late_run_may_still_let_the_tenant_go(store: Store) -> None:
    run = run_in(store, "STAGED", lease_s=0.02)
    outlive(store, run)

    aborted = store.runs.abort(run, reason="late", lease_s=LEASE_S)

    assert (aborted.phase, aborted.resumed_by, aborted.resumed_at_ms) == ("ABORTED", "lease", run.lease_until_ms)


def test_late_run_may_still_say_that_it_is_done(store: Store) -> None:
    run = store.runs.keep(run_in(store, "SWITCHED"), lease_s=0.02)
    outlive(store, run)

    assert store.runs.finish(run, report="{}").phase == "DONE"
