"""What to do next: for each outcome one step, or a look and a step, with the command to type where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import UNSET
from rich.console import RenderableType

from cicsc.report.invocation import Invocation
from cicsc.report.layout import next_step
from cicsc.report.models import DryRun, HistoryVerify, Preflight, Rollback, SideVerify, Verify

ARTIFACT: Final = "artifacts/migration-dry-run.json"
"""Where a suggested dry run is recorded, unless the call names another place."""

SAME_CHECKS: Final = ("--now", "--actor", "--equivalence", "--accept-source-violations")
"""Flags by which a migration is checked in the same way."""

_SAME_HISTORY: Final = ("--tenant", "--all", "--expected-hash", "--engine", "--spark-master")
_SAME_ASSESSMENT: Final = (
    "--from", "--to", "--events", "--store", "--migration", *_SAME_HISTORY, *SAME_CHECKS,
)  # fmt: skip


def after_preflight(report: Preflight, call: Invocation) -> Iterator[RenderableType]:
    """After a preflight: the dry run, or what to correct."""
    if not report.ok:
        yield from _after_refusal(report, call)
        return
    command = call.then("migration-dry-run", *_SAME_ASSESSMENT).plus("--artifact", ARTIFACT)
    yield from next_step("record the dry run", command)


def _after_refusal(report: Preflight, call: Invocation) -> Iterator[RenderableType]:
    """Name the first thing to do about the first check that failed."""
    checks = report.checks
    if not checks.from_bundle_valid.ok and from_store(call):
        yield from next_step("leave --from out: the store holds the bundle that is active")
    elif not checks.from_bundle_valid.ok:
        yield from next_step("correct the --from bundle", call.then("bundle-validate", "--from").renamed("--from", ""))
    elif not checks.to_bundle_valid.ok:
        yield from next_step("correct the --to bundle", call.then("bundle-validate", "--to").renamed("--to", ""))
    elif not checks.migration_exists.ok:
        yield from next_step("name a migration of the --to bundle in --migration, or in --to the bundle that holds it")
    elif not checks.version_forward.ok:
        yield from next_step("correct the versions, or give the bundles that the migration is for")
    elif not checks.migration_total.ok:
        yield from next_step("map or drop in the migration what is named above, then run the same command again")
    elif not checks.history_integrity.ok and from_store(call):
        command = call.then("store-check", "--store", "--tenant")
        yield from next_step("do not cut over; see what is wrong with the store", command)
    elif not checks.history_integrity.ok:
        command = call.then("history-verify", "--events", *_SAME_HISTORY)
        yield from next_step("do not cut over; see all findings and export the history again", command)
    elif report.verify is not UNSET:
        yield from _after_replay(report.verify, call)


def _after_replay(verify: Verify, call: Invocation) -> Iterator[RenderableType]:
    before, example = verify.source_verify, verify.equivalence.example
    if not before.ok:
        to_accept = sorted(
            {item.constraint_id for item in before.violations if item.kind != "replay" and not item.accepted}
        )
        unplayable = any(item.kind == "replay" for item in before.violations)
        if not unplayable:
            yield from _violated(before, call.renamed("--from", "--bundle"))
        if to_accept and not unplayable and not verify.target_verify.ok:
            yield from next_step("repair the history: it violates the rules of both bundles")
        elif to_accept and not unplayable:
            command = call
            for constraint_id in to_accept:
                command = command.plus("--accept-source-violations", constraint_id)
            yield from next_step("repair the history, or accept by name what it violates already", command)
        else:
            yield from next_step("give the --from bundle that wrote this history, with a reducer for every event")
    elif example is not UNSET:
        stream = (example.tenant_id, example.entity_type, example.entity_id)
        command = _steps_of(stream, call.renamed("--from", "--bundle"))
        yield from next_step("correct the migration; this shows the example step by step", command)
    else:
        yield from next_step("correct the migration or the --to bundle, then run the same command again")


def _violated(side: SideVerify, call: Invocation) -> Iterator[RenderableType]:
    """Show where the values come from that violate a constraint on an entity, in the first example of one."""
    for item in side.violations:
        if item.kind == "snapshot" and not item.accepted and item.sample.entity_id is not UNSET:
            stream = (item.sample.tenant_id, item.on_type, item.sample.entity_id)
            yield from next_step(f"see what violates {item.constraint_id}, step by step", _steps_of(stream, call))
            return


def _steps_of(stream: tuple[str, str, str], call: Invocation) -> Invocation:
    """Return the command that replays one stream of the history, with the bundle of the call, if it has one."""
    command = call.then("history-replay", "--bundle", "--events", "--store")
    for flag, value in zip(("--tenant", "--type", "--id"), stream, strict=True):
        command = command.plus(flag, value)
    return command.plus("--steps")


def after_dry_run(report: DryRun, call: Invocation) -> Iterator[RenderableType]:
    """After a dry run: write what is still missing, then the cutover; or what to correct."""
    out_events = call.value("--out-events")
    if not report.ok:
        yield from _after_refusal(report.artifact.preflight, call)
    elif report.artifact_path is UNSET:
        yield from next_step("record it", call.plus("--artifact", ARTIFACT))
    elif from_store(call):
        command = call.then("migration-cutover", "--store", "--tenant", "--all", "--to", "--migration", *SAME_CHECKS)
        yield from next_step("rehearse the cutover, bound to this artifact", command.plus("--artifact", _path(report)))
    elif out_events is None:
        yield from next_step("write the migrated history", call.plus("--out-events", "events.migrated.jsonl"))
    else:
        yield from next_step(
            "cut over (runbook, chapter 3): pause writes, make sure that no event came since, load"
            f" {out_events}, activate the new version, resume"
        )


def _path(report: DryRun) -> str:
    return ARTIFACT if report.artifact_path is UNSET else report.artifact_path


def from_store(call: Invocation) -> bool:
    """Tell whether the history comes from a store, whose URL may stand in the environment."""
    return call.value("--events") is None


def after_unsafe(report: Rollback) -> Iterator[RenderableType]:
    """After a rollback that is refused."""
    hint = None if not isinstance(report.error, dict) else report.error.get("hint")
    yield from next_step(str(hint) if hint else "keep the migrated history")


def after_history(report: HistoryVerify, call: Invocation) -> Iterator[RenderableType]:
    """After a look at a history that found something."""
    if report.bundle_valid is not UNSET and not report.bundle_valid.ok:
        command = call.then("bundle-validate", "--bundle").renamed("--bundle", "")
        yield from next_step("correct the bundle", command)
    elif not report.history_integrity.ok and from_store(call):
        yield from next_step("do not migrate this history; store-check tells what else is wrong")
    elif not report.history_integrity.ok:
        yield from next_step("do not migrate this history; export it again from where it is kept, then verify it")
    elif report.verify is not UNSET and not report.verify.ok:
        yield from _violated(report.verify, call)
        yield from next_step("repair the history, or give the bundle that wrote it")
