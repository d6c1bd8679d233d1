"""Calls about live tenants that are wrong: refused before the store is touched, with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.live import CUTOVER, STORE, lay_out_store
from unit.cli.calling import Call

ACME = ("--store", STORE, "--tenant", "acme")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shop's files and its store, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    lay_out_store(tmp_path, "acme")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (CUTOVER, "MISSING_FLAG", "--store needs --tenant or --all"),
        ((*CUTOVER, "--all", "--tenant", "acme"), "CONFLICTING_FLAGS", "--all and --tenant exclude each other"),
        (
            (*CUTOVER, "--all", "--max-pause", "0"),
            "INVALID_VALUE",
            "--max-pause is '0', expected seconds, from 0.001 to 2592000",
        ),
        ((*CUTOVER, "--all", "--max-pause", "1m"), "INVALID_VALUE", "--max-pause is '1m'"),
        ((*CUTOVER, "--all", "--lease", "-1"), "INVALID_VALUE", "--lease is '-1'"),
        ((*CUTOVER, "--all", "--lease", "nan"), "INVALID_VALUE", "--lease is 'nan'"),
        ((*CUTOVER, "--all", "--lease", "1.2.3"), "INVALID_VALUE", "--lease is '1.2.3'"),
        ((*CUTOVER, "--all", "--lease", "."), "INVALID_VALUE", "--lease is '.'"),
        (
            (*CUTOVER, "--all", "--parallel", "0"),
            "INVALID_VALUE",
            "--parallel is '0', expected a whole number from 1 to 64",
        ),
        ((*CUTOVER, "--all", "--parallel", "two"), "INVALID_VALUE", "--parallel is 'two'"),
        (("migration-recover", *ACME, "--take-over", "r1", "x"), "INVALID_VALUE", "the epoch of --take-over is 'x'"),
        (
            ("migration-recover", *ACME, "--take-over", "r1", "--operator", "ann"),
            "INVALID_VALUE",
            "the epoch of --take-over is '--operator', expected a whole number",
        ),
        (("migration-recover", "--store", STORE, "--take-over", "r1", "1"), "INVALID_VALUE", "expected one"),
        (("migration-finalize", "--store", STORE), "MISSING_FLAG", "--store needs --tenant or --all"),
        (("migration-rollback", "--store", STORE, "--migration", "m"), "MISSING_FLAG", "takes one --tenant, found 0"),
        (("migration-rollback", *ACME, "--tenant", "b", "--migration", "m"), "REPEATED_FLAG", "found 2"),
        (("migration-rollback", *ACME, "--migration", "m", "--to", "b"), "CONFLICTING_FLAGS", "--to and --store"),
        (
            ("migration-rollback", "--events", "e", "--to", "b", "--migration", "m", "--execute"),
            "CONFLICTING_FLAGS",
            "--execute and --events exclude each other",
        ),
        (("migration-rollback", "--events", "e", "--store", STORE, "--migration", "m"), "CONFLICTING_FLAGS", "--store"),
        (("tenant-pause", *ACME), "MISSING_FLAG", "--for"),
        (("tenant-pause", *ACME, "--for", "1e3"), "INVALID_VALUE", "--for is '1e3'"),
        (("tenant-resume", *ACME, "--owner", "ann"), "MISSING_FLAG", "--epoch"),
        (("tenant-resume", *ACME, "--owner", "ann", "--epoch", "0"), "INVALID_VALUE", "--epoch is '0'"),
        (("migration-status", "--tenant", "acme"), "MISSING_FLAG", "--store"),
    ],
)
def test_wrong_calls(
    call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: str, message: str
) -> None:
    monkeypatch.delenv("CICSC_STORE", raising=False)
    said = call(*words)

    assert (said.code, said.error["code"]) == (2, code)
    assert message in said.error["message"]


@pytest.mark.parametrize(
    "words",
    [
        CUTOVER,
        (*CUTOVER, "--execute"),
        ("migration-rollback", "--store", STORE, "--migration", "v0_to_v1"),
        ("migration-finalize", "--store", STORE),
        ("migration-recover", "--store", STORE),
        ("migration-status", "--store", STORE),
        ("tenant-pause", "--store", STORE, "--for", "5"),
        ("tenant-resume", "--store", STORE, "--owner", "ann", "--epoch", "1"),
        ("tenant-execute", "--store", STORE, "--type", "Order", "--id", "o1", "--command", "pay"),
        ("store-check", "--store", STORE),
        ("history-export", "--store", STORE, "--out-events", "all.jsonl"),
    ],
    ids=lambda words: f"{words[0]} {words[-1]}",
)
def test_tenant_that_is_not_there(call: Call, shop: Path, words: tuple[str, ...]) -> None:
    said = call(*words, "--tenant", "nobody", "--summary", "always")
    error = said.report.get("error") or said.report["tenants"][0]["error"]

    assert (said.code, error["code"]) == (2, "UNKNOWN_TENANT")
    assert error["message"] == "there is no tenant 'nobody' in the store"
    assert error["hint"].startswith("tenant-list shows every tenant")
    for wrong in ("gate", "lease", "recover", "generation", "the same command"):
        assert wrong not in said.err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--all", "--workers", "0"), None),
        (("--all", "--parallel", "65"), None),
        (("--all", "--workers=-1"), None),
        (("--all", "--workers", "two"), "write it in digits"),
        (("--all", "--workers", "٣"), "write it in digits"),
    ],
)
def test_a_number_out_of_bounds_is_in_digits_already(
    call: Call, shop: Path, words: tuple[str, ...], hint: str | None
) -> None:
    assert call(*CUTOVER, *words).error["hint"] == hint


@pytest.mark.parametrize("seconds", ["1", "0.5", "2.5", "60.", ".5", "0.001"])
def test_durations(call: Call, shop: Path, seconds: str) -> None:
    assert call("tenant-pause", *ACME, "--for", seconds).report["remaining_ms"] <= float(seconds) * 1000


def test_owner_of_a_pause_is_the_user_by_default(call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")

    assert call("tenant-pause", *ACME, "--for", "5").report["owner"] == "ann"


def test_operator_of_a_cutover_is_the_user_by_default(call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    call(*CUTOVER, "--all", "--execute")

    assert call("migration-status", *ACME).report["tenants"][0]["run"]["actor_id"] == "ann"


def test_one_tenant_is_one_object_and_several_are_listed(call: Call, shop: Path) -> None:
    one, all_of_them = call(*CUTOVER, "--tenant", "acme").report, call(*CUTOVER, "--all").report

    assert (one["tenant_id"], one["outcome"]) == ("acme", "rehearsed")
    assert [tenant["tenant_id"] for tenant in all_of_them["tenants"]] == ["acme"]
    assert all_of_them["not_moved"] == ["acme"]
