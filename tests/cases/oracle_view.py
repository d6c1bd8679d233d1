"""What the independent oracle says of a call, where it can be asked: a second opinion beside `expected.json`.

It is asked about reports of preflight and dry run on an intact history, about digests and snapshots, and about
rollbacks along a structural inverse. It reads JSON and JSON Lines, so that calls on Parquet or standard
input pass without it.
"""

from __future__ import annotations

import gzip
import json
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from oracle import migration as oracle
from oracle.digest import history_digest, streams
from oracle.replay import replay, types_of, violations
from oracle.values import equal

Document = dict[str, Any]
Flags = dict[str, list[str]]


def disagreements(call: dict[str, Any], output: bytes, work: Path) -> list[str]:
    """Where a call's output is not what the oracle says; nothing where the oracle cannot be asked."""
    verb, *arguments = shlex.split(call["command"]) or [""]
    ask = VERBS.get(verb)
    if ask is None or call["exit"] > 1:
        return []
    flags = read_flags(arguments)
    events = read_events(work / flags["--events"][0], flags.get("--tenant"))
    return [] if events is None else ask(flags, output, work, events)


def read_flags(arguments: list[str]) -> Flags:
    """The values of each flag."""
    flags: Flags = {}
    for flag, value in zip(arguments, [*arguments, ""][1:], strict=True):
        if flag.startswith("--"):
            flags.setdefault(flag, []).append(value)
    return flags


def read_events(path: Path, tenants: list[str] | None) -> list[Document] | None:
    """A history of one of the plain formats, restricted to tenants; None for any other."""
    if not path.is_file() or ".parquet" in path.suffixes:
        return None
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    text = data.decode("utf-8-sig")
    values = json.loads(text) if ".json" in path.suffixes else [json.loads(line) for line in text.split("\n") if line]
    return [event for event in values if tenants is None or event["tenant_id"] in tenants]


def report_disagreements(flags: Flags, output: bytes, work: Path, events: list[Document]) -> list[str]:
    """Compare a preflight or dry run of an intact history: digests, counts, violations, divergences."""
    document = json.loads(output)
    artifact = document.get("artifact")
    preflight = document if artifact is None else artifact["preflight"]
    checks = preflight.get("checks", {})
    if "verify" not in preflight or not checks["history_integrity"]["ok"]:
        return []
    source, target = (json.loads((work / flags[flag][0]).read_bytes()) for flag in ("--from", "--to"))
    migration = oracle.migration_of(target, flags["--migration"][0])
    migrated, _ = oracle.transform(migration, events)
    tenants = {str(event["tenant_id"]) for event in events}
    latest = max((int(event["ts"]) for event in events), default=None)
    now = int(flags["--now"][0]) if "--now" in flags else latest
    actor = flags.get("--actor", [None])[0]
    every_event = flags.get("--equivalence") == ["every-event"]
    diverged = oracle.divergences(source, target, migration, events, every_event)
    verify = preflight["verify"]
    expected: dict[str, tuple[object, object]] = {
        "source_events": (len(events), verify["source_events"]),
        "migrated_events": (len(migrated), verify["migrated_events"]),
        "streams_diverged": (len({d.key for d in diverged}), verify["equivalence"]["streams_diverged"]),
        "diverged_by_field": (
            Counter(f"{key[1]}.{field}" for key, field in {(d.key, d.field) for d in diverged}),
            verify["equivalence"]["diverged_by_field"],
        ),
        "unconstrained": (
            unconstrained(source, target, migration),
            sorted(name.rpartition(" (")[0] for name in verify["equivalence"]["unconstrained"]),
        ),
        "source entities": (len(streams(events)), verify["source_verify"]["entities_count"]),
        "target entities": (len(streams(migrated)), verify["target_verify"]["entities_count"]),
        "source violations": (
            count_violations(source, events, now, actor, tenants),
            verify["source_verify"].get("violations_by_constraint", {}),
        ),
        "target violations": (
            count_violations(target, migrated, now, actor, tenants),
            verify["target_verify"].get("violations_by_constraint", {}),
        ),
        "total": (not oracle.holes(source, target, migration), checks["migration_total"]["ok"]),
    }
    if artifact is not None:
        expected["source_digest"] = (history_digest(events), artifact["source_digest"])
        expected["migrated_digest"] = (history_digest(migrated), artifact["migrated_digest"])
        expected["heads"] = (heads(events), artifact["heads"])
    if "inverse" not in migration:
        reasons = sorted(oracle.obstacles(source, migration))
        expected["reversibility"] = (reasons, sorted(preflight["reversibility"]["reasons"]))
    return unequal(expected)


def count_violations(
    bundle: Document, events: list[Document], now: int | None, actor: str | None, tenants: set[str]
) -> dict[str, int]:
    """How often each constraint is violated, and how many events cannot be replayed."""
    _, unhandled = replay(bundle, events)
    found, _ = violations(bundle, events, now, actor, tenants)
    return Counter([*(violation.constraint_id for violation in found), *("replay" for _ in unhandled)])


def unconstrained(source: Document, target: Document, migration: Document) -> list[str]:
    """What equivalence does not compare, in the entity types of both bundles."""
    bodies, (before, after) = oracle.type_bodies(migration), (types_of(source), types_of(target))
    return sorted(
        f"{name}.{field}"
        for name in before.keys() & after.keys()
        for field in oracle.unconstrained(before[name], after[name], bodies.get(name))
    )


def heads(events: list[Document]) -> Document:
    """How far the history of each tenant reaches."""
    tenants: dict[str, list[Document]] = {}
    for event in events:
        tenants.setdefault(event["tenant_id"], []).append(event)
    return {name: {"events": len(own), "digest": history_digest(own)} for name, own in tenants.items()}


def digest_disagreements(flags: Flags, output: bytes, work: Path, events: list[Document]) -> list[str]:
    """Compare the digest of a history that has one."""
    document = json.loads(output)
    if document.get("digest") is None:
        return []
    found = {"digest": document["digest"], "events": document["events"], "streams": document["streams"]}
    said = {"digest": history_digest(events), "events": len(events), "streams": len(streams(events))}
    return unequal({name: (said[name], found[name]) for name in said})


def snapshot_disagreements(flags: Flags, output: bytes, work: Path, events: list[Document]) -> list[str]:
    """Compare the snapshots of all entities, where all of them could be replayed."""
    lines = [json.loads(line) for line in output.splitlines()]
    if "--id" in flags or any("error" in line for line in lines):
        return []
    bundle = json.loads((work / flags["--bundle"][0]).read_bytes())
    snapshots, _ = replay(bundle, events)
    wanted = [[*key, held.state, held.attrs, held.shadows, held.updated_ts] for key, held in sorted(snapshots.items())]
    names = ("tenant_id", "entity_type", "entity_id", "state", "attrs", "shadows", "updated_ts")
    return unequal({"snapshots": (wanted, [[line[name] for name in names] for line in lines])})


def rollback_disagreements(flags: Flags, output: bytes, work: Path, events: list[Document]) -> list[str]:
    """Compare the digest of what a rollback along a structural inverse gives."""
    document = json.loads(output)
    if not document["ok"] or document.get("method") != "structural":
        return []
    target = json.loads((work / flags["--to"][0]).read_bytes())
    back = oracle.rolled_back(oracle.migration_of(target, flags["--migration"][0]), events)
    return unequal({"rolled_back_digest": (history_digest(back), document["rolled_back_digest"])})


def unequal(compared: dict[str, tuple[object, object]]) -> list[str]:
    """What differs, by name; values are compared as by eq, so that true is not 1, and 1 is 1.0."""
    return [
        f"{name}: the oracle says {wanted!r}, found {found!r}"
        for name, (wanted, found) in compared.items()
        if not equal(wanted, found)
    ]


VERBS: dict[str, Callable[[Flags, bytes, Path, list[Document]], list[str]]] = {
    "history-verify": digest_disagreements,
    "history-replay": snapshot_disagreements,
    "migration-preflight": report_disagreements,
    "migration-dry-run": report_disagreements,
    "migration-rollback": rollback_disagreements,
}
