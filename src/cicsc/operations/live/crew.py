"""Several processes that cut tenants over at once, each with a store of its own.

A signal that comes to this process is passed on: each worker lets its tenant go and reports. One
that is killed is followed by another, and its tenant is told as having no report.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, Self

from cicsc.errors import CicscError, WorkError, system_reason
from cicsc.operations.live.cutover import cut_over
from cicsc.report.printable import counted
from cicsc.signals import ENDING, blocked
from cicsc.store import open_store

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import FrameType, TracebackType

    from cicsc.operations.live.cutover import Order
    from cicsc.report.live.models import Cutover

LOOK_S: Final = 0.2
"""How often an idle worker looks whether a signal came, in seconds."""

FAILED_STARTS_MAX: Final = 3
"""Workers that end before they can begin anything; then no other is started."""


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection[Any, Any]
    has_begun: bool = False
    tenant: str | None = None


class Crew:
    """Workers, and the tenants that wait for one; a context that ends when every worker has.

    `on_begin` is called with each tenant once it was given to a worker.
    """

    def __init__(
        self, url: str, order: Order, size: int, tenants: Collection[str], on_begin: Callable[[str], None]
    ) -> None:
        self._given = (url, order)
        self._size = size
        self._waiting = deque(tenants)
        self._on_begin = on_begin
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self.error: CicscError | None = None

    def __enter__(self) -> Self:
        # It unblocks signals when it is started, so that is done before any are blocked.
        resource_tracker.ensure_running()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        for worker in self._workers:
            worker.connection.close()  # nobody listens any more, so none may wait until it is heard
            worker.process.join()

    @property
    def is_at_work(self) -> bool:
        """Whether there are tenants that wait, or workers that have not ended."""
        return bool(self._waiting or self._workers)

    def stop(self) -> None:
        """Begin no further tenant, and pass the signal on to every worker."""
        self.begin_no_other()
        for worker in self._workers:
            worker.process.terminate()

    def begin_no_other(self) -> None:
        """Begin no further tenant; those under way go on to their end."""
        self._waiting.clear()

    def reports(self) -> Iterator[tuple[str, Cutover | None]]:
        """Yield each tenant with its report when it is there, with None where its worker has ended without one."""
        while self.is_at_work:
            while self._waiting and len(self._workers) < self._size:
                self._start_or_do_without()
            if not self._workers:
                return
            ready = wait([worker.connection for worker in self._workers])
            for worker in [worker for worker in self._workers if worker.connection in ready]:
                yield from self._hear(worker)

    def _start_or_do_without(self) -> None:
        """Start a worker; where the system has none to give, those that are there do the work."""
        try:
            self._start()
        except OSError as error:
            self._size = len(self._workers)
            if not self._workers:
                self._fail(f"no process could be started: {system_reason(error)}")

    def _fail(self, why: str) -> None:
        """Begin no further tenant, for want of workers."""
        self.error = WorkError(
            "WORKERS_FAILED",
            f"{why}; {counted(len(self._waiting), 'tenant')} not begun",
            hint="mind the memory; the same command can be run again, perhaps without --parallel",
        )
        self._waiting.clear()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        # Signals wait until the worker can deal with them: it unblocks them itself.
        with blocked(), theirs:
            process = context.Process(target=_work, args=(theirs, *self._given), daemon=True)
            process.start()
            self._workers.append(_Worker(process, ours))

    def _hear(self, worker: _Worker) -> Iterator[tuple[str, Cutover | None]]:
        """Take what a worker has to say, and give it the next tenant."""
        try:
            report = worker.connection.recv()
        except (EOFError, OSError):
            yield from self._bury(worker)
            return
        tenant, worker.tenant, worker.has_begun = worker.tenant, None, True
        next_tenant = self._waiting.popleft() if self._waiting else None
        worker.tenant = next_tenant
        with suppress(OSError):  # it has ended; that is heard next
            worker.connection.send(next_tenant)
        if tenant is not None:
            yield tenant, report
        if next_tenant is not None:
            self._on_begin(next_tenant)

    def _bury(self, worker: _Worker) -> Iterator[tuple[str, None]]:
        worker.process.join()
        worker.connection.close()
        self._workers.remove(worker)
        if not worker.has_begun:
            self._failed_starts += 1
            if self._failed_starts >= FAILED_STARTS_MAX and self._waiting:
                self._fail(
                    f"{self._failed_starts} processes have ended before they could begin, "
                    f"the last with exit code {worker.process.exitcode}"
                )
        if worker.tenant is not None:
            yield worker.tenant, None


# ------------------------------------------------------------------------------------ in the worker's process


class _Signals:
    """The first signal ends the cutover under way, if there is one, and the worker; further ones are ignored."""

    def __init__(self) -> None:
        self.has_come = False
        self._may_raise = False
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.has_come:
            return
        self.has_come = True
        if self._may_raise:
            raise KeyboardInterrupt

    @contextmanager
    def raised(self) -> Iterator[None]:
        """Let a signal raise KeyboardInterrupt inside."""
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False


def _work(connection: Connection[Any, Any], url: str, order: Order) -> None:
    """Cut over one tenant after the other, as they are named, until there is none or a signal has come."""
    signals = _Signals()
    # An end of the pipe that is gone means that the parent is; a signal outside of a cutover has none to report.
    with connection, open_store(url) as store, suppress(EOFError, OSError, KeyboardInterrupt):
        connection.send(None)
        while not signals.has_come:
            if not connection.poll(LOOK_S):
                continue
            tenant = connection.recv()
            if tenant is None:
                return
            with signals.raised():
                report = cut_over(store, tenant, order)
            connection.send(report)
