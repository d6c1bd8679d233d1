"""The write path of an application on a store: one command, or some events, in one transaction.

Everything that is decided is decided inside the transaction, on what it reads there. The store's
fence has the last word on every event; this module never looks past a refusal of it.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from cicsc.errors import FenceError, HistoryError, StoreError, UsageError
from cicsc.history.given import given_events
from cicsc.history.model import INTEGER_MIN, Event, StreamKey
from cicsc.replay.fold import Fold
from cicsc.replay.snapshot import Snapshot
from cicsc.runtime.decision import decide, find_command
from cicsc.runtime.host import HostFunction, host_environment
from cicsc.runtime.program import Application, EntityProgram, compile_application
from cicsc.runtime.request import Request, make_request, require_integer
from cicsc.runtime.result import CommandResult, receipt_document, result_of_receipt
from cicsc.store.protocol import Store, TenantTransaction
from cicsc.store.records import Gate
from cicsc.store.refusals import other_version, paused, refusal

ATTEMPTS_MAX: Final = 32
"""Times that a command is tried while other writers come first, where the caller expects no seq."""

BACKOFF_S: Final = 0.005
BACKOFF_S_MAX: Final = 0.25
"""The first wait between two attempts, which doubles each time, and the longest; each is shortened at random."""

BUNDLES_MAX: Final = 16
"""Compiled bundles that a runtime keeps; the one that was used longest ago goes first."""

BUNDLE_CHANGES_MAX: Final = 4
"""Times that a tenant's bundle may change while it is being compiled."""

APPEND_EVENTS_MAX: Final = 10_000
"""Events in one `append`, which holds them all; more are imported."""

_AGAIN: Final = frozenset({"WRONG_SEQ", "STORE_CONFLICT", "COMMAND_REPEATED"})
"""Refusals that mean that another writer came first."""

Answer = TypeVar("Answer")


class Runtime:
    """Carries out the commands of the tenants of a store, each under the bundle that is active for it.

    `host` holds functions that guards call, by name: has_role, role_of, auth_ok, allowed, constraint;
    a call of one that is not supplied is null. `version` is the one that the program which calls is made
    for: where another is active, nothing is written (STALE_GENERATION). Like its store, a runtime is used by
    one thread at a time, in one process.
    """

    def __init__(
        self, store: Store, *, host: Mapping[str, HostFunction] | None = None, version: int | None = None
    ) -> None:
        require_integer("version", version, INTEGER_MIN)
        self._store = store
        self._version = version
        self._environment = host_environment(host)
        self._applications: OrderedDict[str, Application] = OrderedDict()

    def execute(
        self,
        tenant_id: str,
        entity_type: str,
        entity_id: str,
        command: str,
        input: Mapping[str, object],  # noqa: A002 - the format's own word
        *,
        actor: str,
        now: int | None = None,
        command_id: str | None = None,
        expected_seq: int | None = None,
    ) -> CommandResult:
        """Carry out a command on an entity, and keep its events, snapshot, receipt and audit entry together.

        `now` (ms) is what guards see and when the events are said to have happened, by default the
        database's clock. A `command_id` makes it safe to ask again: what has a receipt is not done
        again. With `expected_seq`, the seq of the stream's last event (0 where there is none), the
        command is refused when others have written since; without it, it is tried up to
        `ATTEMPTS_MAX` times. Raises UsageError, InputError, CommandError, FenceError, StoreError, and
        HistoryError where the stream cannot be replayed; after each of them nothing was written,
        but after STORE_OUTCOME_UNKNOWN.
        """
        request = make_request(
            (tenant_id, entity_type, entity_id),
            command,
            input,
            actor=actor,
            now=now,
            command_id=command_id,
            expected_seq=expected_seq,
        )
        attempts = ATTEMPTS_MAX
        if expected_seq is not None:
            attempts = 1 if command_id is None else 2  # once more, for the receipt of the same command elsewhere
        for attempt in range(1, attempts + 1):
            try:
                return self._with_application(
                    tenant_id, lambda transaction, application: self._carry_out(transaction, application, request)
                )
            except (FenceError, StoreError) as error:
                if error.code not in _AGAIN or attempt == attempts:
                    raise
            time.sleep(_backoff_s(attempt))
        raise AssertionError("the last attempt returns or raises")  # pragma: no cover

    def append(self, tenant_id: str, events: Iterable[Event]) -> tuple[Snapshot, ...]:
        """Write events that were made elsewhere into the active generation, and keep the snapshots they lead to.

        The events of a stream come in the order of seq. Guards and constraints are not asked. What the events mean is
        not asked either, so who makes them gives the runtime the `version` that they are made for. Returns
        the snapshot of each stream, in the order in which the streams first came. With nothing written raises
        FenceError, UsageError TOO_MANY_EVENTS, and InputError for what could not be read again as it is.
        """
        held = list(given_events(_bounded(events)))

        def append(transaction: TenantTransaction, application: Application) -> tuple[Snapshot, ...]:
            self._require_writable(transaction.gate)
            return _append(transaction, application, held)

        return self._with_application(tenant_id, append)

    def _require_writable(self, gate: Gate) -> None:
        if self._version not in {None, gate.active_version}:
            raise other_version(gate, self._version)
        if gate.is_paused:
            raise paused(gate)

    def _with_application(self, tenant_id: str, work: Callable[[TenantTransaction, Application], Answer]) -> Answer:
        """Do `work` in a transaction, with the active bundle compiled.

        One that is not compiled yet is fetched between two transactions, since a store answers nothing
        else inside of one.
        """
        for _ in range(BUNDLE_CHANGES_MAX):
            with self._store.transaction(tenant_id) as transaction:
                digest = transaction.gate.active_bundle
                application = self._applications.get(digest)
                if application is not None:
                    self._applications.move_to_end(digest)
                    return work(transaction, application)
            self._applications[digest] = compile_application(self._store.bundle(digest))
            if len(self._applications) > BUNDLES_MAX:
                self._applications.popitem(last=False)
        raise StoreError(
            "STORE_CONFLICT",
            f"the bundle of tenant {tenant_id!r} changed {BUNDLE_CHANGES_MAX} times while it was being compiled",
            hint="nothing was written; it is safe to try again",
        )

    def _carry_out(self, transaction: TenantTransaction, application: Application, request: Request) -> CommandResult:
        if request.command_id is not None:
            receipt = transaction.receipt(request.command_id)
            if receipt is not None:
                return result_of_receipt(receipt, request.digest)
        gate = transaction.gate
        self._require_writable(gate)
        entity, command = find_command(application, gate.active_version, request)
        fold, kept_seq, last_seq = _folded(transaction, entity, request.key)
        if request.expected_seq not in {None, last_seq}:
            raise _moved_on(request, last_seq)
        now = gate.clock_ms if request.now is None else request.now
        events = decide(entity, command, fold, request, now=now, last_seq=last_seq, environment=self._environment)
        snapshot = fold.snapshot(request.key, last_seq + len(events))
        result = CommandResult(
            *request.key,
            command=request.command,
            command_id=request.command_id,
            repeated=False,
            version=gate.active_version,
            events=events,
            snapshot=snapshot,
            last_seq=snapshot.last_seq,
        )
        _keep(transaction, result, request, kept_seq)
        return result


def _folded(transaction: TenantTransaction, entity: EntityProgram, key: StreamKey) -> tuple[Fold, int, int]:
    """Fold an entity as it is now; return also how far its kept snapshot reaches, and the seq of its last event."""
    _, entity_type, entity_id = key
    kept = transaction.snapshot(entity_type, entity_id)
    kept_seq = last_seq = 0 if kept is None else kept.last_seq
    fold = Fold(entity.replay, kept)
    for event in transaction.events(entity_type, entity_id, after_seq=kept_seq):
        if event.seq != last_seq + 1:
            raise _not_replayable("HISTORY_NOT_INTACT", key, event.seq, f"expected seq {last_seq + 1}")
        if not fold.apply(event.event_type, event.payload, event):
            raise _not_replayable("NOT_REPLAYABLE", key, event.seq, f"event type {event.event_type!r} has no reducer")
        last_seq = event.seq
    return fold, kept_seq, last_seq


def _keep(transaction: TenantTransaction, result: CommandResult, request: Request, kept_seq: int) -> None:
    """Write what a command did, and the records of it."""
    if result.events:
        transaction.append(result.events)
    if result.last_seq > kept_seq:
        transaction.put_snapshots([result.snapshot])
    if request.command_id is not None:
        transaction.put_receipt(request.command_id, receipt_document(result, request.digest))
    detail = {
        "entity_type": result.entity_type,
        "entity_id": result.entity_id,
        "command": result.command,
        "command_id": result.command_id,
        "version": result.version,
        "events": len(result.events),
        "last_seq": result.last_seq,
    }
    transaction.record(actor_id=request.actor, action="execute", detail=detail)


def _append(transaction: TenantTransaction, application: Application, events: list[Event]) -> tuple[Snapshot, ...]:
    tenant_id = transaction.gate.tenant_id
    folds: dict[StreamKey, tuple[Fold, int]] = {}
    for event in events:
        key = (tenant_id, event.entity_type, event.entity_id)
        entity = application.get(event.entity_type)
        if entity is not None and key not in folds:
            fold, _, last_seq = _folded(transaction, entity, key)
            folds[key] = (fold, last_seq)
    transaction.append(events)  # the fence refuses what does not follow, and what has no reducer
    for event in events:
        key = (tenant_id, event.entity_type, event.entity_id)
        fold, last_seq = folds[key]
        fold.apply(event.event_type, event.payload, event)
        folds[key] = (fold, last_seq + 1)
    snapshots = tuple(fold.snapshot(key, last_seq) for key, (fold, last_seq) in folds.items())
    transaction.put_snapshots(snapshots)
    return snapshots


def _bounded(events: Iterable[Event]) -> Iterable[Event]:
    for number, event in enumerate(events, start=1):
        if number > APPEND_EVENTS_MAX:
            raise UsageError(
                "TOO_MANY_EVENTS",
                f"cannot append more than {APPEND_EVENTS_MAX} events at once",
                hint="nothing was written; append less, or import the history",
            )
        yield event


def _backoff_s(attempt: int) -> float:
    longest = min(BACKOFF_S_MAX, BACKOFF_S * (1 << (attempt - 1)))
    return longest * random.random()  # noqa: S311 - it keeps writers apart; nothing is secret


def _moved_on(request: Request, last_seq: int) -> FenceError:
    return refusal(
        "WRONG_SEQ", f"stream {request.key!r} is at seq {last_seq}: expected it to be at seq {request.expected_seq}"
    )


def _not_replayable(code: str, key: StreamKey, seq: int, what: str) -> HistoryError:
    return HistoryError(
        code, f"cannot replay stream {key!r} at seq {seq}: {what}", hint="store-check lists what is wrong"
    )
