"""What is shown of a cutover: the phases of each tenant in turn, how many are done of several at once, and one last line."""

from __future__ import annotations

import pytest

from cicsc.cli.meter import REDRAW_S, SHOWN_AFTER_S
from cicsc.cli.tenants_meter import TenantsMeter
from cicsc.progress import Amount, Phase
from unit.cli.test_meter import Clock


class Screen:
    """Keeps in order what is drawn, said and removed."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.seen: list[object] = []
        self.fault = fault
        self.label = ""

    def __call__(self, label: str) -> Screen:
        self.label = label
        return self

    def update(self, phase: Phase, done: Amount, whole: Amount, seconds: float) -> None:
        self.seen.append((self.label, phase, done.events, whole.events))

    def count(self, done: int, whole: int, seconds: float) -> None:
        if self.fault is not None:
            raise self.fault
        self.seen.append((done, whole, seconds))

    def close(self) -> None:
        self.seen.append("gone")

    def say(self) -> None:
        self.seen.append("said")


def one_tenant(meter: TenantsMeter, clock: Clock, *, events: int) -> None:
    phases: tuple[Phase, ...] = ("preflight", "writing")
    for phase in phases:
        meter.begin(phase, Amount(events))
        clock.now += SHOWN_AFTER_S
        meter.note(Amount(events, streams=1))
    meter.worked([10, 20])


def test_tenants_in_turn_are_shown_by_name() -> None:
    clock, screen = Clock(), Screen()
    meter = TenantsMeter(screen, clock=clock)
    for number, name in enumerate(("acme", "b\x1b[2J"), 1):
        meter.begun(name, number, 2)
        one_tenant(meter, clock, events=5)
        meter.done(screen.say)
    meter.close()

    first, second = '1 of 2  "acme"  ', '2 of 2  "b\\u001b[2J"  '
    shown = [
        [(label, "preflight", 5, 5), (label, "preflight", 5, 5), (label, "writing", 0, 5)] for label in (first, second)
    ]
    drawn = [[one for one in screen.seen if isinstance(one, tuple) and one[0] == label] for label in (first, second)]
    assert [lines[:3] for lines in drawn] == shown
    assert [one for one in screen.seen if isinstance(one, str)] == ["gone", "said"] * 2


def test_the_last_line_sums_up_tenants_in_turn() -> None:
    clock = Clock()
    meter = TenantsMeter(clock=clock)
    for number in (1, 2, 3):
        meter.begun(str(number), number, 4)
        if number < 3:  # the third is refused before anything is read
            one_tenant(meter, clock, events=500 * number)
        meter.done(lambda: None)
    meter.close()
    clock.now += 50

    line = meter.line("migration-cutover")
    assert line.startswith("3 of 4 tenants, 1,500 events, 2 streams, 4.0 s, 375 events/s, ")
    assert line.endswith(", 2 workers")


@pytest.mark.parametrize("at_once", [False, True])
def test_a_tenant_alone_is_not_counted(at_once: bool) -> None:
    clock, screen = Clock(), Screen()
    meter = TenantsMeter(screen, at_once=at_once, clock=clock)
    meter.begun("acme", 1, 1)
    one_tenant(meter, clock, events=500)
    clock.now += REDRAW_S
    meter.note(Amount(1))
    meter.done(screen.say)
    meter.close()

    assert ("", "writing", 501, 500) in screen.seen
    assert meter.line("migration-cutover").startswith("501 events, 1 stream, 2.2 s, ")


def test_several_at_once_are_counted_between_what_they_leave() -> None:
    clock, screen = Clock(), Screen()
    meter = TenantsMeter(screen, at_once=True, clock=clock)
    for number in (1, 2):
        meter.begun(str(number), number, 3)
    clock.now += 4
    meter.done(screen.say)
    meter.begun("3", 3, 3)
    meter.close()

    counts = [(0, 3, 0.0), (0, 3, 0.0), "gone", "said", (1, 3, 4.0), (1, 3, 4.0), "gone"]
    assert screen.seen == counts
    assert meter.line("migration-cutover") == "1 of 3 tenants, 4.0 s"


def test_a_screen_that_fails_hinders_nothing() -> None:
    screen = Screen(OSError("the terminal is gone"))
    meter = TenantsMeter(screen, at_once=True)
    meter.begun("acme", 1, 2)
    meter.done(screen.say)
    meter.close()

    assert screen.seen == ["gone", "said", "gone"]


def test_nothing_is_shown_where_nobody_looks() -> None:
    meter = TenantsMeter(at_once=True)
    meter.begun("acme", 1, 2)
    meter.done(lambda: None)
    meter.close()

    assert meter.line("migration-cutover").startswith("1 of 2 tenants, ")


def test_a_call_that_began_no_tenant() -> None:
    clock = Clock()
    meter = TenantsMeter(clock=clock)
    clock.now += 3
    meter.close()

    assert (meter.seconds(), meter.line("migration-cutover")) == (3.0, "3.0 s")
