"""The summary of the cutovers of several tenants: how many moved, one table, who did not move, what to type next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import UNSET
from rich.console import Group, RenderableType

from cicsc.report.invocation import Invocation
from cicsc.report.layout import Detail, Mark, Marked, Rows, headline, plain
from cicsc.report.live.cutover_text import mark_of
from cicsc.report.live.cutover_words import code, reason, verdict
from cicsc.report.live.models import Cutover, Cutovers
from cicsc.report.live.next_steps import after_cutovers
from cicsc.report.moments import lasting
from cicsc.report.printable import counted, shortened, value_text

ROWS_MAX: Final = 40
"""Tenants in the table; those that did not end well come first, and the report holds them all."""

REASONS_MAX: Final = 10
"""Reasons shown below it, and characters of each."""

REASON_CHARACTERS_MAX: Final = 400

_WORDS: Final = {
    "switched": "switched",
    "already": "on the target already",
    "rehearsed": "may go",
    "refused": "refused",
    "failed": "failed",
    "not_begun": "not begun",
}


def cutovers_summary(report: Cutovers, call: Invocation) -> RenderableType:
    """Summarize the cutovers of several tenants."""
    return Group(*_cutovers(report, call))


def _cutovers(report: Cutovers, call: Invocation) -> Iterator[RenderableType]:
    total = sum(report.counts.values())
    what = "cutover" if report.executed else "rehearsal"
    found = ", ".join(f"{report.counts[name]:,} {word}" for name, word in _WORDS.items() if name in report.counts)
    yield headline(f"{what} of {counted(total, 'tenant')}", found or "nothing to do", _mark(report, total))
    if not report.executed and total:
        yield plain("nothing was changed")
    rows = _rarest_first(report.tenants)
    if rows:
        yield plain()
        yield _table(rows[:ROWS_MAX])
    if len(rows) > ROWS_MAX:
        yield Detail(f"and {len(rows) - ROWS_MAX:,} more, all of them in the report", deep=False)
    yield from _reasons([item for item in rows if not item.ok])
    if report.counts.get("not_begun"):
        begun = {item.tenant_id for item in report.tenants}
        waiting = [value_text(name) for name in report.not_moved if name not in begun]
        more = f" and {len(waiting) - REASONS_MAX:,} more" if len(waiting) > REASONS_MAX else ""
        yield plain()
        yield Marked("skipped", f"not begun: {', '.join(waiting[:REASONS_MAX])}{more}")
    yield from after_cutovers(report, call)


def _rarest_first(tenants: Sequence[Cutover]) -> list[Cutover]:
    """Put who did not end well first, and of these what few have: one broken history among many that are taken."""
    alike = Counter(code(item) for item in tenants if not item.ok)
    return sorted(tenants, key=lambda item: (item.ok, 0 if item.ok else alike[code(item)]))


def _mark(report: Cutovers, total: int) -> Mark:
    if not total:
        return "note"
    return "ok" if report.ok else "FAILED"


def _table(rows: Sequence[Cutover]) -> Rows:
    cells = [
        (mark_of(item), (shortened(item.tenant_id), _short(item), f"{item.migrated_events:,}", _pause(item)))
        for item in rows
    ]
    return Rows(("tenant", "verdict", "events", "pause"), cells, marked=1, numbers=frozenset({2, 3}))


def _short(item: Cutover) -> str:
    """Say how a tenant's cutover ended, without what the other columns say."""
    return verdict(item).partition(",")[0]


def _pause(item: Cutover) -> str:
    if item.pause_ms is not UNSET:
        return lasting(item.pause_ms)
    if item.predicted_pause_ms is not UNSET and item.outcome == "rehearsed":
        return f"~{lasting(item.predicted_pause_ms)}"
    return ""


def _reasons(bad: Sequence[Cutover]) -> Iterator[RenderableType]:
    if not bad:
        return
    yield plain()
    for item in bad[:REASONS_MAX]:
        yield Marked(
            "FAILED", f"{value_text(item.tenant_id)}: {shortened(reason(item) or verdict(item), REASON_CHARACTERS_MAX)}"
        )
    if len(bad) > REASONS_MAX:
        counts = Counter(code(item) for item in bad).most_common()
        of_each = ", ".join(f"{count:,} {name}" for name, count in counts)
        yield Detail(f"and {len(bad) - REASONS_MAX:,} more; in all {of_each}", deep=False)
