"""The reports, with the fields that docs/formats.md and docs/commands.md tell.

Each is a frozen record that encodes to one JSON object; what does not apply is left out. Nothing in
them depends on the clock, the host, the locale, file names or the order of the input.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from cicsc.canonical import sha256_hex

REPORT_VERSION = "cicsc/migration-dry-run-v1"


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all reports."""

    def to_json(self) -> bytes:
        """Encode as one JSON object, indented for people, ending in a line feed."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


class ProblemReport(Report, frozen=True, kw_only=True):
    """A defect inside a document, or a hole in a migration."""

    path: str
    message: str


class Check(Report, frozen=True, kw_only=True):
    """The outcome of one check; one that could not run carries ok false and skipped true."""

    ok: bool
    skipped: bool = False
    detail: str | UnsetType = UNSET
    problems: list[ProblemReport] | UnsetType = UNSET
    problems_total: int | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET


class FindingReport(dict[str, object]):
    """A finding with its fields; `where` is known to summaries only, since reports do not depend on files."""

    __slots__ = ("where",)

    def __init__(self, fields: dict[str, object], *, where: str | None) -> None:
        super().__init__(fields)
        self.where = where


class IntegrityCheck(Check, frozen=True, kw_only=True):
    """The integrity of a history: findings listed up to a cap, counts complete."""

    findings: list[dict[str, object]] | UnsetType = UNSET
    counts: dict[str, int] | UnsetType = UNSET


class Checks(Report, frozen=True, kw_only=True):
    """The checks of a preflight."""

    from_bundle_valid: Check
    to_bundle_valid: Check
    migration_exists: Check
    version_forward: Check
    migration_total: Check
    history_integrity: IntegrityCheck
    replay_verification: Check


class Sample(Report, frozen=True, kw_only=True):
    """Where a violation was seen."""

    tenant_id: str
    entity_id: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    rows_count: int | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    event_type: str | UnsetType = UNSET


class ViolationReport(Report, frozen=True, kw_only=True):
    """One place where a bundle's rule does not hold."""

    constraint_id: str
    kind: str
    on_type: str
    message: str
    sample: Sample
    accepted: bool = False


class SideVerify(Report, frozen=True, kw_only=True):
    """What one bundle says of its side of a history; violations are listed up to a cap, the total is not capped."""

    ok: bool
    types_count: int
    events_count: int
    entities_count: int
    constraints_count: int
    violations: list[ViolationReport]
    violations_total: int
    violations_by_constraint: dict[str, int] | UnsetType = UNSET


class DivergenceReport(Report, frozen=True, kw_only=True):
    """The smallest example of a stream that does not mean the same after as before."""

    tenant_id: str
    entity_type: str
    entity_id: str
    seq: int
    event_type: str
    field: str
    expected: object
    found: object
    source_snapshot: dict[str, object]
    target_snapshot: dict[str, object]


class Equivalence(Report, frozen=True, kw_only=True):
    """Whether every stream means the same after as before, and which fields nothing compares."""

    ok: bool
    gate: Literal["final", "every-event"]
    streams_compared: int
    streams_diverged: int
    diverged_by_field: dict[str, int]
    unconstrained: list[str]
    example: DivergenceReport | UnsetType = UNSET


class Verify(Report, frozen=True, kw_only=True):
    """The verification of a migration on a history."""

    ok: bool
    migration_id: str
    from_version: int
    to_version: int
    source_events: int
    migrated_events: int
    source_verify: SideVerify
    target_verify: SideVerify
    equivalence: Equivalence
    fan_out_unmatched: dict[str, dict[str, int]] | UnsetType = UNSET
    error: str | UnsetType = UNSET


class ReversibilityReport(Report, frozen=True, kw_only=True):
    """Whether a migration can be taken back, by which method, and every obstacle."""

    reversible: bool
    method: Literal["structural", "declared"]
    reasons: list[str]


class Preflight(Report, frozen=True, kw_only=True):
    """The preflight of a migration."""

    ok: bool
    migration_id: str
    checks: Checks
    reversibility: ReversibilityReport | UnsetType = UNSET
    accepted_source_violations: list[str] | UnsetType = UNSET
    verify: Verify | UnsetType = UNSET


class HeadReport(Report, frozen=True, kw_only=True):
    """Where a tenant's history stood; in a store, also its largest position and its generation."""

    events: int
    digest: str
    position: int | UnsetType = UNSET
    generation: int | UnsetType = UNSET


class Artifact(Report, frozen=True, kw_only=True, omit_defaults=False):
    """The deterministic record of a dry run, which a cutover is bound to.

    Digests are SHA-256 in hexadecimal; one that could not be had is null. `artifact_digest` is that of
    the artifact itself, as it is encoded while the field is empty.
    """

    version: str = REPORT_VERSION
    artifact_digest: str = ""
    migration_id: str
    ok: bool
    source_events: int
    migrated_events: int
    from_bundle_digest: str | None
    to_bundle_digest: str | None
    source_digest: str | None
    migrated_digest: str | None
    heads: dict[str, HeadReport]
    reversibility: ReversibilityReport | None
    preflight: Preflight

    def sealed(self) -> Artifact:
        """Return the artifact with its own digest, by which a change of any byte is noticed."""
        blank = msgspec.structs.replace(self, artifact_digest="")
        return msgspec.structs.replace(self, artifact_digest=sha256_hex(blank.to_json()))


class DryRun(Report, frozen=True, kw_only=True):
    """What a dry run prints: its artifact, and where it was written."""

    ok: bool
    artifact: Artifact
    artifact_path: str | UnsetType = UNSET


class Rollback(Report, frozen=True, kw_only=True, omit_defaults=False):
    """The outcome of taking a migrated history back."""

    ok: bool
    migration_id: str
    rolled_back_events: int
    source_checked: bool
    method: Literal["structural", "declared"] | UnsetType = UNSET
    source_digest: str | UnsetType | None = UNSET
    rolled_back_digest: str | UnsetType | None = UNSET
    error: dict[str, object] | UnsetType = UNSET
    reasons: list[str] | UnsetType = UNSET


class HistoryVerify(Report, frozen=True, kw_only=True):
    """The verification of a history by itself, and by its bundle where one is given."""

    ok: bool
    events: int
    streams: int
    tenants: int
    digest: str | None
    history_integrity: IntegrityCheck
    bundle_valid: Check | UnsetType = UNSET
    verify: SideVerify | UnsetType = UNSET


class BundleVerify(Report, frozen=True, kw_only=True):
    """The validation of one bundle; `warnings` are no defects, but perhaps typing errors."""

    ok: bool
    digest: str | None
    problems: list[ProblemReport]
    problems_total: int
    warnings: list[ProblemReport] | UnsetType = UNSET
    warnings_total: int | UnsetType = UNSET


class Execution(Report, frozen=True, kw_only=True, omit_defaults=False):
    """What a command did to an entity; `repeated` tells that it had been done before, as its receipt says."""

    ok: bool
    tenant_id: str
    entity_type: str
    entity_id: str
    command: str
    command_id: str | None
    repeated: bool
    version: int
    events: list[dict[str, object]]
    snapshot: dict[str, object]
    last_seq: int
