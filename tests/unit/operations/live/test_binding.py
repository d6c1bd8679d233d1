"""Binding a cutover to an approved dry run: which artifacts are taken for which tenant, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

import cicsc
from cicsc.bundle.load import load_bundle
from cicsc.errors import InputError, RefusedError
from cicsc.operations.live.binding import Intent, digest_of, read_approval, require_approved
from cicsc.report.models import Artifact, HeadReport
from cicsc.store.protocol import Store
from cicsc.store.sqlite.store import SqliteStore
from unit.migration.documents import HISTORY, SOURCE, event, target_document

BEFORE, AFTER = load_bundle(SOURCE), load_bundle(target_document())
INTENT = Intent(BEFORE.digest, AFTER.digest, "m", "final", ())

Write = Callable[[Artifact], Path]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with SqliteStore(tmp_path / "store.db") as opened:
        opened.initialise()
        opened.put_bundle(BEFORE)
        for tenant_id in ("t", "u"):
            opened.create_tenant(tenant_id, bundle_digest=BEFORE.digest, version=1, actor_id="ann")
        opened.append("t", HISTORY, generation=1)
        yield opened


@pytest.fixture
def from_file(tmp_path: Path) -> Artifact:
    """The artifact of a dry run on the same history in a file."""
    return cicsc.dry_run(SOURCE, target_document(), HISTORY, "m", artifact=tmp_path / "file.json").artifact


@pytest.fixture
def artifact(store: Store, from_file: Artifact) -> Artifact:
    """The artifact of a dry run on the tenant in the store, which knows positions."""
    head = store.head("t")
    placed = msgspec.structs.replace(from_file.heads["t"], position=head.position, generation=head.generation)
    return msgspec.structs.replace(from_file, heads={"t": placed}).sealed()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(artifact: Artifact) -> Path:
        path = tmp_path / "plan.json"
        path.write_bytes(artifact.sealed().to_json())
        return path

    return written


def approve(store: Store, path: Path, intent: Intent = INTENT, tenant_id: str = "t") -> None:
    approval = read_approval(path)
    with store.reading(tenant_id) as reading:
        require_approved(approval, intent, tenant_id, reading)


def refused(store: Store, path: Path, intent: Intent = INTENT, tenant_id: str = "t") -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        approve(store, path, intent, tenant_id)
    assert caught.value.hint is not None
    return caught.value


# ----------------------------------------------------------------------------------------- is accepted


@pytest.mark.parametrize("kind", ["artifact", "from_file"])
def test_tenant_as_it_was_approved(store: Store, write: Write, request: pytest.FixtureRequest, kind: str) -> None:
    approve(store, write(request.getfixturevalue(kind)))


def test_tenant_that_only_grew(store: Store, write: Write, artifact: Artifact) -> None:
    path = write(artifact)
    later = [event(1, "opened", entity_id="0"), event(5, "paid", {"amount": 1})]

    store.append("t", later, generation=1)

    approve(store, path)


def test_tenant_that_was_empty(store: Store, write: Write, artifact: Artifact) -> None:
    count, digest = digest_of([])
    path = write(msgspec.structs.replace(artifact, heads={"u": HeadReport(events=count, digest=digest, position=0)}))

    approve(store, path, tenant_id="u")
    store.append("u", [event(1, "opened", tenant_id="u")], generation=1)

    approve(store, path, tenant_id="u")


def test_order_of_what_is_accepted_does_not_matter(store: Store, write: Write, artifact: Artifact) -> None:
    preflight = msgspec.structs.replace(artifact.preflight, accepted_source_violations=["a", "b"])
    path = write(msgspec.structs.replace(artifact, preflight=preflight))

    approve(store, path, replace(INTENT, accept_source_violations=("b", "a", "b")))

    assert refused(store, path, replace(INTENT, accept_source_violations=("b",))).code == "ARTIFACT_DIFFERS"


# ------------------------------------------------------------------------------------------- has moved


def test_artifact_of_a_file_says_by_how_many_events_the_tenant_moved(
    store: Store, write: Write, from_file: Artifact
) -> None:
    path = write(from_file)
    store.append("t", [event(5, "paid", {"amount": 1}), event(1, "opened", entity_id="2")], generation=1)

    error = refused(store, path)

    assert error.code == "ARTIFACT_STALE"
    assert "approved 4 events, found 6 (+2)" in error.message
    assert "'t'" in error.message


@pytest.mark.parametrize("kind", ["artifact", "from_file"])
def test_tenant_with_another_history(store: Store, write: Write, request: pytest.FixtureRequest, kind: str) -> None:
    made: Artifact = request.getfixturevalue(kind)
    head = msgspec.structs.replace(made.heads["t"], digest="0" * 64)

    error = refused(store, write(msgspec.structs.replace(made, heads={"t": head})))

    assert error.code == "ARTIFACT_STALE"
    assert f"approved 4 events{'' if head.position is UNSET else f' up to position {head.position}'}" in error.message
    assert "found 4 with digest" in error.message


@pytest.mark.parametrize(("by", "found"), [(-1, 3), (-4, 0)])
def test_tenant_that_reached_less_far(store: Store, write: Write, artifact: Artifact, by: int, found: int) -> None:
    """The same count at another position: something was there that is gone."""
    head = artifact.heads["t"]
    moved = msgspec.structs.replace(head, position=head.position + by)

    error = refused(store, write(msgspec.structs.replace(artifact, heads={"t": moved})))

    assert error.code == "ARTIFACT_STALE"
    assert f"found {found} with digest" in error.message


def test_tenant_that_was_cut_over_since(store: Store, write: Write, artifact: Artifact) -> None:
    head = msgspec.structs.replace(artifact.heads["t"], generation=2)

    error = refused(store, write(msgspec.structs.replace(artifact, heads={"t": head})))

    assert error.code == "ARTIFACT_STALE"
    assert "approved in generation 2, found generation 1" in error.message


# -------------------------------------------------------------------------------- is about something else


def test_artifact_of_another_tenant(store: Store, write: Write, artifact: Artifact) -> None:
    error = refused(store, write(artifact), tenant_id="u")

    assert (error.code, error.message.endswith("it is about 't'")) == ("ARTIFACT_DIFFERS", True)


def test_artifact_of_many_tenants_names_some(store: Store, write: Write, artifact: Artifact) -> None:
    heads = {f"t{number}": artifact.heads["t"] for number in range(5)}

    error = refused(store, write(msgspec.structs.replace(artifact, heads=heads)))

    assert error.message.endswith("it is about 't0', 't1', 't2' and 2 more")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("from_bundle_digest", "1" * 64),
        ("to_bundle_digest", "1" * 64),
        ("migration_id", "other"),
        ("equivalence", "every-event"),
        ("accept_source_violations", ("not_negative",)),
    ],
)
def test_artifact_of_another_plan(store: Store, write: Write, artifact: Artifact, name: str, value: object) -> None:
    intent = Intent(**{field: getattr(INTENT, field) for field in Intent.__slots__} | {name: value})

    error = refused(store, write(artifact), intent)

    assert error.code == "ARTIFACT_DIFFERS"
    found = list(value) if isinstance(value, tuple) else value
    assert f"approved {artifact_value(artifact, name)!r}, found {found!r}" in error.message


def artifact_value(artifact: Artifact, name: str) -> object:
    if name == "equivalence":
        return "final"
    return [] if name == "accept_source_violations" else getattr(artifact, name)


def test_every_difference_is_named_at_once(store: Store, write: Write, artifact: Artifact) -> None:
    error = refused(store, write(artifact), Intent("1" * 64, "2" * 64, "other", "final", ()))

    for name in ("from_bundle_digest", "to_bundle_digest", "migration_id"):
        assert f"{name}: approved" in error.message


def test_artifact_whose_verdict_is_no(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    broken = [*HISTORY, event(6, "paid")]
    assert not cicsc.dry_run(SOURCE, target_document(), broken, "m", artifact=path).ok

    assert "its verdict is no" in refused(store, path).message


# ------------------------------------------------------------------------------------- is no artifact


def test_byte_that_was_flipped(store: Store, write: Write, artifact: Artifact) -> None:
    """Whatever a flipped bit makes of the file, it approves nothing, at every 37th byte."""
    path = write(artifact)
    data = path.read_bytes()
    taken = []
    for offset in range(0, len(data), 37):
        for bit in (0x01, 0x20, 0x80):
            path.write_bytes(data[:offset] + bytes([data[offset] ^ bit]) + data[offset + 1 :])
            with suppress(InputError, RefusedError):
                approve(store, path)
                taken.append((offset, bit, data[max(0, offset - 30) : offset + 20]))

    assert len(data) > 2_000
    assert taken == []


def invalid(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_approval(path)
    assert caught.value.code == "ARTIFACT_INVALID"
    return caught.value.message


def test_file_that_was_formatted_anew(write: Write, artifact: Artifact) -> None:
    path = write(artifact)
    value = msgspec.json.decode(path.read_bytes())

    for text in (msgspec.json.encode(value), artifact.to_json().rstrip(b"\n"), artifact.to_json() + b"\n"):
        path.write_bytes(text)
        assert "so it was changed since" in invalid(path)


def test_artifact_is_sealed(write: Write, artifact: Artifact) -> None:
    forged = msgspec.structs.replace(artifact, source_events=5)
    path = write(artifact)
    path.write_bytes(forged.to_json())

    assert "so it was changed since" in invalid(path)


def test_field_that_was_added(write: Write, artifact: Artifact) -> None:
    path = write(artifact)
    value = msgspec.json.decode(path.read_bytes()) | {"approved_by": "mallory"}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")

    assert "so it was changed since" in invalid(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"{}", "nothing"),
        (b"[]", "a list of 0"),
        (b"1", "the number 1"),
        (b'{"version": null}', "null"),
        (b'{"version": "cicsc/migration-dry-run-v2"}', "the string 'cicsc/migration-dry-run-v2'"),
    ],
)
def test_other_documents(tmp_path: Path, text: bytes, found: str) -> None:
    path = tmp_path / "other.json"
    path.write_bytes(text)

    assert invalid(path).endswith(f"expected version 'cicsc/migration-dry-run-v1', found {found}")


@pytest.mark.parametrize("name", ["nothing.json", "nul\0.json"])
def test_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        read_approval(tmp_path / name)

    assert caught.value.code == "ARTIFACT_UNREADABLE"
    assert "migration-dry-run --artifact" in str(caught.value.hint)


def test_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.operations.live.binding.ARTIFACT_BYTES_MAX", 10)
    (tmp_path / "large.json").write_bytes(b"{" + b" " * 20 + b"}")

    assert "it has 22 bytes" in invalid(tmp_path / "large.json")
