"""What the summaries about live tenants say: verdict, reasons, and the next command, for each way in which it can end."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from cicsc.store import open_store
from conformance.operations.dying import fenced, wait_for_lease
from e2e.live import CUTOVER, STORE, lay_out_store, orders, violate
from e2e.running import migration
from unit.cli.calling import Call

ONE = (*CUTOVER, "--tenant", "acme")
STORED = "--store sqlite:///store.db"


@pytest.fixture(autouse=True)
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A store with three tenants, in the working folder."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return lay_out_store(tmp_path, "acme", "bmart", "corner")


def said(call: Call, *words: str) -> list[str]:
    return call(*words, "--summary", "always").err.splitlines()


def test_rehearsal_shows_the_steps_and_the_command_that_does_it(call: Call) -> None:
    lines = said(call, *ONE, "--max-pause", "30")

    assert lines[0].startswith('cutover of tenant "acme": may go to version 1, paused for about ')
    assert lines[1] == "nothing was changed; this is what --execute does:"
    assert [line.split()[0] for line in lines[3:8]] == ["1.", "2.", "3.", "4.", "5."]
    assert "30 s at most, 15 s if this process dies" in lines[4]
    assert "write 6 events beside the history" in lines[5]
    assert lines[-2:] == [
        "next: carry it out",
        f"  cicsc {' '.join(ONE[:3])} --tenant acme --to bundle.v1.json --migration v0_to_v1 --max-pause 30 --execute",
    ]


def test_switched_names_status_and_the_way_back(call: Call) -> None:
    lines = said(call, *ONE, "--execute")

    assert lines[0].startswith('cutover of tenant "acme": switched to version 1, paused ')
    assert lines[1] == "6 events became 6 events"
    assert [line.split()[0] for line in lines[3:7]] == ["paused", "verified", "switched", "resumed"]
    assert lines[3].endswith(" UTC")
    assert f"  cicsc migration-status {STORED} --tenant acme" in lines
    assert lines[-1] == f"  cicsc migration-rollback {STORED} --migration v0_to_v1 --tenant acme"


def test_already_there(call: Call) -> None:
    call(*ONE, "--execute")

    assert said(call, *ONE, "--execute")[0] == 'cutover of tenant "acme": on version 1 already'


def test_refused_shows_the_check_and_the_preflight(call: Call, url: str) -> None:
    with open_store(url) as store:
        violate(store, "acme")
    lines = said(call, *ONE, "--now", "5", "--execute")

    assert lines[0] == 'cutover of tenant "acme": refused'
    assert "  FAILED   replay_verification" in lines
    assert "  note     the tenant was not changed: it is on version 0, and open" in lines
    assert (
        lines[-1]
        == f"  cicsc migration-preflight {STORED} --to bundle.v1.json --migration v0_to_v1 --now 5 --tenant acme"
    )


def test_divergence_shows_the_smallest_example(call: Call) -> None:
    words = tuple("bundle.v1.diverging.json" if word == "bundle.v1.json" else word for word in ONE)

    assert "  attrs.total: expected 12, found 13" in said(call, *words)


def test_too_long_a_pause_shows_the_call_that_allows_it(call: Call) -> None:
    lines = said(call, *ONE, "--max-pause", "0.001")

    assert lines[0] == 'cutover of tenant "acme": refused'
    assert lines[-1].endswith("--migration v0_to_v1 --max-pause 1")
    assert "0.001" not in lines[-1]


@pytest.mark.parametrize("execute", [(), ("--execute",)])
def test_second_operator_is_told_who_holds_it_and_how_to_take_over(
    call: Call, url: str, execute: tuple[str, ...]
) -> None:
    with open_store(url) as store:
        run = fenced(store, "acme")
    lines = said(call, *ONE, *execute)

    assert lines[0] == 'cutover of tenant "acme": refused'
    assert f"is taken by cutover {run.run_id} of 'bob': epoch {run.epoch}, phase FENCED, since 20" in lines[1]
    assert lines[-1] == f"  cicsc migration-recover {STORED} --tenant acme"
    lines = said(call, "migration-recover", "--store", STORE, "--tenant", "acme")
    assert lines[0] == "recovery: 1 run may still live"
    assert lines[-1] == f"  cicsc migration-recover {STORED} --tenant acme --take-over {run.run_id} {run.epoch}"
    assert said(call, *lines[-1].split()[1:])[0] == "recovery: 1 run brought to an end"


def test_stale_artifact_asks_for_a_new_dry_run(call: Call, url: str, tmp_path: Path) -> None:
    (tmp_path / "events.v0.json").write_bytes(msgspec.json.encode(orders("acme", 2)))
    assert call(*migration("migration-dry-run", "--artifact", "plan.json")).code == 0
    assert "the artifact approves it" in "\n".join(said(call, *ONE, "--artifact", "plan.json"))
    with open_store(url) as store:
        store.append("acme", orders("acme", 3)[-3:], generation=1)
    lines = said(call, *ONE, "--artifact", "plan.json", "--execute")

    assert lines[0] == 'cutover of tenant "acme": refused'
    assert "approved 6 events, found 9 (+3)" in lines[1]
    assert (
        lines[-1]
        == f"  cicsc migration-dry-run {STORED} --to bundle.v1.json --migration v0_to_v1 --tenant acme --artifact plan.json"
    )


def test_several_are_one_table_with_those_that_did_not_move_first(call: Call, url: str) -> None:
    with open_store(url) as store:
        violate(store, "corner")
    lines = said(call, *CUTOVER, "--all", "--execute")

    assert [line.split(":")[0] for line in lines[:3]] == ['"acme"', '"bmart"', '"corner"']
    assert lines[3] == "cutover of 3 tenants: 2 switched, 1 refused"
    assert [line.split()[0] for line in lines[7:10]] == ["corner", "acme", "bmart"]
    assert lines[-1] == f"  cicsc migration-preflight {STORED} --to bundle.v1.json --migration v0_to_v1 --tenant corner"


def test_all_well_names_the_status(call: Call) -> None:
    assert said(call, *CUTOVER, "--all", "--execute")[-1] == f"  cicsc migration-status {STORED}"


def test_rehearsal_of_all_names_the_command_that_does_it(call: Call) -> None:
    lines = said(call, *CUTOVER, "--all", "--parallel", "2")

    assert lines[3:5] == ["rehearsal of 3 tenants: 3 may go", "nothing was changed"]
    assert lines[-1].endswith("--all --to bundle.v1.json --migration v0_to_v1 --parallel 2 --execute")


def test_no_tenants_says_so(call: Call, tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'empty.db'}") as store:
        store.initialise()
    words = tuple("sqlite:///empty.db" if word == STORE else word for word in CUTOVER)

    assert said(call, *words, "--all")[0] == "rehearsal of 0 tenants: nothing to do"


def test_status_of_one_in_full(call: Call) -> None:
    call(*ONE, "--execute", "--operator", "cleo")
    lines = said(call, "migration-status", "--store", STORE, "--tenant", "acme")

    assert lines[0] == 'tenant "acme": version 1, open'
    assert "history   generation 2" in lines
    assert "last      cutover v0_to_v1, version 0 to 1: switched, phase DONE" in lines
    assert [line for line in lines if line.startswith("run ") and line.endswith(" of cleo")]


def test_status_of_a_dead_run_names_the_recovery(call: Call, url: str) -> None:
    with open_store(url) as store:
        wait_for_lease(store, fenced(store, "acme", lease_s=0.05))
    lines = said(call, "migration-status", "--store", STORE)

    assert lines[0] == "3 tenants: 0 paused"
    assert lines[5].split()[:4] == ["acme", "0", "left", "behind"]
    assert lines[-1] == f"  cicsc migration-recover {STORED} --tenant acme"
    lines = said(call, "migration-recover", "--store", STORE)
    assert lines[:2] == [
        "recovery: 1 run brought to an end",
        '  ok       "acme": cutover in phase FENCED, had not switched, is undone and the tenant open',
    ]
    assert said(call, "migration-recover", "--store", STORE) == ["recovery: nothing to do, no run has a tenant"]


def test_pause_shows_the_command_that_ends_it(call: Call) -> None:
    lines = said(call, "tenant-pause", "--store", STORE, "--tenant", "acme", "--for", "90", "--owner", "ann b")

    assert re.fullmatch(r'tenant "acme": paused for 1 min \d+ s', lines[0])  # what is left of 90 s by now
    assert lines[1].startswith("owner     ann b, epoch ")
    assert lines[-1].startswith(f"  cicsc tenant-resume {STORED} --tenant acme --owner 'ann b' --epoch ")
    assert said(call, "migration-status", "--store", STORE, "--tenant", "acme")[-1] == lines[-1]
    epoch = lines[-1].split()[-1]
    words = ("tenant-resume", "--store", STORE, "--tenant", "acme", "--owner", "ann b", "--epoch", epoch)
    assert said(call, *words) == ['tenant "acme": open on version 0']


def test_metrics_are_named(call: Call, tmp_path: Path) -> None:
    lines = said(call, "migration-status", "--store", STORE, "--metrics-out", "cicsc.prom")

    assert lines[-1] == "metrics written to cicsc.prom"
    assert (tmp_path / "cicsc.prom").read_text().startswith("# HELP cicsc_tenant_paused ")
