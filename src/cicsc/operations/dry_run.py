"""Dry run, chapter 2 of the runbook: the preflight, recorded in a deterministic artifact.

The artifact holds nothing that varies between two runs on the same inputs, and is written also when
the verdict is no. The migrated history and the position map are written only when it is yes.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET

from cicsc.canonical import RootHasher
from cicsc.durable import Publication, whole_file
from cicsc.engine.inprocess import Head
from cicsc.history.output import event_writer, position_writer
from cicsc.operations.assess import Assessment, Call, Outputs, assess
from cicsc.operations.sources import Discard, guard_outputs, guard_spark_inputs
from cicsc.progress import SILENT, Amount, Progress
from cicsc.report.models import Artifact, DryRun, HeadReport

if TYPE_CHECKING:
    from collections.abc import Collection

    from cicsc.engine.choice import EngineName
    from cicsc.operations.arguments import Equivalence
    from cicsc.operations.sources import BundleSource, HistorySource


def dry_run(
    source: BundleSource | None,
    target: BundleSource,
    events: HistorySource,
    migration: str,
    *,
    artifact: str | Path | None = None,
    out_events: str | Path | None = None,
    out_positions: str | Path | None = None,
    now: int | None = None,
    actor: str | None = None,
    tenants: Collection[str] = (),
    expected_hash: str | None = None,
    equivalence: Equivalence = "final",
    accept_source_violations: Collection[str] = (),
    workers: int | None = None,
    engine: EngineName = "local",
    spark_master: str | None = None,
    progress: Progress = SILENT,
) -> DryRun:
    """Check a migration as `preflight` does, and record the outcome.

    `artifact` is the path of the record, `out_events` of the migrated history, `out_positions` of the
    map from old to new positions; formats follow the endings. Folders are created; all files appear whole
    or none does. Raises what `preflight` raises, and UsageError for an output that
    would overwrite an input.
    """
    call = Call(
        source, target, events, migration, now, actor, tenants, expected_hash, equivalence, accept_source_violations,
        workers, engine, spark_master, progress=progress,
    )  # fmt: skip
    outputs = {"--artifact": artifact, "--out-events": out_events, "--out-positions": out_positions}
    paths = {flag: None if path is None else Path(path) for flag, path in outputs.items()}
    guard_outputs({"--from": source, "--to": target, "--events": events}, paths)
    if engine == "spark":
        guard_spark_inputs(events, paths)
    with Publication() as together, ExitStack() as stack:
        # Opened first, so that a path that cannot be written is found before the work and not after it.
        file = None if artifact is None else stack.enter_context(whole_file(Path(artifact), together))
        record = _artifact(_assess(call, together, paths["--out-events"], paths["--out-positions"]))
        if file is not None:
            file.write(record.to_json())
    return DryRun(ok=record.ok, artifact=record, artifact_path=UNSET if artifact is None else str(artifact))


def _assess(call: Call, together: Publication, out_events: Path | None, out_positions: Path | None) -> Assessment:
    """Assess while writing; what was written is discarded unless the verdict is yes."""
    with suppress(Discard), ExitStack() as stack:
        events = None if out_events is None else stack.enter_context(event_writer(out_events, together))
        positions = None if out_positions is None else stack.enter_context(position_writer(out_positions, together))
        assessment = assess(call, Outputs(digests=True, events=events, positions=positions))
        if not assessment.report.ok:
            raise Discard
        call.progress.begin("writing", Amount())
    return assessment


def _artifact(assessment: Assessment) -> Artifact:
    report, digests = assessment.report, assessment.digests
    artifact = Artifact(
        migration_id=report.migration_id,
        ok=report.ok,
        source_events=assessment.source_events,
        migrated_events=assessment.migrated_events,
        from_bundle_digest=None if assessment.source is None else assessment.source.digest,
        to_bundle_digest=None if assessment.target is None else assessment.target.digest,
        source_digest=digests.given,
        migrated_digest=digests.made,
        heads=_heads(assessment),
        reversibility=None if report.reversibility is UNSET else report.reversibility,
        preflight=report,
    )
    return artifact.sealed()


def _heads(assessment: Assessment) -> dict[str, HeadReport]:
    """Return where each tenant stands; a store's also by position, and those without events too."""
    heads, active = assessment.digests.heads, assessment.active
    if active is None:
        return {name: HeadReport(events=head.events, digest=head.digest) for name, head in sorted(heads.items())}
    if assessment.digests.given is None:
        return {}
    nothing = Head(0, RootHasher().hexdigest())
    return {
        name: HeadReport(
            events=heads.get(name, nothing).events,
            digest=heads.get(name, nothing).digest,
            position=held.head.position,
            generation=held.head.generation,
        )
        for name, held in sorted(active.tenants.items())
    }
