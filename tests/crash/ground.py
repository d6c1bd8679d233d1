"""One store with many tenants, each for one story of deaths; what must be true of a tenant when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cicsc.canonical import canonical_bytes
from cicsc.history.model import Event
from cicsc.operations.live.recovery import recover_tenant
from cicsc.store.check import check_store
from cicsc.store.protocol import Store
from cicsc.store.records import Gate, Run
from conformance.store.desk import Desk, Plain, RefusedError
from conformance.store.history import INSERT, columns, stored
from crash.application import BUNDLES, OPERATOR, SOURCE, digest_of, events_of, late_event, migrated, snapshots_of
from postgres_server import PostgresServer

DEADLINE_S = 30.0

TABLES = ("tenant", "gate", "event", "snapshot", "command", "audit", "cutover")

Rows = list[tuple[object, ...]]


@dataclass
class Tenant:
    """A tenant, and what was acknowledged of it."""

    tenant_id: str
    before: Rows
    """The rows of its first generation, and the snapshots, as they were when it was made."""
    late: list[int] = field(default_factory=list)
    """Late events that were acknowledged at version 1."""
    may_lose_old: bool = False
    """Whether its old generations may be dropped, whole or in part."""
    later: list[int] = field(default_factory=list)
    """Late events that were acknowledged at version 2."""

    def source(self) -> list[Event]:
        """What it has at version 1."""
        return events_of(self.tenant_id, tuple(self.late))

    def expected(self, version: int, migration: str) -> list[Event]:
        """What it has to have at a version."""
        first = self.source() if version == 1 else migrated(self.tenant_id, tuple(self.late), migration)
        return [*first, *(late_event(self.tenant_id, number) for number in self.later)]


class Ground:
    """The store, and a program beside it that reads and writes by plain SQL."""

    def __init__(self, kind: str, desk: Desk, server: PostgresServer | None) -> None:
        self.kind = kind
        self.desk = desk
        self._server = server
        self._numbers = count(1)
        self._late = count(1)
        self._store: Store | None = desk.initialised()
        self._plain: Plain | None = None
        self.store.put_bundle(SOURCE)
        self.bystander = self.add_tenant()
        self._bystander_rows = self.dump(self.bystander)

    @property
    def store(self) -> Store:
        """A store of the living."""
        if self._store is None:
            self._store = self.desk.open()
        return self._store

    @property
    def plain(self) -> Plain:
        """A program that writes by plain SQL."""
        if self._plain is None:
            self._plain = self.desk.plain()
        return self._plain

    def close(self) -> None:
        """End the connections; they are made again when they are needed."""
        for opened in (self._plain, self._store):
            if opened is not None:
                opened.close()
        self._plain = self._store = None

    def leave(self) -> None:
        """Let nobody have a file open but who dies with it, so that what is left of its journal is found by the next."""
        if self._server is None:
            self.close()

    @property
    def is_file(self) -> bool:
        """Whether it is in a file, and not in a server."""
        return self._server is None

    def commit(self, number: int) -> int:
        """Which commit of a run on this store is the one of this number on a file.

        A server has one more, the second: it locks the tenant for an instant to read its settled head.
        """
        return number if self.is_file or number == 1 else number + 1

    @property
    def url(self) -> str:
        """The URL for processes that die, by whose name the server knows them."""
        return self.desk.url if self._server is None else f"{self.desk.url}&application_name=dying"

    def add_tenant(self) -> Tenant:
        """Create a tenant with a history, and the snapshots of some of its streams."""
        tenant = self.add_empty_tenant()
        events = events_of(tenant.tenant_id)
        self.store.append(tenant.tenant_id, events, generation=1, snapshots=snapshots_of(SOURCE, events)[1:])
        tenant.before = self.generation(tenant, 1)
        return tenant

    def add_empty_tenant(self) -> Tenant:
        """Create a tenant without a history."""
        tenant_id = f"t{next(self._numbers)}"
        self.store.create_tenant(tenant_id, bundle_digest=SOURCE.digest, version=1, actor_id=OPERATOR)
        return Tenant(tenant_id, [])

    # --------------------------------------------------------------------------------------- looking

    def gate(self, tenant: Tenant) -> Gate:
        return self.store.gate(tenant.tenant_id)

    def last_run(self, tenant: Tenant) -> Run | None:
        """The run that has the tenant, or had it last."""
        runs = self.store.runs.of_tenant(tenant.tenant_id)
        return self.store.runs.holder(tenant.tenant_id) or (runs[-1] if runs else None)

    def generation(self, tenant: Tenant, generation: int) -> Rows:
        """Every column of a generation's events and snapshots, positions included."""
        events = self._select("event", tenant, "and generation = ?", generation)
        snapshots = self._select("snapshot", tenant, "and generation = ?", generation)
        return events + snapshots

    def dump(self, tenant: Tenant) -> Rows:
        """Every row about a tenant."""
        return [row for table in TABLES for row in self._select(table, tenant, "")]

    def _select(self, table: str, tenant: Tenant, condition: str, *parameters: object) -> Rows:
        statement = f"select * from {{{table}}} where tenant_id = ? {condition}"
        return sorted(map(tuple, self.plain.execute(statement, tenant.tenant_id, *parameters)), key=repr)

    def cut_off(self) -> None:
        """Let the server end the connections of a process that does not move, as its administrator would."""
        statement = "select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = 'dying'"
        self.plain.execute(statement)
        self.until_gone()

    # --------------------------------------------------------------------------------------- waiting

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that has to come."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"never came: {what}"
            time.sleep(0.005)

    def until_gone(self) -> None:
        """Wait until the server, too, has noticed that a process died; what it had asked for is done or undone then."""
        if self._server is not None:
            statement = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'dying'"
            self.until(lambda: self.plain.execute(statement) == [(0,)], "the end of the connections of a dead process")

    def until_lease_is_over(self, tenant: Tenant) -> None:
        """Wait until the run that has the tenant may be followed by another."""

        def is_over() -> bool:
            gate, run = self.gate(tenant), self.store.runs.holder(tenant.tenant_id)
            return run is None or max(run.lease_until_ms, gate.lease_until_ms or 0) <= gate.clock_ms

        self.until(is_over, f"the end of the lease on {tenant.tenant_id}")

    # --------------------------------------------------------------------------------------- writing

    def write(self, tenant: Tenant) -> str | None:
        """Write a late event by plain SQL; return the code of the refusal, None when it was acknowledged."""
        number, gate = next(self._late), self.gate(tenant)
        written = late_event(tenant.tenant_id, number)
        payload = canonical_bytes(written.payload).decode()
        try:
            self.plain.execute(INSERT, *columns(written, gate.active_generation, payload=payload))
        except RefusedError as refused:
            return refused.code
        (tenant.late if gate.active_version == 1 else tenant.later).append(number)
        if gate.active_generation == 1:
            tenant.before = self.generation(tenant, 1)
        return None

    def grow(self, tenant: Tenant, number: int) -> None:
        """Write many late events at once, before anything is changed."""
        tenant.late = [next(self._late) for _ in range(number)]
        events = [late_event(tenant.tenant_id, late) for late in tenant.late]
        self.store.append(tenant.tenant_id, events, generation=1)
        tenant.before = self.generation(tenant, 1)

    def require_held(self, tenant: Tenant) -> bool:
        """A writer is refused as long as the lease of a dead run holds; tell whether one was seen to be."""
        if not self.gate(tenant).is_paused:
            return False
        code = self.write(tenant)
        if code is None:  # then the lease ran out in between
            assert not self.gate(tenant).is_paused
            return False
        assert code == "TENANT_PAUSED"
        return True

    # ------------------------------------------------------------------------------------ what is true

    def require_whole(self, tenant: Tenant, migration: str) -> int:
        """Require that a tenant is open and whole at one version, and return which."""
        gate, store = self.gate(tenant), self.store
        assert (gate.state, gate.owner, gate.staging_generation) == ("open", None, None)
        assert gate.active_bundle == BUNDLES[gate.active_version].digest
        expected = tenant.expected(gate.active_version, migration)
        found = stored(store, tenant.tenant_id)
        assert len(found) == len(expected)
        assert digest_of(found) == digest_of(expected)
        self._require_journal(tenant, gate)
        kept = self.generation(tenant, 1)
        assert set(kept) <= set(tenant.before) if tenant.may_lose_old else kept == tenant.before
        check = check_store(store, [tenant.tenant_id])
        assert check.ok, check.findings
        assert check.events == len(expected)
        if gate.active_generation != 1:  # a change makes the snapshots of all streams; late events have none
            streams = {(event.entity_type, event.entity_id) for event in events_of(tenant.tenant_id)}
            assert check.snapshots >= len(streams)
        return gate.active_version

    def _require_journal(self, tenant: Tenant, gate: Gate) -> None:
        """Require that the journal and the generations that are there tell of the same switches, and of no other."""
        runs = self.store.runs.of_tenant(tenant.tenant_id)
        switched = [run for run in runs if run.switched_at_ms is not None]
        assert {run.phase for run in runs} <= {"DONE", "ABORTED"}
        changes = [run for run in runs if run.kind not in {"finalize", "import"}]
        assert all((run.phase == "DONE") == (run.switched_at_ms is not None) for run in changes)
        active = switched[-1] if switched else None
        expected = (1, 1) if active is None else (active.target_version, active.target_generation)
        assert (gate.active_version, gate.active_generation) == expected
        known = {1} | {run.target_generation for run in switched}
        found = set(self.store.runs.generations(tenant.tenant_id))
        assert found <= known if tenant.may_lose_old else found == known

    def require_settled(self, tenant: Tenant) -> None:
        """Require that recovering once more changes nothing, and that the tenant goes on."""
        rows = self.dump(tenant)
        assert recover_tenant(self.store, tenant.tenant_id, actor_id="eve") is None
        assert self.dump(tenant) == rows
        assert self.write(tenant) is None
        assert self.dump(self.bystander) == self._bystander_rows


def facts(answer: dict[str, Any] | None) -> str:
    """What a process that survived said, for the message of an assertion."""
    return repr({key: (answer or {}).get(key) for key in ("outcome", "error", "raised", "message")})
