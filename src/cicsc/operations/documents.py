"""The checks of an assessment that need no history: both bundles, the migration, its versions, its totality.

A check that cannot run, because one that it needs has failed, is reported as skipped. What is found goes to `assess`,
which opens the history with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, Struct, field

from cicsc.bundle.load import load_bundle
from cicsc.errors import BundleError, UsageError
from cicsc.expression import suggestion
from cicsc.migration.totality import holes, version_faults, warnings
from cicsc.operations.stored import named
from cicsc.report.models import Check, ProblemReport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from cicsc.bundle.model import Bundle, Migration
    from cicsc.errors import Problem
    from cicsc.operations.sources import BundleSource
    from cicsc.operations.stored import Held

PROBLEMS_MAX: Final = 100
"""Problems of a document listed in a report; their number is exact."""


class Active(Struct, frozen=True):
    """What is active in the store that a history comes from."""

    bundle_digest: str
    tenants: Mapping[str, Held]


class Documents(Struct):
    """What is known of a migration before the history is opened."""

    source: Bundle | None = None
    target: Bundle | None = None
    migration: Migration | None = None
    checks: dict[str, Check] = field(default_factory=dict)


def check_documents(
    source: BundleSource | None, target: BundleSource, migration_id: str, active: Active | None
) -> Documents:
    """Run the checks; `active` is what a store says of the history.

    Raises UsageError where there is no source, and InputError for a bundle that cannot be decoded.
    """
    found = Documents()
    found.source, found.checks["from_bundle_valid"] = _check_source(source, active)
    found.target, found.checks["to_bundle_valid"] = checked_bundle(target)
    found.checks["migration_exists"] = _check_exists(found, migration_id)
    found.checks["version_forward"] = _check_versions(found, active)
    found.checks["migration_total"] = _check_total(found)
    return found


def require_constraints(source: Bundle | None, accepted: Collection[str]) -> None:
    """Raise UsageError unless the source, where it is valid, has every constraint whose violations are accepted."""
    if source is None:
        return
    for constraint_id in accepted:
        if constraint_id not in source.constraints:
            near = suggestion(constraint_id, source.constraints)
            raise UsageError(
                "UNKNOWN_CONSTRAINT",
                f"cannot accept violations of {constraint_id!r}: the source bundle has no such constraint{near}",
                hint="name a constraint of the --from bundle in --accept-source-violations",
            )


def checked_bundle(source: BundleSource) -> tuple[Bundle | None, Check]:
    """Load a bundle, or list what is wrong with it; raises InputError for one that cannot be decoded."""
    try:
        return load_bundle(source), Check(ok=True)
    except BundleError as error:
        return None, problem_check(error.problems, error.total, error.message)


def skipped(detail: str) -> Check:
    """Return the check that could not run."""
    return Check(ok=False, skipped=True, detail=detail)


def problem_check(problems: Sequence[Problem], total: int, detail: str) -> Check:
    """Return a failed check that lists problems up to the cap; `total` counts them all."""
    return Check(ok=False, detail=detail, problems=reported(problems), problems_total=total)


def reported(problems: Sequence[Problem]) -> list[ProblemReport]:
    """Return the problems as a report lists them, up to the cap."""
    return [ProblemReport(path=problem.path, message=problem.message) for problem in problems[:PROBLEMS_MAX]]


def missing_migration(source: Bundle | None, target: Bundle, migration_id: str) -> str:
    """Say that the target does not hold a migration, and what may have been meant."""
    missing = f"migration {migration_id!r} is not in the target bundle"
    if source is not None and migration_id in source.migrations:
        return f"{missing}, but in the source bundle: are the two the wrong way round?"
    if not target.migrations:
        return f"{missing}, which has none"
    return missing + (suggestion(migration_id, target.migrations) or f", which has {named(target.migrations)}")


def _check_source(source: BundleSource | None, active: Active | None) -> tuple[Bundle | None, Check]:
    """Check the bundle before the migration; that of a store's history is the one that is active there."""
    if source is None:
        raise UsageError(
            "MISSING_FLAG",
            "the bundle that wrote the history is not given",
            hint="give it with --from; only a store knows by itself",
        )
    bundle, check = checked_bundle(source)
    if bundle is None or active is None or bundle.digest == active.bundle_digest:
        return bundle, check
    expected = f"expected the active bundle {active.bundle_digest} of {named(active.tenants)}"
    return None, Check(ok=False, detail=f"{expected}, found {bundle.digest}")


def _check_exists(found: Documents, migration_id: str) -> Check:
    if found.target is None:
        return skipped("the target bundle is not valid")
    found.migration = found.target.migrations.get(migration_id)
    if found.migration is None:
        return Check(ok=False, detail=missing_migration(found.source, found.target, migration_id))
    return Check(ok=True)


def _check_versions(documents: Documents, active: Active | None) -> Check:
    if documents.migration is None:
        return skipped("there is no migration to look at")
    faults = [
        *version_faults(documents.source, documents.target, documents.migration),
        *_other_versions(active, documents.migration.from_version),
    ]
    return Check(ok=False, detail="; ".join(faults)) if faults else Check(ok=True)


def _other_versions(active: Active | None, expected: int) -> Iterator[str]:
    """Name the tenants of a store that are at another version than the one that the migration begins at."""
    found: dict[int, list[str]] = {}
    for tenant_id, held in () if active is None else active.tenants.items():
        found.setdefault(held.gate.active_version, []).append(tenant_id)
    for version, tenants in sorted(found.items()):
        if version != expected:
            who = "tenant" if len(tenants) == 1 else f"{len(tenants)} tenants, such as"
            yield f"the migration begins at version {expected}, {who} {named(tenants)} at version {version}"


def _check_total(documents: Documents) -> Check:
    if documents.source is None or documents.target is None or documents.migration is None:
        return skipped("needs two valid bundles and a migration")
    found = holes(documents.source, documents.target, documents.migration)
    noted = [problem.message for problem in warnings(documents.source, documents.target, documents.migration)] or UNSET
    if not found:
        return Check(ok=True, warnings=noted)
    check = problem_check(found, len(found), f"the migration is not total: {found[0].message}")
    return Check(ok=False, detail=check.detail, problems=check.problems, problems_total=len(found), warnings=noted)
