"""tenant-execute: one command on a live tenant, from the command line."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from cicsc.cli.tenant_execute import INPUT_BYTES_MAX
from cicsc.store import open_store
from conformance.runtime.bank import BANK
from unit.cli.calling import Call, Said


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the store of a bank, which is the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    with open_store("sqlite:///store.db") as store:
        store.initialise()
        store.put_bundle(BANK)
        store.create_tenant("acme", bundle_digest=BANK.digest, version=3, actor_id="ann")
    return tmp_path


def execute(call: Call, command: str, *more: str, store: str = "sqlite:///store.db", entity: str = "a1") -> Said:
    words = ("--tenant", "acme", "--type", "Account", "--id", entity, "--command", command)
    return call("tenant-execute", "--store", store, *words, *more)


def opened(call: Call, *more: str) -> Said:
    return execute(call, "open", "--input", '{"owner": "ann"}', "--now", "1000", *more)


def test_report_is_complete(call: Call) -> None:
    said = opened(call, "--command-id", "c1", "--actor", "bob", "--expected-seq", "0")

    fields = {"tenant_id": "acme", "entity_type": "Account", "entity_id": "a1"}
    assert said.code == 0
    assert said.report == fields | {
        "ok": True,
        "command": "open",
        "command_id": "c1",
        "repeated": False,
        "version": 3,
        "events": [
            fields | {"seq": 1, "event_type": "opened", "payload": {"owner": "ann"}, "ts": 1000, "actor_id": "bob"}
        ],
        "snapshot": fields
        | {"state": "open", "attrs": {"owner": "ann"}, "shadows": {}, "updated_ts": 1000, "last_seq": 1},
        "last_seq": 1,
    }


def test_summary(call: Call) -> None:
    first = opened(call, "--command-id", "c1", "--summary", "always")
    again = opened(call, "--command-id", "c1", "--summary", "always")

    assert first.err.splitlines() == [
        "command open: carried out",
        'Account "a1" of tenant "acme", version 3: state "open", seq 1',
        "1 event:",
        '  1 opened {"owner": "ann"}',
    ]
    assert again.err.splitlines()[0] == "command open: had been carried out before, nothing was done now"
    assert (again.code, again.report["repeated"]) == (0, True)


def test_actor_is_the_operator_by_default(call: Call) -> None:
    assert opened(call).report["events"][0]["actor_id"] == "operator"
    assert execute(call, "look", "--actor", "").code == 0


@pytest.mark.parametrize(
    ("command", "more", "exit_code", "code"),
    [
        ("deposit", ("--input", '{"amount": 0}'), 1, "GUARD_REFUSED"),
        ("withdraw", ("--input", '{"amount": 1}'), 1, "CONSTRAINT_VIOLATED"),
        ("rob", (), 1, "UNKNOWN_COMMAND_OF_TYPE"),
        ("look", ("--expected-seq", "7"), 1, "WRONG_SEQ"),
        ("deposit", (), 2, "INPUT_INVALID"),
        ("deposit", ("--input", "[1]"), 2, "INPUT_NOT_AN_OBJECT"),
        ("deposit", ("--input", '{"amount": NaN}'), 2, "JSON_NUMBER"),
        ("deposit", ("--input", "{}", "--input-file", "x"), 2, "INVALID_VALUE"),
        ("deposit", ("--input-file", "nowhere"), 2, "INPUT_UNREADABLE"),
        ("deposit", ("--input-file", "large"), 2, "INPUT_TOO_LARGE"),
        ("deposit", ("--input", ""), 2, "EMPTY_FLAG"),
        ("look", ("--expected-seq=-1",), 2, "INVALID_VALUE"),
        ("look", ("--expected-seq", "٣"), 2, "INVALID_VALUE"),
        ("look", ("--now", "soon"), 2, "INVALID_VALUE"),
    ],
)
def test_refusals(call: Call, folder: Path, command: str, more: tuple[str, ...], exit_code: int, code: str) -> None:
    (folder / "large").write_bytes(b" " * (INPUT_BYTES_MAX + 1))
    opened(call)
    said = execute(call, command, *more)

    assert (said.code, said.error_code) == (exit_code, code)
    with open_store("sqlite:///store.db") as store:
        assert store.head("acme").count == 1


def test_an_input_file_that_cannot_be_read_is_named_once(call: Call, folder: Path) -> None:
    said = execute(call, "deposit", "--input-file", "nowhere")
    assert said.error["message"] == "cannot read input 'nowhere': no such file or directory"


def test_problems_of_the_input_are_listed(call: Call) -> None:
    said = execute(call, "deposit", "--input", '{"amuont": 5}')

    assert [problem["path"] for problem in said.report["problems"]] == ["$.amount", "$.amuont"]
    assert said.report["problems_total"] == 2
    assert "did you mean 'amount'?" in said.err


def test_input_from_a_file_and_from_standard_input(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(call)
    (folder / "input.json").write_text('\ufeff{"amount": 2}')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"amount": 3}')))
    execute(call, "deposit", "--input-file", "input.json")
    said = execute(call, "deposit", "--input-file", "-")

    assert (said.code, said.report["snapshot"]["attrs"]["balance"]) == (0, 5)


def test_store_or_tenant_that_is_not_there(call: Call, folder: Path) -> None:
    missing = execute(call, "open", store="sqlite:///none.db")
    tenant = call(
        *("tenant-execute", "--store", "sqlite:///store.db", "--tenant", "'; drop table event; --"),
        *("--type", "Account", "--id", "a1", "--command", "look"),
    )

    assert (missing.code, missing.error["code"]) == (3, "STORE_NOT_INITIALISED")
    assert not (folder / "none.db").exists()
    assert (tenant.code, tenant.error["code"]) == (2, "UNKNOWN_TENANT")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ann:s3cret@host/d", "STORE_URL_INVALID"),
        ("ann:s3cret@host://d", "STORE_URL_INVALID"),
        ("postgresql://ann:s3cret@127.0.0.1:1/d?connect_timeout=2", "STORE_UNREACHABLE"),
        ("postgresql://ann:s3cret@127.0.0.1:port/d", "STORE_UNREACHABLE"),
        ("postgresql://127.0.0.1:1/d?user=ann&password=s3cret&connect_timeout=2", "STORE_UNREACHABLE"),
        ("postgresql://ann:s3cret%zz@h/d", "STORE_URL_INVALID"),
        ("postgresql://ann:pa@s3cret@127.0.0.1:1/d", "STORE_URL_INVALID"),
        ("postgresql://ann:pa/s3cret@127.0.0.1:1/d", "STORE_URL_INVALID"),
        ("postgresql://ann:pa@/s3cret@127.0.0.1:1/d", "STORE_URL_INVALID"),
        ("postgresql://ann:pa?s3cret@127.0.0.1:1/d", "STORE_UNREACHABLE"),
        ("postgresql://ann:pa?x@s3cret@127.0.0.1:1/d", "STORE_URL_INVALID"),
        ("postgresql://ann:pa#s3cret@127.0.0.1:1/d", "STORE_UNREACHABLE"),
    ],
)
def test_password_of_a_url_is_never_shown(call: Call, monkeypatch: pytest.MonkeyPatch, url: str, code: str) -> None:
    monkeypatch.setenv("CICSC_DEBUG", "1")
    said = execute(call, "look", "--summary", "always", store=url)

    assert said.error["code"] == code
    assert "s3cret" not in said.err + said.out.decode()


@pytest.mark.parametrize("words", [("postgresql://ann:s3cret@h/d",), ("--now", "postgresql://ann:s3cret@h/d")])
def test_password_in_the_wrong_place_is_not_shown_either(call: Call, words: tuple[str, ...]) -> None:
    said = execute(call, "look", *words)

    assert said.code == 2
    assert "postgresql://ann:***@h/d" in said.err
    assert "s3cret" not in said.err + said.out.decode()


@pytest.mark.parametrize("command", ["open", "rob"])
def test_store_is_closed_whatever_happens(call: Call, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    from cicsc.store.sqlite.store import SqliteStore  # noqa: PLC0415 - only this test looks inside

    closed = []
    close = SqliteStore.close
    monkeypatch.setattr(SqliteStore, "close", lambda store: (closed.append(store), close(store)))
    execute(call, command, "--input", json.dumps({"owner": 1}))

    assert len(closed) == 1


def test_guard_is_told_the_roles_of_the_actor(call: Call) -> None:
    opened(call)
    refused = [execute(call, "close"), execute(call, "close", "--role", "clerk")]
    done = execute(call, "close", "--role", "clerk", "--role", "manager")

    assert [said.report["error"]["code"] for said in refused] == ["GUARD_REFUSED", "GUARD_REFUSED"]
    assert (done.code, done.report["events"][0]["event_type"]) == (0, "closed")
