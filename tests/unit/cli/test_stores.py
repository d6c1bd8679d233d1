"""The commands about stores: their flags, where the URL comes from, and that no password is ever shown."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cicsc.operations.stored import opened_store
from cicsc.store.records import RunPlan
from e2e.shop import bundle, event, history, order, source, write
from unit.cli.calling import Call

STORE = ("--store", "sqlite:///shop.db")
CHECK = ("migration-preflight", "--to", "bundle.v1.json", "--migration", "v0_to_v1")
DRY_RUN = ("migration-dry-run", *CHECK[1:])


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CICSC_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def filled(call: Call, shop: Path) -> Path:
    """The folder of the shop, with its history in a store."""
    assert call("store-init", *STORE).code == 0
    for tenant in ("acme", "bmart"):
        assert call("tenant-create", *STORE, "--tenant", tenant, "--bundle", "bundle.v0.json").code == 0
    assert call("history-import", *STORE, "--events", "events.v0.json").code == 0
    return shop


def test_store_is_created_once(call: Call, shop: Path) -> None:
    first, second = call("store-init", *STORE, "--summary", "always"), call("store-init", *STORE, "--summary", "always")

    assert (first.code, first.report["changed"], second.report["changed"]) == (0, True, False)
    assert first.err == f"store: created, schema version {first.report['schema_version']}\n"
    assert "it is there already" in second.err
    assert "nothing to do" in call("store-upgrade", *STORE, "--summary", "always").err


@pytest.mark.parametrize(
    ("words", "code", "error", "message"),
    [
        (("tenant-list", "--store", "sqlite:///none.db"), 3, "STORE_NOT_INITIALISED", "'none.db'"),
        (("store-upgrade", "--store", "sqlite:///none.db"), 3, "STORE_NOT_INITIALISED", "'none.db'"),
        (("store-init", "--store", "sqlite:///none/shop.db"), 3, "STORE_UNREACHABLE", "none/shop.db"),
        (("store-init", "--store", "sqlite:///bundle.v0.json"), 3, "STORE_FOREIGN", "bundle.v0.json"),
        (("store-check", "--store", "sqlite:///bundle.v0.json"), 3, "STORE_FOREIGN", "bundle.v0.json"),
        (("tenant-list", "--store", "mysql://h/d"), 2, "STORE_URL_INVALID", "'mysql'"),
        (("tenant-list", "--store", "shop.db"), 2, "STORE_URL_INVALID", "expected sqlite:///FILE"),
        (("tenant-list", "--store", "postgresql://127.0.0.1:1/d"), 3, "STORE_UNREACHABLE", "127.0.0.1:1/d"),
        (("tenant-list", "--store="), 2, "EMPTY_FLAG", "--store is empty"),
        (("tenant-list",), 2, "MISSING_FLAG", "tenant-list needs --store (or CICSC_STORE)"),
        (("history-import",), 2, "MISSING_FLAG", "history-import needs --store (or CICSC_STORE), --events"),
        (("history-verify",), 2, "MISSING_FLAG", "history-verify needs --events or --store"),
        (("history-replay",), 2, "MISSING_FLAG", "history-replay needs --events or --store, --bundle"),
        (CHECK, 2, "MISSING_FLAG", "needs --from, --events or --store"),
        ((*CHECK, "--store", "sqlite:///none.db", "--tenant", "t"), 3, "STORE_NOT_INITIALISED", "'none.db'"),
    ],
)
def test_store_that_cannot_be_used(
    call: Call, shop: Path, words: tuple[str, ...], code: int, error: str, message: str
) -> None:
    said = call(*words)

    assert (said.code, said.error["code"]) == (code, error)
    assert message in said.error["message"]
    assert not (shop / "none.db").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((*CHECK, *STORE), "MISSING_FLAG", "--store needs --tenant or --all"),
        ((*CHECK, *STORE, "--tenant", "acme", "--all"), "CONFLICTING_FLAGS", "--all and --tenant"),
        ((*CHECK, *STORE, "--tenant", "acme", "--events", "x"), "CONFLICTING_FLAGS", "--events and --store"),
        ((*CHECK, "--from", "bundle.v0.json", "--events", "x", "--all"), "CONFLICTING_FLAGS", "--events and --all"),
        ((*CHECK, *STORE, "--tenant", "acmee"), "UNKNOWN_TENANT", "did you mean 'acme'?"),
        (("store-check", *STORE, "--tenant", "nobody"), "UNKNOWN_TENANT", "'nobody'"),
        (
            (*DRY_RUN, *STORE, "--all", "--artifact", "./shop.db"),
            "OUTPUT_IS_INPUT",
            "--artifact would overwrite --store",
        ),
        ((*DRY_RUN, *STORE, "--all", "--artifact", "shop.db-wal"), "OUTPUT_IS_INPUT", "the -wal of --store"),
        (("migration-status", *STORE, "--metrics-out", "shop.db"), "OUTPUT_IS_INPUT", "--metrics-out would overwrite"),
        (("migration-status", *STORE, "--metrics-out", "-"), "STDOUT_TAKEN", "--metrics-out"),
        (("history-export", *STORE, "--out-events", "a.jsonl"), "MISSING_FLAG", "--tenant or --all"),
        (("history-export", *STORE, "--all", "--out-events", "a.csv"), "FORMAT_UNKNOWN", "a.csv"),
        (("history-export", *STORE, "--all", "--out-events", "-"), "STDOUT_TAKEN", "--out-events"),
        (("history-export", *STORE, "--all", "--out-events", "a.jsonl", "--generation", "0"), "INVALID_VALUE", "'0'"),
        (
            ("history-export", *STORE, "--all", "--out-events", "a.jsonl", "--generation", "2"),
            "INVALID_VALUE",
            "found 2",
        ),
        (("history-import", *STORE, "--events", "none.jsonl"), "FILE_NOT_FOUND", "none.jsonl"),
        (("history-import", *STORE, "--events", "events.v0.json", "--tenant", "x"), "UNKNOWN_TENANT", "'x'"),
    ],
)
def test_wrong_calls(call: Call, filled: Path, words: tuple[str, ...], code: str, message: str) -> None:
    said = call(*words)

    assert (said.code, said.error["code"]) == (2, code)
    assert message in said.error["message"]
    assert (filled / "shop.db").read_bytes()[:6] == b"SQLite"
    assert not (filled / "a.jsonl").exists()


def test_preflight_of_a_store_is_that_of_the_file(call: Call, filled: Path) -> None:
    of_file = call(*CHECK, "--from", "bundle.v0.json", "--events", "events.v0.json")
    of_store = call(*CHECK, *STORE, "--all")

    assert (of_store.code, of_store.out) == (0, of_file.out)


def test_store_of_the_environment(call: Call, filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CICSC_STORE", "sqlite:///shop.db")

    assert len(call("tenant-list").report["tenants"]) == 2
    assert call(*CHECK, "--tenant", "acme").code == 0
    assert call("history-verify", "--events", "events.v0.json", "--tenant", "bmart").report["events"] == 1
    assert (
        call(*CHECK, "--events", "events.v0.json").error["message"] == "the bundle that wrote the history is not given"
    )
    monkeypatch.setenv("CICSC_STORE", "")
    assert call("tenant-list").error["message"] == "tenant-list needs --store (CICSC_STORE is empty)"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("migration-finalize",), "the store of CICSC_STORE needs --tenant or --all"),
        (("history-export", "--out-events", "all.jsonl"), "the store of CICSC_STORE needs --tenant or --all"),
        (CHECK, "the store of CICSC_STORE needs --tenant or --all"),
        (("migration-rollback", "--migration", "m"), "with the store of CICSC_STORE takes one --tenant"),
        (
            ("migration-rollback", "--migration", "m", "--to", "bundle.v1.json"),
            "--to and the store of CICSC_STORE exclude each other",
        ),
    ],
)
def test_store_that_was_not_typed_is_named_by_where_it_comes_from(
    call: Call, filled: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("CICSC_STORE", "sqlite:///shop.db")

    assert message in call(*words).error["message"]


def test_next_commands_keep_to_the_store(call: Call, filled: Path) -> None:
    said = call(*CHECK, *STORE, "--tenant", "acme", "--summary", "always")
    recorded = call(*DRY_RUN, *STORE, "--all", "--artifact", "a.json", "--summary", "always")

    assert said.err.splitlines()[-1] == (
        "  cicsc migration-dry-run --to bundle.v1.json --store sqlite:///shop.db --migration v0_to_v1 --tenant acme"
        " --artifact artifacts/migration-dry-run.json"
    )
    assert "bound to this artifact" in recorded.err


def test_divergence_names_the_replay_of_the_store(call: Call, filled: Path) -> None:
    words = ("migration-preflight", "--to", "bundle.v1.diverging.json", "--migration", "v0_to_v1", *STORE, "--all")
    said = call(*words, "--summary", "always")

    assert said.code == 1
    command = said.err.splitlines()[-1].split()
    assert command[:2] == ["cicsc", "history-replay"]
    assert call(*command[1:]).code == 0


def test_another_bundle_than_the_active_one(call: Call, filled: Path) -> None:
    write(filled / "other.json", source() | {"note": "other"})
    said = call(*CHECK, *STORE, "--tenant", "acme", "--from", "other.json", "--summary", "always")

    assert (said.code, said.report["checks"]["from_bundle_valid"]["ok"]) == (1, False)
    assert "next: leave --from out" in said.err


def test_tenants_are_listed_as_a_table(call: Call, filled: Path) -> None:
    with opened_store("sqlite:///shop.db") as store:
        store.pause("bmart", owner="ann", seconds=60)
    said = call("tenant-list", *STORE, "--summary", "always")

    assert [tenant["tenant_id"] for tenant in said.report["tenants"]] == ["acme", "bmart"]
    assert [line.split() for line in said.err.splitlines()[3:]] == [
        ["acme", "0", said.report["tenants"][0]["active_bundle"][:12], "1", "open"],
        ["bmart", "0", said.report["tenants"][1]["active_bundle"][:12], "1", "paused", "(ann)"],
    ]
    assert "store: 2 tenants" in said.err


@pytest.mark.parametrize(
    ("named", "flag", "code", "error"),
    [
        (None, ("--version", "3"), 0, None),
        (None, (), 2, "MISSING_FLAG"),
        (3, ("--version", "3"), 0, None),
        (3, (), 0, None),
        (3, ("--version", "4"), 2, "VERSION_DIFFERS"),
        (3, ("--version", "three"), 2, "INVALID_VALUE"),
    ],
)
def test_version_of_a_tenant(
    call: Call, shop: Path, named: int | None, flag: tuple[str, ...], code: int, error: str | None
) -> None:
    document: dict[str, Any] = source()
    document.pop("bundle_version")
    write(shop / "b.json", document if named is None else document | {"bundle_version": named})
    call("store-init", *STORE)

    said = call("tenant-create", *STORE, "--tenant", "t", "--bundle", "b.json", *flag)

    assert said.code == code
    assert said.report["tenant"]["active_version"] == 3 if error is None else said.error["code"] == error


def test_tenant_is_created_once_on_a_valid_bundle(call: Call, filled: Path) -> None:
    write(filled / "bad.json", bundle(0, order(["new"], {"placed": "nothing"})))

    again = call("tenant-create", *STORE, "--tenant", "acme", "--bundle", "bundle.v0.json")
    bad = call("tenant-create", *STORE, "--tenant", "new", "--bundle", "bad.json")

    assert (again.code, again.error["code"]) == (1, "TENANT_EXISTS")
    assert (bad.code, bad.error["code"], bad.report["problems_total"] > 0) == (1, "BUNDLE_INVALID", True)


def test_import_over_another_history_tells_how_to_see_it(call: Call, shop: Path) -> None:
    call("store-init", *STORE)
    call("tenant-create", *STORE, "--tenant", "acme", "--bundle", "bundle.v0.json")
    write(shop / "one.json", [event(1, "placed", {"total": 1})])
    assert call("history-import", *STORE, "--events", "one.json").code == 0

    said = call("history-import", *STORE, "--events", "events.v0.json", "--tenant", "acme", "--summary", "always")

    assert (said.code, said.report["error"]["code"]) == (1, "WRONG_SEQ")
    assert "again" not in said.err
    assert said.err.endswith("history-export shows what the tenant holds, tenant-create makes one that is empty\n")


def test_import_tells_of_each_tenant(call: Call, shop: Path) -> None:
    call("store-init", *STORE)
    call("tenant-create", *STORE, "--tenant", "acme", "--bundle", "bundle.v0.json")
    write(shop / "events.json", [*history(), event(2, "placed", {}, tenant="gap")])

    said = call("history-import", *STORE, "--events", "events.json", "--summary", "always")

    assert (said.code, said.report["exit_code"], said.report["ok"]) == (2, 2, False)
    assert said.report["not_imported"] == ["bmart", "gap"]
    assert [tenant["outcome"] for tenant in said.report["tenants"]] == ["imported", "refused", "refused"]
    assert said.report["tenants"][2]["counts"] == {"SEQ_GAP": 1}
    assert said.err.startswith("import: 1 imported, 2 refused\n")
    assert "run the same command again" in said.err
    again = call("history-import", *STORE, "--events", "events.json", "--tenant", "acme", "--summary", "always")
    assert (again.code, again.report["counts"]) == (0, {"already": 1})


def test_odd_names_of_tenants_are_told_as_elsewhere(call: Call, shop: Path) -> None:
    call("store-init", *STORE)
    long_name = "x" * 3000
    write(shop / "events.json", [event(1, "placed", {"total": 1}, tenant=name) for name in (" ", long_name)])

    for name, shown in ((" ", '" "'), (long_name, f'"{"x" * 119}... (3002 characters)')):
        words = ("tenant-create", *STORE, "--tenant", name, "--bundle", "bundle.v0.json", "--summary", "always")
        assert call(*words).err.startswith(f"tenant {shown}: created")
    imported = call("history-import", *STORE, "--events", "events.json", "--summary", "always")
    listed = call("tenant-list", *STORE, "--summary", "always")

    assert '" ": imported, 1 event' in imported.err
    assert f'"{"x" * 119}... (3002 characters): imported, 1 event' in imported.err
    assert listed.err.count("x") == 120


def test_import_locates_what_it_refuses(call: Call, filled: Path) -> None:
    write(filled / "bad.json", [event(1, "placed", {}) | {"seq": "1"}])
    said = call("history-import", *STORE, "--events", "bad.json", "--summary", "always")

    assert said.code == 1
    assert "'bad.json' index 0 line 1 (tenant 'acme', type 'Order', id 'o1'): malformed event: seq" in said.err


def test_import_tells_people_who_has_the_tenant_and_until_when(call: Call, shop: Path) -> None:
    call("store-init", *STORE)
    call("tenant-create", *STORE, "--tenant", "acme", "--bundle", "bundle.v0.json")
    with opened_store("sqlite:///shop.db") as store:
        store.runs.begin("acme", "a" * 32, RunPlan("import", "bob"), lease_s=60)

    said = call("history-import", *STORE, "--events", "events.v0.json", "--tenant", "acme", "--summary", "always")

    assert said.code == 1
    assert " UTC" in said.err
    assert re.search(r"\d{13}", said.err) is None
    assert re.search(r"\d{13}", said.report["tenants"][0]["error"]["message"])


def test_import_of_an_empty_file(call: Call, filled: Path) -> None:
    (filled / "none.jsonl").write_bytes(b"")
    said = call("history-import", *STORE, "--events", "none.jsonl", "--summary", "always")

    assert (said.code, said.report["tenants"]) == (0, [])
    assert "nothing was imported" in said.err


def test_export_is_what_was_imported(call: Call, filled: Path) -> None:
    said = call("history-export", *STORE, "--all", "--out-events", "out/all.jsonl.gz", "--summary", "always")
    of_file = call("history-verify", "--events", "events.v0.json").report

    assert (said.code, said.report["digest"], said.report["events"]) == (0, of_file["digest"], of_file["events"])
    assert call(*said.err.splitlines()[-1].split()[1:]).code == 0


def test_check_names_what_is_wrong(call: Call, filled: Path) -> None:
    assert "nothing is wrong" in call("store-check", *STORE, "--summary", "always").err
    with opened_store("sqlite:///shop.db") as store, store.transaction("acme") as transaction:  # type: ignore[attr-defined]
        transaction.database.run_script("drop trigger fence_delete; update snapshot set state = 'paid'")

    said = call("store-check", *STORE, "--summary", "always")

    assert (said.code, said.report["ok"]) == (1, False)
    assert set(said.report["counts"]) == {"FENCE_CHANGED", "SNAPSHOT_DIFFERS"}
    assert "FAILED   FENCE_CHANGED: 1" in said.err


def test_check_says_what_to_do_about_a_damaged_file(call: Call, filled: Path) -> None:
    with opened_store("sqlite:///shop.db") as store, store.transaction("acme") as transaction:  # type: ignore[attr-defined]
        transaction.database.run_script(
            "pragma ignore_check_constraints = on; update gate set staging_generation = 1; pragma ignore_check_constraints = off"
        )

    said = call("store-check", *STORE, "--summary", "always")

    assert (said.code, said.report["counts"]) == (1, {"FILE_DAMAGED": 2})
    assert "CHECK constraint failed in gate" in said.err
    assert "keep a copy of the file and of its -wal" in said.err


def test_changed_fence_is_installed_anew(call: Call, filled: Path) -> None:
    with opened_store("sqlite:///shop.db") as store, store.transaction("acme") as transaction:  # type: ignore[attr-defined]
        transaction.database.run_script(
            "drop trigger fence_delete; create table aside (x); create trigger fence_more "
            "after insert on event begin select 1; end"
        )
    checked = call("store-check", *STORE, "--summary", "always")
    reinstall = checked.err.splitlines()[-1].split()[1:]

    said = call(*reinstall, "--operator", "ann", "--summary", "always")

    added = "trigger fence_more was added"
    assert (checked.code, reinstall[-1]) == (1, "--reinstall-fence")
    assert (said.code, said.report["ok"], said.report["changed"]) == (1, False, True)
    assert said.report["fence"] == {"found": ["trigger fence_delete is missing", added], "left": [added]}
    assert "FAILED   what still is not" in said.err
    with opened_store("sqlite:///shop.db") as store, store.transaction("acme") as transaction:  # type: ignore[attr-defined]
        transaction.database.run_script("drop trigger fence_more; drop trigger fence_update")
    again = call(*reinstall, "--summary", "always")
    assert (again.code, again.report["fence"]) == (0, {"found": ["trigger fence_update is missing"], "left": []})
    assert "fence: installed anew" in again.err
    assert call(*again.err.splitlines()[-1].split()[1:]).code == 0
    idle = call(*reinstall, "--summary", "always")
    assert (idle.code, idle.report["changed"]) == (0, False)
    assert "fence: as installed, nothing to do" in idle.err


@pytest.mark.parametrize(
    "words",
    [
        ("tenant-list",),
        ("store-init",),
        ("store-check", "--tenant", "t"),
        (*CHECK, "--tenant", "t"),
        ("history-import", "--events", "events.v0.json"),
        ("history-export", "--all", "--out-events", "a.jsonl"),
    ],
    ids=lambda words: words[0],
)
@pytest.mark.parametrize("given", ["flag", "environment"])
def test_passwords_are_never_shown(
    call: Call, shop: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], given: str
) -> None:
    url = "postgresql://ann:s3cret@127.0.0.1:1/d?connect_timeout=2&sslpassword=s3cret"
    monkeypatch.setenv("CICSC_DEBUG", "1")
    if given == "environment":
        monkeypatch.setenv("CICSC_STORE", url)
    said = call(*words, *(("--store", url) if given == "flag" else ()), "--summary", "always")

    assert (said.code, said.error["code"]) == (3, "STORE_UNREACHABLE")
    assert "ann" in said.err
    assert "s3cret" not in said.err + said.out.decode()


def test_report_is_one_json_object(call: Call, filled: Path) -> None:
    for words in (("tenant-list",), ("store-check",), ("store-init",), ("store-upgrade",)):
        assert json.loads(call(*words, *STORE).out)["ok"] is True
