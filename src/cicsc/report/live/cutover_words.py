"""One line for a tenant's cutover, which says how it ended; for the stream of lines, tables and headlines.

It needs no terminal library, so that it can be printed while tenants are moved.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from cicsc.report.live.models import Cutover, StoreRollback
from cicsc.report.moments import dated, lasting
from cicsc.report.printable import shortened, value_text

LINE_CHARACTERS_MAX: Final = 240
"""Characters of a reason in the stream of lines."""


def told(report: Cutover) -> str:
    """Say in one line how a tenant's cutover ended, and why."""
    why = reason(report)
    return f"{value_text(report.tenant_id)}: {verdict(report)}" + (
        "" if why is None else f": {shortened(why, LINE_CHARACTERS_MAX)}"
    )


def verdict(report: Cutover) -> str:
    """Say how it ended: `switched to version 2, paused 240 ms`."""
    match report.outcome:
        case "switched":
            done = f"switched to version {report.active_version}"
            return done if report.pause_ms is UNSET else f"{done}, paused {lasting(report.pause_ms)}"
        case "already":
            return f"on version {report.active_version} already"
        case "rehearsed":
            return f"may go to version {report.to_version}, paused for {predicted(report)}"
        case "refused":
            return "refused"
        case _:
            return "interrupted" if is_interrupted(report) else "failed"


def predicted(report: Cutover) -> str:
    """Say how long the pause will take: `about 240 ms`."""
    if report.predicted_pause_ms is UNSET:
        return "an unknown time"
    return f"about {lasting(report.predicted_pause_ms)}"


def reason(report: Cutover | StoreRollback) -> str | None:
    """Return the message of the error, None where there is none."""
    if not isinstance(report.error, dict):
        return None
    return dated(str(report.error["message"]))


def code(report: Cutover | StoreRollback) -> str | None:
    """Return the code of the error, None where there is none."""
    return str(report.error["code"]) if isinstance(report.error, dict) else None


def is_interrupted(report: Cutover | StoreRollback) -> bool:
    """Tell whether a signal kept the cutover from its end."""
    return code(report) == "INTERRUPTED"
