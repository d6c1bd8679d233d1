"""The application whose tenants are changed while processes die, and what their histories must be afterwards.

There are two ways from version 1 to version 2: `split` drops one type of event and makes two of another, `rename` can be
inverted. What a history becomes is told by a dry run on files, which has no store.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cicsc.bundle.load import load_bundle
from cicsc.bundle.model import Bundle
from cicsc.history.model import Event, stream_key
from cicsc.history.sorted import open_history
from cicsc.operations.dry_run import dry_run
from cicsc.replay.fold import replay_steps
from cicsc.replay.reducers import compile_types
from cicsc.replay.snapshot import Snapshot
from conformance.store.history import digest, event

OPERATOR = "ann"

STREAMS = 2


def _bundle(placed: str, migrations: dict[str, Any]) -> Bundle:
    total = {"set_attr": {"name": "total", "expr": {"var": {"e_payload": {"path": "total"}}}}}
    paid = {"set_state": {"expr": {"lit": {"string": "paid"}}}}
    order = {
        "id_type": "string",
        "states": ["new", "paid"],
        "initial_state": "new",
        "attrs": {"total": {}},
        "commands": {},
        "reducer": {placed: [total], "paid": [paid], "viewed": [], "noted": []},
    }
    customer = order | {"reducer": {"registered": []}}
    return load_bundle(
        {"core_ir": {"version": 0, "types": {"Order": order, "Customer": customer}, "migrations": migrations}}
    )


def _migration(transforms: dict[str, Any]) -> dict[str, Any]:
    return {"from_version": 1, "to_version": 2, "on_type": "Order", "event_transforms": transforms}


SOURCE = _bundle("placed", {})
TARGET = _bundle(
    "opened",
    {
        "split": _migration(
            {
                "placed": {"fan_out": {"emit_many": [{"emit_as": "opened"}, {"emit_as": "noted"}]}},
                "viewed": {"drop": True},
            }
        ),
        "rename": _migration({"placed": {"emit_as": "opened"}}),
    },
)

BUNDLES = {1: SOURCE, 2: TARGET}


def events_of(tenant_id: str, late: tuple[int, ...] = ()) -> list[Event]:
    """What a tenant has at version 1: streams of two types, with extra fields and a number beyond 64 bits; then late events."""
    events = []
    for number in range(1, STREAMS + 1):
        payloads = {
            "placed": {"total": 10**20 + number},
            "viewed": {},
            "paid": {"by": "card"},
            "noted": {"text": "\u00e9"},
        }
        for seq, (kind, payload) in enumerate(payloads.items(), start=1):
            extra = {"source": "import", "n": number} if seq in {2, 3} else None
            written = event(
                f"order-{number}", seq, kind, tenant_id=tenant_id, payload=payload, ts=1000 * seq, extra=extra
            )
            events.append(written)
        events.append(
            event(f"{number}", 1, "registered", tenant_id=tenant_id, entity_type="Customer", payload={"n": number})
        )
    return events + [late_event(tenant_id, number) for number in late]


def late_event(tenant_id: str, number: int) -> Event:
    """An event that a program writes in between; both versions know its type, and no migration changes it."""
    return event(f"late-{number}", 1, "noted", tenant_id=tenant_id, payload={"late": number}, ts=9000)


def snapshots_of(bundle: Bundle, events: Iterable[Event]) -> list[Snapshot]:
    """What the streams of a history fold to."""
    programs = compile_types(bundle)
    found = []
    for key, stream in groupby(_sorted(events), stream_key):
        *_, (_, _, snapshot) = replay_steps(programs[key[1]], key, stream)
        found.append(snapshot)
    return found


def digest_of(events: Iterable[Event]) -> str:
    """The digest of a history."""
    return digest((key, list(stream)) for key, stream in groupby(_sorted(events), stream_key))


@cache
def migrated(tenant_id: str, late: tuple[int, ...], migration: str) -> tuple[Event, ...]:
    """What a dry run on files makes of the history of a tenant."""
    with TemporaryDirectory(prefix="cicsc-crash-") as folder:
        out = Path(folder) / "migrated.jsonl"
        report = dry_run(SOURCE, TARGET, events_of(tenant_id, late), migration, out_events=out)
        assert report.ok
        with open_history(out) as history:
            found = tuple(event for _, stream in history.streams() for event in stream)
    assert digest_of(found) == report.artifact.migrated_digest
    return found


def _sorted(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event.entity_type, event.entity_id, event.seq))
