from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cicsc import durable, signals
from unit.stand_ins import stand_in


class Came(BaseException):
    pass


@pytest.fixture(autouse=True)
def _raising() -> Iterator[None]:
    def come(number: int, _frame: object) -> None:
        raise Came(number)

    before = {number: signal.signal(number, come) for number in signals.ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def defer(steps: list[str], *numbers: int) -> None:
    with signals.deferred():
        for number in numbers:
            signal.raise_signal(number)
        steps.append("inside")
    steps.append("not reached")


def test_a_deferred_signal_acts_afterwards_and_of_several_the_first() -> None:
    steps: list[str] = []
    with pytest.raises(Came) as came:
        defer(steps, signal.SIGTERM, signal.SIGINT)
    assert came.value.args == (signal.SIGTERM,)
    assert steps == ["inside"]


def test_an_ignored_signal_stays_ignored() -> None:
    steps: list[str] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    defer(steps, signal.SIGINT)
    assert steps == ["inside", "not reached"]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_signals_can_be_deferred_within_each_other() -> None:
    steps: list[str] = []

    def outer() -> None:
        with signals.deferred():
            defer(steps, signal.SIGINT)
            steps.append("outside")

    with pytest.raises(Came):
        outer()
    assert steps == ["inside", "not reached", "outside"]


def test_in_another_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    found: list[object] = []

    def work() -> None:
        with signals.deferred():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def close(steps: list[str], fault: Exception | None) -> None:
    with signals.closed_in_peace() as stack:
        stack.callback(steps.append, "last")
        stack.callback(signal.raise_signal, signal.SIGTERM)
        stack.callback(steps.append, "first")
        if fault is not None:
            raise fault


@pytest.mark.parametrize("fault", [None, ValueError("the work failed")])
def test_a_signal_while_a_stack_is_closed_acts_when_all_is_closed(fault: Exception | None) -> None:
    steps: list[str] = []
    with pytest.raises(Came) as came:
        close(steps, fault)
    assert steps == ["first", "last"]
    assert came.value.__context__ is fault


def test_a_signal_just_before_a_stack_is_closed_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def come() -> None:
        raise Came

    def work() -> None:
        with signals.closed_in_peace() as stack:
            stack.callback(steps.append, "closed")
            monkeypatch.setattr(signals, "deferred", come)

    with pytest.raises(Came):
        work()
    assert steps == ["closed"]


def test_a_process_started_while_signals_are_blocked_does_not_get_them() -> None:
    source = "import os, signal; os.kill(os.getpid(), signal.SIGTERM); print('alive')"
    with signals.blocked():
        made = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
        signal.raise_signal(signal.SIGTERM)  # to this thread; another one has blocked nothing
        assert made.stdout == "alive\n"
        assert signal.sigpending() == {signal.SIGTERM}
        signal.sigwait([signal.SIGTERM])  # else it would come at the end
    again = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert again.returncode == -signal.SIGTERM


def test_where_the_system_blocks_none_signals_act_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "signal", stand_in(signal, without="pthread_sigmask"))
    with pytest.raises(Came), signals.blocked():
        signal.raise_signal(signal.SIGINT)


def test_a_signal_does_not_leave_a_temporary_folder_half_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(path: str, **_: object) -> None:
        signal.raise_signal(signal.SIGINT)
        Path(path).rmdir()

    monkeypatch.setattr(tempfile, "_shutil", stand_in(shutil, rmtree=remove))
    with pytest.raises(Came), durable.TemporaryFolder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("which", range(1, 2 * len(signals.ENDING) + 1))
def test_handlers_are_put_back_whenever_a_signal_comes(monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    """Just after the first handler was taken away, after the second, and so on to the last that is put back."""
    before = [signal.getsignal(number) for number in signals.ENDING]
    steps = iter(range(1, 100))

    def changed(number: int, handler: signal._HANDLER) -> signal._HANDLER:
        found = signal.signal(number, handler)
        if next(steps) == which:
            signal.raise_signal(signal.SIGTERM)
        return found

    monkeypatch.setattr(signals, "signal", stand_in(signal, signal=changed))
    with pytest.raises(Came):
        defer([])

    assert [signal.getsignal(number) for number in signals.ENDING] == before
