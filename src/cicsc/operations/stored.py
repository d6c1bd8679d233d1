"""Histories in a store, in the shape in which the operations take those of files.

All is read at one moment of the store, by this process and by others that enter that moment, so sums
and streams belong together although streams are read later, again, or while others write. Where a head
is to be told it has to be settled: no event may come in later at a position below it.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import Struct

from cicsc.engine.inprocess import migrate_history
from cicsc.engine.workers import open_shared
from cicsc.errors import UnknownTenantError, UsageError
from cicsc.expression import suggestion
from cicsc.history.integrity import FindingsTally
from cicsc.history.names import wanted_names
from cicsc.history.sorted import SortedHistory
from cicsc.operations.sources import StoreSource
from cicsc.operations.stored_streams import HeadStreams, require_seen
from cicsc.progress import SILENT, Amount, noted
from cicsc.store import open_store

if TYPE_CHECKING:
    from cicsc.bundle.model import Bundle
    from cicsc.engine.choice import Engine
    from cicsc.engine.leaves import Digests
    from cicsc.engine.spark.history import SparkHistory
    from cicsc.history.model import Event, StreamKey
    from cicsc.history.rows import RowWriter
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Verdict
    from cicsc.operations.sources import HistorySource
    from cicsc.operations.stored_shares import CutStore
    from cicsc.progress import Phase, Progress
    from cicsc.store.protocol import Store
    from cicsc.store.records import Gate, StoreHead

SHARED_EVENTS_MIN: Final = 50_000
"""Events from which on it pays to start processes."""

_NAMED_MAX: Final = 3
"""Tenants that a message names; their number is exact."""


class Held(Struct, frozen=True):
    """What a store holds of a tenant: what is active, how far the generation to be read reaches, its largest ts."""

    gate: Gate
    head: StoreHead
    latest_ts: int | None


class StoredHistory:
    """The histories of some tenants in a store, in code-point order of their names; a context manager.

    Without `generation` the active one of each is read. `events_count` and `latest_ts` are of all
    tenants; `malformed` is empty, since a store takes nothing in that is no event. So many `workers` fold it
    where they can read the store at once. With `settled` each tenant is read up to its last event so far, once
    writes under way have ended that may come before it; else all that is there is read, and nobody waited for.
    """

    def __init__(
        self,
        store: Store,
        tenants: Iterable[str],
        *,
        generation: int | None = None,
        settled: bool = False,
        workers: int = 1,
        progress: Progress = SILENT,
    ) -> None:
        self._store = store
        self._workers = workers
        self._progress = progress
        self._streams: Generator[tuple[StreamKey, Iterable[Event]]] | None = None
        self.malformed = FindingsTally()
        names = sorted(set(tenants))
        limits = settled_positions(store, names, generation) if settled else {}
        with ExitStack() as stack:
            self._moment = stack.enter_context(store.moment())
            self.tenants: Mapping[str, Held] = {name: self._look(name, generation, limits.get(name)) for name in names}
            self._open = stack.pop_all()
        self.events_count = sum(held.head.count for held in self.tenants.values())
        self.latest_ts = max(
            (held.latest_ts for held in self.tenants.values() if held.latest_ts is not None), default=None
        )

    def streams(self, phase: Phase = "folding") -> Iterator[tuple[StreamKey, Iterable[Event]]]:
        """Yield each stream with its events, as `SortedHistory.streams` does; ends a pass that was begun before.

        Raises StoreError STORE_DAMAGED where a tenant does not have the events that were counted.
        """
        self._end_pass()
        self._progress.begin(phase, Amount(self.events_count))
        self._streams = self._all_streams()
        return noted(self._streams, self._progress)

    def fold(self, plan: Plan, *writers: RowWriter[Any] | None) -> tuple[Verdict, Digests]:
        """Migrate and verify the history as `migrate_history` does, with several processes where that pays.

        Raises what `streams` raises, and WorkError where a process died.
        """
        cut = self.cut("folding")
        if cut is None:
            return migrate_history(plan, self, *writers, progress=self._progress)
        from cicsc.operations.stored_shares import fold_store  # noqa: PLC0415 (loads multiprocessing)

        return fold_store(plan, cut, *writers, progress=self._progress)

    def cut(self, phase: Phase) -> CutStore | None:
        """Cut it for its processes, and begin a phase in which they go through it; None where one does it best."""
        url = url_to_share(self._store, self.events_count, self._workers)
        if url is None:
            return None
        from cicsc.operations.stored_shares import cut_tenants  # noqa: PLC0415 (loads multiprocessing)

        self._end_pass()
        self._progress.begin(phase, Amount(self.events_count))
        heads = {tenant_id: held.head for tenant_id, held in self.tenants.items()}
        return cut_tenants(self._moment, url, heads, self._workers)

    def bundle(self) -> Bundle:
        """Return the bundle that all the tenants are on; raises UsageError where they are on several."""
        by_digest: dict[str, list[str]] = {}
        for name, held in self.tenants.items():
            by_digest.setdefault(held.gate.active_bundle, []).append(name)
        if len(by_digest) == 1:
            return self._store.bundle(next(iter(by_digest)))
        if not by_digest:
            raise UsageError("NO_TENANTS", "the store has no tenants", hint="run tenant-create, then history-import")
        found = "; ".join(f"{named(names)} on {digest}" for digest, names in by_digest.items())
        raise UsageError(
            "TENANTS_DIFFER",
            f"the tenants are not all on one bundle: {found}",
            hint="take the tenants of each bundle by themselves; tenant-list shows who is on which",
        )

    def close(self) -> None:
        """End what is being read, and the moment of it."""
        self._end_pass()
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _look(self, tenant_id: str, generation: int | None, limit: int | None) -> Held:
        reading = self._moment.reading(tenant_id)
        head = reading.head(generation, upto_position=limit)
        return Held(reading.gate, head, reading.latest_ts(generation, upto_position=limit))

    def _all_streams(self) -> Generator[tuple[StreamKey, Iterable[Event]]]:
        for tenant_id, held in self.tenants.items():
            streams = HeadStreams(self._moment.reading(tenant_id), held.head)
            yield from streams
            require_seen(tenant_id, held.head, streams.seen)

    def _end_pass(self) -> None:
        if self._streams is not None:
            self._streams.close()
            self._streams = None


def settled_positions(store: Store, tenants: Iterable[str], generation: int | None) -> dict[str, int]:
    """Return the largest position of each tenant, once writes under way have ended that may come before it.

    The position is seen first: who waits behind this look, in the queue for the tenant, was given a later one.
    Raises StoreError STORE_LOCKED where the writes do not end.
    """
    with store.moment() as moment:
        found = {name: moment.reading(name).last_position(generation) for name in tenants}
    for name in found:
        with store.moment(settled=name):
            pass  # waiting is all
    return found


def url_to_share(store: Store, events_count: int, workers: int) -> str | None:
    """Return the URL by which so many processes read so many events of a store; None where one does it best."""
    return None if workers == 1 or events_count < SHARED_EVENTS_MIN else store.shared_url


@contextmanager
def opened_store(store: str | Store) -> Iterator[Store]:
    """Give the store of a URL and close it afterwards, or one that is open already, which stays so."""
    if not isinstance(store, str):
        yield store
        return
    with open_store(store) as opened:
        yield opened


@contextmanager
def opened_history(
    events: HistorySource,
    tenants: Collection[str] = (),
    *,
    generation: int | None = None,
    settled: bool = False,
    workers: int = 1,
    progress: Progress = SILENT,
) -> Iterator[SortedHistory | StoredHistory]:
    """Give a history of a file, of memory or of a store; `tenants` restricts one that is not of a store.

    `generation` and `settled` are those of `StoredHistory`. `workers` processes read a large file, or fold a large
    history of a store; `progress` is told of the reading, and of streams as they are taken.
    """
    if not isinstance(events, StoreSource):
        with open_shared(events, tenants=wanted_names(tenants), workers=workers, progress=progress) as history:
            yield history
        return
    if tenants:
        raise UsageError(
            "TENANTS_TWICE", "tenants are given beside a store's: expected them in StoreSource, which names them"
        )
    with opened_store(events.store) as store:
        names = wanted_tenants(store, events.tenants)
        with StoredHistory(
            store, names, generation=generation, settled=settled, workers=workers, progress=progress
        ) as stored:
            yield stored


@contextmanager
def opened_with(
    engine: Engine,
    events: HistorySource,
    tenants: Collection[str] = (),
    *,
    settled: bool = False,
    progress: Progress = SILENT,
) -> Iterator[SortedHistory | StoredHistory | SparkHistory]:
    """Give a history as `opened_history` does, for an engine; Spark reads files only, and those by itself."""
    if not engine.spark:
        with opened_history(events, tenants, settled=settled, workers=engine.workers, progress=progress) as history:
            yield history
        return
    if isinstance(events, StoreSource):
        raise UsageError(
            "CONFLICTING_FLAGS",
            "--engine spark and --store exclude each other: Spark reads files",
            hint="leave the engine out, or export the history first with history-export",
        )
    from cicsc.engine.spark.history import open_spark  # noqa: PLC0415 (rarely needed)

    wanted = wanted_names(tenants)
    with open_spark(events, tenants=wanted, master=engine.master, progress=progress) as distributed:
        yield distributed


def wanted_tenants(store: Store, tenants: Collection[str] | None) -> list[str]:
    """Return the names of tenants in order, of all for None; raises UsageError where the store lacks one."""
    if tenants is None:
        return [gate.tenant_id for gate in store.gates()]
    if isinstance(tenants, str) or not tenants:
        raise UsageError("NO_TENANTS", f"expected the names of tenants, or None for all, found {tenants!r}")
    names = sorted(set(tenants))
    for name in names:
        try:
            store.gate(name)
        except UnknownTenantError as error:
            near = suggestion(name, [gate.tenant_id for gate in store.gates()])
            raise UsageError(error.code, f"{error.message}{near}", hint=error.hint) from error
    return names


def named(names: Collection[str]) -> str:
    """Name the first of some tenants, and say how many more there are."""
    shown = ", ".join(map(repr, sorted(names)[:_NAMED_MAX]))
    more = len(names) - _NAMED_MAX
    return f"{shown} and {more} more" if more > 0 else shown
