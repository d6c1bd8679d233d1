"""From a file into a store: each tenant of it by itself, all of its events or none.

The whole file is looked at first, so that a tenant whose history is not intact is refused before
anything of it is written. What was written is read back for the snapshots, and its digest compared.
A tenant that holds the very history already is left as it is, so the same import may be run again.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET, Struct, field

from cicsc.canonical import LeafHasher, RootHasher
from cicsc.errors import CicscError, FenceError, HistoryError, RefusedError, StoreError, WorkError, and_more
from cicsc.history.integrity import FindingsTally, checked_sequence
from cicsc.history.names import wanted_names
from cicsc.history.sorted import open_history
from cicsc.operations.integrity import check_integrity
from cicsc.operations.live.binding import digest_of
from cicsc.operations.live.recovery import recover_tenant
from cicsc.operations.sources import require_tenants
from cicsc.operations.stored import opened_store
from cicsc.progress import SILENT, Progress
from cicsc.replay.fold import Fold
from cicsc.replay.reducers import compile_types
from cicsc.report.printable import without_passwords
from cicsc.report.store_models import HistoryImport, TenantImport

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from cicsc.history.model import Event
    from cicsc.history.sorted import SortedHistory
    from cicsc.operations.sources import EventSource
    from cicsc.replay.snapshot import Snapshot
    from cicsc.report.store_models import ImportOutcome
    from cicsc.store.protocol import Store
    from cicsc.store.records import Gate

SNAPSHOTS_BATCH_MAX: Final = 1_000
SNAPSHOTS_BATCH_BYTES: Final = 4 * 2**20
"""How many snapshots are written in one transaction, in snapshots and in bytes of their attributes."""


def import_history(
    store: str | Store,
    events: EventSource,
    *,
    actor_id: str,
    tenants: Collection[str] = (),
    progress: Progress = SILENT,
) -> HistoryImport:
    """Import the histories of all tenants in `events`, or of those named, into tenants that exist.

    What becomes of each is in the report; one that fails never stops the others. `actor_id` is who
    does it, for the audit. Raises InputError for an input that cannot be decoded, UsageError for a
    tenant that is not in it, HistoryError where all that is in it are values that are no events and name
    no tenant, and StoreError where the store cannot be used at all.
    """
    with opened_store(store) as opened:
        for _ in opened.gates():
            pass  # a store that cannot be used is told before a long history is read
        with open_history(events, tenants=wanted_names(tenants), progress=progress) as history:
            survey = _Survey(history)
            require_tenants(tenants, survey.tenants)
            if not survey.tenants:
                survey.require_intact(_Surveyed())  # nobody's report would tell
            results = _import_each(opened, history, survey, actor_id)
            read = history.events_count
    return _report(results, read, survey.digest)


class _Surveyed(Struct):
    """What the file holds of one tenant."""

    events: int = 0
    root: RootHasher = field(default_factory=RootHasher)
    tally: FindingsTally = field(default_factory=FindingsTally)

    @property
    def digest(self) -> str:
        return self.root.hexdigest()


class _Survey:
    """What a file holds, by tenant, and what is wrong with it."""

    def __init__(self, history: SortedHistory) -> None:
        self.tenants: dict[str, _Surveyed] = {}
        self._malformed = history.malformed
        root = RootHasher()
        for key, stream in history.streams():
            surveyed = self.tenants.setdefault(key[0], _Surveyed())
            leaf = LeafHasher()
            for event in checked_sequence(key, stream, surveyed.tally):
                leaf.update(event)
            root.update(key, leaf.count, leaf.hexdigest())
            surveyed.root.update(key, leaf.count, leaf.hexdigest())
            surveyed.events += leaf.count
        self.digest = root.hexdigest() if history.malformed.total == 0 else None
        for finding in history.malformed.findings:
            if finding.tenant_id is not None:
                self.tenants.setdefault(finding.tenant_id, _Surveyed()).tally.include(finding)

    def require_intact(self, surveyed: _Surveyed) -> None:
        """Raise HistoryError unless all that the file holds of a tenant is intact, as far as can be told."""
        if surveyed.tally.total:
            raise _not_intact(f"{surveyed.tally.findings[0].located}{and_more(surveyed.tally.total)}")
        findings = self._malformed.findings
        nobodys = [finding for finding in findings if finding.tenant_id is None]
        if nobodys:
            raise _not_intact(f"it holds an event that names no tenant: {nobodys[0].located}")
        if self._malformed.total > len(findings):
            raise _not_intact(f"of its {self._malformed.total} malformed events not all are known by tenant")


def _not_intact(what: str) -> HistoryError:
    return HistoryError(
        "HISTORY_NOT_INTACT",
        f"the history is not intact: {what}",
        hint="nothing was written; history-verify --tenant lists what is wrong with a tenant's part of the file",
    )


def _import_each(store: Store, history: SortedHistory, survey: _Survey, actor_id: str) -> list[_Result]:
    """Import tenant after tenant, each on the way through the one order of streams."""
    results: dict[str, _Result] = {}
    for tenant_id, streams in groupby(history.streams("writing"), lambda item: item[0][0]):
        attempt = _Attempt(store, tenant_id, survey.tenants[tenant_id], actor_id)
        results[tenant_id] = attempt.carry_out(survey, (event for _, stream in streams for event in stream))
    for tenant_id, surveyed in survey.tenants.items():
        if tenant_id not in results:  # nothing of it is an event, or the temporary files are gone
            results[tenant_id] = _Attempt(store, tenant_id, surveyed, actor_id).carry_out(survey, _lost())
    return [results[tenant_id] for tenant_id in sorted(results)]


def _lost() -> Iterator[Event]:
    yield from ()
    raise WorkError(
        "TEMPORARY_LOST", "cannot read the history to its end again", hint="nothing was written; run the command again"
    )


class _Result(Struct, frozen=True):
    report: TenantImport
    error: CicscError | None


class _Attempt:
    """The import of one tenant, and what is known of it so far."""

    def __init__(self, store: Store, tenant_id: str, surveyed: _Surveyed, actor_id: str) -> None:
        self._store = store
        self._tenant_id = tenant_id
        self._surveyed = surveyed
        self._actor_id = actor_id
        self._gate: Gate | None = None
        self._outcome: ImportOutcome | None = None
        self._snapshots = 0

    def carry_out(self, survey: _Survey, events: Iterable[Event]) -> _Result:
        """Import the events, unless they are there; what goes wrong is told in the report."""
        try:
            survey.require_intact(self._surveyed)
            self._gate = gate = self._store.gate(self._tenant_id)
            if self._is_there(gate):
                self._outcome = "already"
            else:
                _write(self._store, gate, events, self._actor_id)
                self._outcome = "imported"
            for batch in _batches(self._folded(gate)):
                self._snapshots += self._keep(batch, gate.active_generation)
        except CicscError as error:
            return _Result(self._report(error), error)
        return _Result(self._report(None), None)

    def _keep(self, batch: list[Snapshot], generation: int) -> int:
        """Write snapshots and return their number; none where a run that came after has made its own active."""
        try:
            self._store.put_snapshots(self._tenant_id, batch, generation=generation)
        except FenceError as error:
            if error.code != "STALE_GENERATION":
                raise
            return 0
        return len(batch)

    def _is_there(self, gate: Gate) -> bool:
        """Tell whether the tenant holds this history already, neither more nor less."""
        with self._store.reading(self._tenant_id) as reading:
            if reading.head(gate.active_generation).count != self._surveyed.events:
                return False
            return digest_of(reading.streams(gate.active_generation))[1] == self._surveyed.digest

    def _folded(self, gate: Gate) -> Iterator[Snapshot]:
        """Yield what the stored streams fold to; raises StoreError where they are not what was written."""
        programs = compile_types(self._store.bundle(gate.active_bundle))
        root, count = RootHasher(), 0
        with self._store.reading(self._tenant_id) as reading:
            for key, events in reading.streams(gate.active_generation):
                fold, leaf = Fold(programs.get(key[1])), LeafHasher()
                seq = 0
                for event in events:
                    fold.apply(event.event_type, event.payload, event)
                    leaf.update(event)
                    seq = event.seq
                root.update(key, leaf.count, leaf.hexdigest())
                count += leaf.count
                yield fold.snapshot(key, seq)
        # Where others write already, more is there than was imported.
        if count == self._surveyed.events and root.hexdigest() != self._surveyed.digest:
            raise StoreError(
                "STORE_DAMAGED",
                f"tenant {self._tenant_id!r} holds another history than was imported: expected digest "
                f"{self._surveyed.digest}, found {root.hexdigest()}",
                hint="run store-check before anything else",
            )

    def _report(self, error: CicscError | None) -> TenantImport:
        refused = isinstance(error, FenceError | HistoryError | RefusedError)
        check = check_integrity(self._surveyed.tally, None, None)
        done = self._outcome is not None
        return TenantImport(
            tenant_id=self._tenant_id,
            ok=error is None,
            outcome=self._outcome or ("refused" if refused else "failed"),
            events=self._surveyed.events if done else 0,
            snapshots=self._snapshots,
            generation=self._gate.active_generation if done and self._gate is not None else UNSET,
            digest=self._surveyed.digest if check.ok else UNSET,
            findings=check.findings,
            counts=check.counts,
            error=UNSET if error is None else _described(error, imported=done),
        )


def _write(store: Store, gate: Gate, events: Iterable[Event], actor_id: str) -> None:
    """Write a tenant's events, all or none; the one place where an import writes events.

    A run that has died on the tenant is brought to its end first. Nothing is taken from `events` before
    the tenant is.
    """
    try:
        store.import_events(gate.tenant_id, events, generation=gate.active_generation, actor_id=actor_id)
    except FenceError as error:
        if error.code == "WRONG_SEQ":  # each stream of the file begins at 1 and has no gap
            raise _other_history(gate.tenant_id, error) from error
        if error.code != "RUN_ABANDONED":
            raise
        recover_tenant(store, gate.tenant_id, actor_id=actor_id)
        store.import_events(gate.tenant_id, events, generation=gate.active_generation, actor_id=actor_id)


def _other_history(tenant_id: str, error: FenceError) -> FenceError:
    return FenceError(
        error.code,
        f"tenant {tenant_id!r} holds other events than the file already: {error.message}",
        hint="nothing was written; history-export shows what the tenant holds, tenant-create makes one that is empty",
    )


def _batches(snapshots: Iterable[Snapshot]) -> Iterator[list[Snapshot]]:
    batch: list[Snapshot] = []
    size = 0
    for snapshot in snapshots:
        batch.append(snapshot)
        size += len(msgspec.json.encode((snapshot.attrs, snapshot.shadows)))
        if len(batch) == SNAPSHOTS_BATCH_MAX or size >= SNAPSHOTS_BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _described(error: CicscError, *, imported: bool) -> dict[str, object]:
    hint = "the events are there; run the same import again to make the snapshots" if imported else error.hint
    return {"code": error.code, "message": without_passwords(error.message), "hint": hint}


def _report(results: list[_Result], read: int, digest: str | None) -> HistoryImport:
    reports = [result.report for result in results]
    errors = [result.error for result in results if result.error is not None]
    worst = max(errors, key=lambda error: error.exit_code, default=None)
    counts: dict[str, int] = {}
    for report in reports:
        counts[report.outcome] = counts.get(report.outcome, 0) + 1
    return HistoryImport(
        ok=worst is None,
        events=read,
        digest=digest,
        counts=dict(sorted(counts.items())),
        not_imported=[report.tenant_id for report in reports if report.outcome in {"refused", "failed"}],
        exit_code=0 if worst is None else worst.exit_code,
        tenants=reports,
        error=UNSET if worst is None else _described(worst, imported=False),
    )
