"""A few processes that work through numbered tasks, and are gone when the work is over, however it ends.

A worker never outlives its parent, keeps no signal to itself and leaves its files to the parent's
folder. What it raises is raised here; one that dies is an error that says so. Knows nothing of histories.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from cicsc import signals
from cicsc.engine.choice import forks_safely, peak_rss_bytes
from cicsc.engine.turns import Turns
from cicsc.errors import CicscError, WorkError, system_reason

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

Result = TypeVar("Result")
Last = TypeVar("Last")
Result_co = TypeVar("Result_co", covariant=True)
Last_co = TypeVar("Last_co", covariant=True)

WORKERS_MAX: Final = 64
"""Processes at once, whatever the machine has."""

_ORPHAN_CHECK_S: Final = 1.0
_END_S: Final = 10.0


class Worker(Protocol[Result_co, Last_co]):
    """What a process does; made in it, of what it is told."""

    def run(self, task: int, tell: Callable[[Any], None]) -> Result_co:
        """Do one task; the result is handed to the parent, and before it whatever is told."""
        ...

    def finish(self) -> Last_co:
        """Say what there is to say when no task is left."""
        ...


class TaskError(Exception):
    """What a worker raised in a task."""

    def __init__(self, task: int, error: BaseException) -> None:
        super().__init__(task, error)
        self.task = task
        self.error = error


def still_wanted(parent: int) -> None:
    """End this process if its parent is gone; workers ask in their loops."""
    if os.getppid() != parent:
        os._exit(1)


class Pool(Generic[Result, Last]):
    """Processes that work through the tasks `0` to `tasks - 1`; a context manager that ends them.

    `make` makes the worker in its process; it and its result types can be pickled, and what workers tell
    on the way to `heard`. Tasks begin in the order of their numbers, or in each process by itself where they go
    `apart`, as `Turns` says. When all is done, `peaks` are the largest resident sets of the processes, in bytes.
    """

    def __init__(
        self,
        make: Callable[[], Worker[Result, Last]],
        tasks: int,
        workers: int,
        heard: Callable[[Any], None] = lambda _: None,
        *,
        apart: bool = False,
    ) -> None:
        self._make = make
        self._heard = heard
        self._workers = max(1, min(workers, tasks, WORKERS_MAX))
        self._turns = Turns(tasks, self._workers, apart=apart)
        self._hands: list[_Hand] = []
        self.last: list[Last] = []
        self.peaks: list[int] = []

    def __enter__(self) -> Pool[Result, Last]:
        context = multiprocessing.get_context("fork" if forks_safely() else "spawn")
        try:
            for _ in range(self._workers):
                # A signal between the copying of a process and the first line of its own would act as in the parent.
                with signals.blocked():
                    self._hands.append(_Hand(context, self._make))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        while self._hands:
            self._hands.pop().end()

    def results(self) -> Iterator[tuple[int, Result]]:
        """Yield each task with its result, as they come; then `last` is what the workers said at the end.

        Raises TaskError for the first task, by number, that failed, and WorkError where a worker died.
        """
        busy = {hand.connection: hand for hand in self._hands}
        failed: TaskError | None = None
        for hand in self._hands:
            self._assign(hand)
        while busy:
            for ready in wait(list(busy)):
                hand = busy[ready]  # type: ignore[index]  # only connections were waited for
                kind, task, value = hand.receive()
                if kind == "told":
                    self._heard(value)
                    continue
                if kind == "last":
                    self.peaks.append(task)
                    self.last.append(value)
                    del busy[hand.connection]
                    continue
                if kind == "error":
                    del busy[hand.connection]
                    failed = TaskError(task, value) if failed is None or task < failed.task else failed
                    self._turns.drop_from(failed.task)  # one of those before it may fail as well
                    continue
                self._assign(hand)
                if kind == "result" and failed is None:
                    yield task, value
        if failed is not None:
            raise failed

    def _assign(self, hand: _Hand) -> None:
        hand.send(self._turns.take(self._hands.index(hand)))


class _Hand:
    """One process, seen from its parent."""

    def __init__(self, context: BaseContext, make: Callable[[], Worker[Any, Any]]) -> None:
        self.connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(theirs, make, os.getpid()), daemon=True
        )
        try:
            self._process.start()
        except OSError as error:
            self.connection.close()
            reason = system_reason(error)
            raise WorkError(
                "WORKER_NOT_STARTED", f"cannot start a worker process: {reason}", hint="run with --workers 1"
            ) from error
        finally:
            theirs.close()

    def send(self, task: int | None) -> None:
        with suppress(OSError):  # one that died is noticed when it is heard
            self.connection.send(task)

    def receive(self) -> Any:
        try:
            return self.connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(_END_S)
            raise _died(self._process.exitcode) from error

    def end(self) -> None:
        """End the process; after its last word it ends by itself, which is not waited for in vain."""
        self.connection.close()
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()


def _died(exit_code: int | None) -> WorkError:
    how = f"with exit code {exit_code}"
    hint = "nothing was written; the command may be run again, or with --workers 1"
    if exit_code is not None and exit_code < 0:
        how = f"by {signal.Signals(-exit_code).name}"
        if -exit_code == signal.SIGKILL:
            hint = "nothing was written; if the machine was short of memory, run with --workers 1"
    return WorkError("WORKER_LOST", f"a worker process was ended {how}", hint=hint)


def _serve(connection: Connection, make: Callable[[], Worker[Any, Any]], parent: int) -> None:
    """Be a worker: the parent is told what signals mean, and kills those that it does not need."""
    for number in signals.ENDING:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.ENDING)
    # Decoded events are many, short-lived and hold no cycles: looking for these so often is a waste.
    gc.set_threshold(50_000, 20, 100)
    with suppress(BrokenPipeError):
        worker: Worker[Any, Any] | None = None
        answer: tuple[str, int, Any]
        while True:
            task = _task(connection, parent)
            try:
                worker = worker or make()
                if task is None:
                    last = worker.finish()
                    answer = ("last", peak_rss_bytes(), last)
                else:
                    answer = ("result", task, worker.run(task, partial(_tell, connection, task)))
            except BaseException as error:  # noqa: BLE001 (the parent raises it)
                answer = ("error", -1 if task is None else task, _portable(error))
            connection.send(answer)
            if answer[0] != "result":
                return


def _tell(connection: Connection, task: int, told: object) -> None:
    connection.send(("told", task, told))


def _task(connection: Connection, parent: int) -> int | None:
    while not connection.poll(_ORPHAN_CHECK_S):
        still_wanted(parent)
    task: int | None = connection.recv()
    return task


def _portable(error: BaseException) -> BaseException:
    """Return the error as it can cross to the parent."""
    if isinstance(error, CicscError | MemoryError):
        return error
    with suppress(Exception):
        pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
        return error
    return RuntimeError(repr(error))
