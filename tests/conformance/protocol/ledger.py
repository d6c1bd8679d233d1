"""What was acknowledged, in plain Python beside the store: the model that the store is held against.

Each check names the invariant of the protocol (`docs/design.md`) that it is about by its number.
"""

from __future__ import annotations

import json
from typing import Any

from conformance.protocol.application import History, Told, migrated, taken_back
from conformance.protocol.seen import RunRow, Tenant
from oracle.digest import history_digest

NAMES = ("tenant_id", "generation", "entity_type", "entity_id", "seq", "event_type", "payload", "ts", "actor_id")


class Ledger:
    """One tenant: what each generation that ever was active must hold, and which one is active."""

    def __init__(self, found: Tenant) -> None:
        self.tenant_id = found.gate.tenant_id
        self.version = 1
        self.generation = 1
        self.histories: dict[int, History] = {1: {}}
        self.rows: dict[int, list[tuple[Any, ...]]] = {1: []}
        self.receipts: set[str] = set()
        self.plans: dict[str, str | None] = {}
        self.clock_moved: set[str] = set()
        self.spoilt: set[str] = set()

    @property
    def active(self) -> History:
        """The history that readers must see."""
        return self.histories[self.generation]

    def next_seq(self, entity_id: str) -> int:
        """The seq that an event of an entity must have."""
        return len(self.active.get(entity_id, ())) + 1

    def acknowledge(self, found: Tenant, written: list[tuple[str, str, int]]) -> None:
        """Take down events (entity, type, total) that the store took; nothing else may have come."""
        known = {row[3:5] for row in self.rows[self.generation]}
        new = [row for row in found.rows(self.generation) if row[3:5] not in known]
        assert len(new) == len(written), f"1: acknowledged {written}, found {new}"
        for entity_id, event_type, total in written:
            seq = self.next_seq(entity_id)
            position = next((row[10] for row in new if row[3:5] == (entity_id, seq)), None)
            assert position is not None, f"1: acknowledged {entity_id!r} at seq {seq}, which is not there"
            self.active.setdefault(entity_id, []).append(Told(event_type, total, position))
        self.rows[self.generation] = found.rows(self.generation)

    def switch(self, before: Tenant, after: Tenant, run_id: str) -> None:
        """Follow a run that made its generation active."""
        run, old = after.runs[run_id], self.active
        assert (before.runs[run_id].phase, run.phase) == ("STAGED", "SWITCHED"), "3: switched without being staged"
        assert after.gate.active_generation == run.target_generation
        assert after.gate.state == "open", "a tenant is never switched and still paused"
        assert run.source_generation == self.generation
        assert run.target_generation is not None
        self._check_verified(before, after, run)
        if run.method == "migrate":
            self.version += 1
            new = migrated(old, self.version)
        elif run.method == "reactivate":
            new = self.histories[run.target_generation]
            assert migrated(new, self.version) == old, "1: what was written since the switch is lost"
            self.version -= 1
        else:
            assert run.method == "inverse"
            new = taken_back(old)
            self.version -= 1
        self.generation = run.target_generation
        self.histories[self.generation] = {name: [*events] for name, events in new.items()}
        self.rows[self.generation] = after.rows(self.generation)
        assert after.gate.active_version == run.target_version == self.version

    def _check_verified(self, before: Tenant, after: Tenant, run: RunRow) -> None:
        source, target = before.rows(run.source_generation), after.rows(run.target_generation or 0)
        head = (max((row[10] for row in source), default=0), len(source))
        assert (run.head_position, run.head_count) == head, "3: verified for another head"
        assert run.head_digest == _digest(source), "3: verified for another history"
        assert (run.target_count, run.target_digest) == (len(target), _digest(target)), "3: another result is active"
        assert run.plan_digest == self.plans[run.run_id], "3: verified for another plan"

    def compare(self, found: Tenant, *, may_drop: bool, now_ms: float) -> None:
        """Hold the tenant against what is known of it."""
        gate, holder = found.gate, found.holder
        assert gate.active_generation == self.generation, "4: the active generation changed without a switch"
        assert found.history(self.generation) == self.active, "1: the active history is not what was acknowledged"
        for generation in sorted(self.histories):
            kept = found.rows(generation)
            if kept != self.rows[generation]:
                assert may_drop, f"4: generation {generation} is not as it was left"
                assert generation != self.generation, "4: the active generation was dropped"
                del self.histories[generation], self.rows[generation]
        if holder is not None and found.is_paused(now_ms):
            assert holder.phase in {"FENCED", "VERIFIED", "STAGED"}, f"paused in phase {holder.phase}"
            if holder.run_id not in self.clock_moved:
                rows = found.rows(self.generation)
                head = (max((row[10] for row in rows), default=0), len(rows))
                assert (holder.head_position, holder.head_count) == head, "2: the head moved under the fence"
        if gate.pause_deadline_ms is not None:
            assert gate.lease_until_ms is not None
            assert gate.lease_until_ms <= gate.pause_deadline_ms, "7: a pause outlasts its deadline"
        assert gate.owner is not None or gate.staging_generation is None, "8: nobody cleans up what was staged"
        self._check_aborted(found)

    def _check_aborted(self, found: Tenant) -> None:
        for run in found.runs.values():
            if run.phase != "ABORTED":
                continue
            assert run.switched_at_ms is None, "8: aborted after the switch"
            assert (run.paused_at_ms is None) == (run.resumed_at_ms is None), "aborted without a word about resuming"
            if found.gate.owner != run.run_id and run.target_generation not in {None, *self.histories}:
                left = found.rows(run.target_generation or 0)
                assert left == [], "8: an aborted run left events behind"


def _digest(rows: list[tuple[Any, ...]]) -> str:
    """The digest of a generation, by the oracle."""
    events = [dict(zip(NAMES, row, strict=False)) for row in rows]
    return history_digest([event | {"payload": json.loads(event["payload"])} for event in events])
