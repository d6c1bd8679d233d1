"""Binding what is applied to what was approved: the artifact of a dry run, held against the live tenant.

An artifact binds by digests: both bundles, the migration, the options, and the head of each tenant. A
tenant that has only grown since is still the one that was approved; any other difference is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from cicsc.canonical import LeafHasher, RootHasher, canonical_bytes, sha256_hex
from cicsc.decoding import decode_value
from cicsc.errors import InputError, RefusedError, system_reason
from cicsc.expression import describe
from cicsc.operations.stored import named
from cicsc.report.models import REPORT_VERSION, Artifact, HeadReport
from cicsc.report.printable import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cicsc.history.model import Event, StreamKey
    from cicsc.store.protocol import TenantReading

ARTIFACT_BYTES_MAX = 256 * 2**20
"""A larger file is no artifact: the heads of a million tenants take less."""

_WHICH_FILE = "give the file that migration-dry-run --artifact wrote, or run it again"


class Intent(Struct, frozen=True):
    """What is about to be applied, as an artifact would say it."""

    from_bundle_digest: str
    to_bundle_digest: str
    migration_id: str
    equivalence: str
    accept_source_violations: tuple[str, ...]
    now: int | None = None
    actor: str | None = None

    def digest(self, approval: Approval | None) -> str:
        """Return the digest that the journal keeps of the plan, with the artifact that approved it."""
        fields = {name: getattr(self, name) for name in self.__struct_fields__}
        fields["accept_source_violations"] = list(self.accept_source_violations)
        return sha256_hex(canonical_bytes(fields | {"artifact": None if approval is None else approval.digest}))


class Approval(Struct, frozen=True):
    """An artifact that was read, and the digest of its bytes."""

    artifact: Artifact
    digest: str


def read_approval(path: str | Path) -> Approval:
    """Read an artifact; raises InputError where it is none, or not byte for byte as a dry run wrote it."""
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(
            "ARTIFACT_UNREADABLE",
            f"cannot read artifact {str(path)!r}: {system_reason(error)}",
            hint=_WHICH_FILE,
        ) from error
    if len(data) > ARTIFACT_BYTES_MAX:
        raise _no_artifact(path, f"it has {len(data)} bytes")
    value = decode_value(data, str(path))
    if not isinstance(value, dict) or value.get("version") != REPORT_VERSION:
        raise _no_artifact(path, f"expected version {REPORT_VERSION!r}, found {_found(value)}")
    try:
        artifact = msgspec.convert(value, Artifact, strict=True)
    except msgspec.ValidationError as error:
        raise _no_artifact(path, str(error)[:200]) from error
    if artifact.to_json() != data or artifact.sealed() != artifact:
        raise _no_artifact(path, "its bytes are not those that a dry run writes, so it was changed since")
    return Approval(artifact, sha256_hex(data))


def _found(value: object) -> str:
    """Name what stands in place of the version of an artifact, or of the artifact."""
    if not isinstance(value, dict):
        return describe(value)
    return describe(value["version"]) if "version" in value else "nothing"


def _no_artifact(path: str | Path, why: str) -> InputError:
    return InputError(
        "ARTIFACT_INVALID",
        f"cannot use {str(path)!r} as the artifact of a dry run: {why}",
        hint=_WHICH_FILE,
    )


def require_approved(approval: Approval, intent: Intent, tenant_id: str, reading: TenantReading) -> None:
    """Raise RefusedError unless the artifact approves exactly this, on this tenant as it is or as it was before."""
    _require_plan(approval, intent, tenant_id, "or record a new dry run with migration-dry-run --store")
    head = approval.artifact.heads.get(tenant_id)
    if head is None:
        about = named(approval.artifact.heads) or "no tenant"
        raise RefusedError(
            "ARTIFACT_DIFFERS",
            f"the artifact does not approve a cutover of tenant {tenant_id!r}: it is about {about}",
            hint="record a dry run of this tenant with migration-dry-run --store",
        )
    _require_head(tenant_id, head, reading)


def require_repeated(approval: Approval, intent: Intent, tenant_id: str) -> None:
    """Raise RefusedError unless the artifact approves what brought a tenant to where it is already.

    What the tenant came from is not active any more, so neither that bundle nor the head is compared.
    """
    before = approval.artifact.from_bundle_digest or intent.from_bundle_digest
    done = replace(intent, from_bundle_digest=before)
    _require_plan(approval, done, tenant_id, "or leave it out: the tenant is on the target already")


def _require_plan(approval: Approval, intent: Intent, tenant_id: str, otherwise: str) -> None:
    differences = [*_differences(approval.artifact, intent)]
    if differences:
        raise RefusedError(
            "ARTIFACT_DIFFERS",
            f"the artifact does not approve this cutover of tenant {tenant_id!r}: {'; '.join(differences)}",
            hint=f"give the artifact that belongs to it, {otherwise}",
        )


def _differences(artifact: Artifact, intent: Intent) -> Iterator[str]:
    if not artifact.ok:
        yield "its verdict is no"
    verify = artifact.preflight.verify
    gate = None if verify is UNSET else verify.equivalence.gate
    accepted = artifact.preflight.accepted_source_violations
    approved: tuple[tuple[str, object, object], ...] = (
        ("from_bundle_digest", artifact.from_bundle_digest, intent.from_bundle_digest),
        ("to_bundle_digest", artifact.to_bundle_digest, intent.to_bundle_digest),
        ("migration_id", artifact.migration_id, intent.migration_id),
        ("equivalence", gate, intent.equivalence),
        (
            "accepted_source_violations",
            [] if accepted is UNSET else list(accepted),
            sorted(set(intent.accept_source_violations)),
        ),
    )
    for name, before, now in approved:
        if before != now:
            yield f"{name}: approved {before!r}, found {now!r}"


def _require_head(tenant_id: str, head: HeadReport, reading: TenantReading) -> None:
    """Compare the head that was approved with what the tenant has, up to the position that was approved."""
    found, approved = reading.head(), counted(head.events, "event")
    position = None if head.position is UNSET else head.position
    generation = None if head.generation is UNSET else head.generation
    if generation is not None and generation != found.generation:
        raise _stale(tenant_id, f"approved in generation {generation}, found generation {found.generation}")
    if position is None and found.count != head.events:
        raise _stale(
            tenant_id,
            f"approved {approved}, found {found.count} ({found.count - head.events:+d}), and an artifact "
            "made from a file says nothing of positions, so it must match exactly",
        )
    count, digest = digest_of(
        (key, chain.from_iterable(batch.events for batch in batches))
        for key, batches in reading.placed_streams(upto_position=position)
    )
    if (count, digest) != (head.events, head.digest):
        upto = "" if position is None else f" up to position {position}"
        raise _stale(
            tenant_id,
            f"approved {approved}{upto} with digest {head.digest}, found {count} with digest {digest}",
        )


def _stale(tenant_id: str, why: str) -> RefusedError:
    return RefusedError(
        "ARTIFACT_STALE",
        f"tenant {tenant_id!r} is not where the dry run left it: {why}",
        hint="record a new dry run with migration-dry-run --store, and have it approved",
    )


def digest_of(streams: Iterable[tuple[StreamKey, Iterable[Event]]]) -> tuple[int, str]:
    """Return the number of events and the digest of a history whose streams come in code-point order."""
    root, total = RootHasher(), 0
    for key, events in streams:
        leaf = LeafHasher()
        for event in events:
            leaf.update(event)
        if leaf.count:
            root.update(key, leaf.count, leaf.hexdigest())
            total += leaf.count
    return total, root.hexdigest()
