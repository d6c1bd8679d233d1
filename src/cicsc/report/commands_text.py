"""The summary of a command that an application carried out."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from cicsc.report.layout import Detail, headline, plain
from cicsc.report.models import Execution
from cicsc.report.printable import counted, shortened, value_text

_EVENTS_MAX = 10
"""Events shown; the report holds them all."""


def execution_summary(report: Execution) -> RenderableType:
    """Summarize a command."""
    return Group(*_execution(report))


def _execution(report: Execution) -> Iterator[RenderableType]:
    done = "had been carried out before, nothing was done now" if report.repeated else "carried out"
    yield headline(f"command {shortened(report.command)}", done, "ok")
    entity = f"{shortened(report.entity_type)} {value_text(report.entity_id)} of tenant {value_text(report.tenant_id)}"
    state = value_text(report.snapshot["state"])
    yield plain(f"{entity}, version {report.version}: state {state}, seq {report.last_seq}")
    yield plain(f"{counted(len(report.events), 'event')}{':' if report.events else ''}")
    for event in report.events[:_EVENTS_MAX]:
        yield Detail(f"{event['seq']} {shortened(str(event['event_type']))} {value_text(event['payload'])}", deep=False)
    if len(report.events) > _EVENTS_MAX:
        yield Detail(f"and {len(report.events) - _EVENTS_MAX} more", deep=False)
