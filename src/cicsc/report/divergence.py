"""The smallest example of a divergence, as a small table of before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType

from cicsc.report.layout import comparison, plain
from cicsc.report.models import DivergenceReport, Equivalence
from cicsc.report.printable import counted, value_text

FIELDS_MAX = 8
"""Fields of the two snapshots shown; the report holds them all."""

_ABSENT = "-"


def divergence(found: Equivalence, example: DivergenceReport) -> Iterator[RenderableType]:
    """Show how many streams diverge, and the smallest of them: where, what was expected, both snapshots."""
    by_field = ", ".join(f"{name}: {count:,}" for name, count in found.diverged_by_field.items())
    yield plain()
    yield plain(
        f"{found.streams_diverged:,} of {counted(found.streams_compared, 'stream')} diverge ({by_field}), the smallest:"
    )
    yield plain(f"  tenant {value_text(example.tenant_id)}, {example.entity_type} {value_text(example.entity_id)}")
    yield plain(f"  after seq {example.seq}, event {value_text(example.event_type)}")
    yield plain(f"  {example.field}: expected {value_text(example.expected)}, found {value_text(example.found)}")
    yield plain()
    rows = _rows(example)
    yield comparison(rows[:FIELDS_MAX], ("field", "source", "target"))
    if len(rows) > FIELDS_MAX:
        yield plain(f"  and {counted(len(rows) - FIELDS_MAX, 'more field')}")


def _rows(example: DivergenceReport) -> list[tuple[str, str, str, bool]]:
    """Return the fields of both snapshots: the one that diverges, the state, those that differ, the others."""
    before, after = _fields(example.source_snapshot), _fields(example.target_snapshot)
    names = sorted({*before, *after, example.field})
    rows = [(name, before.get(name, _ABSENT), after.get(name, _ABSENT), name == example.field) for name in names]
    told = [row for row in rows if row[3] or not {row[1], row[2]} <= {_ABSENT, "null"}]
    return sorted(told, key=lambda row: (not row[3], row[0] != "state", row[1] == row[2]))


def _fields(snapshot: Mapping[str, object]) -> dict[str, str]:
    """Flatten a snapshot by one level, to names such as `attrs.total`."""
    fields: dict[str, str] = {}
    for name, value in snapshot.items():
        if isinstance(value, dict):
            fields.update({f"{name}.{key}": value_text(item) for key, item in value.items()})
        else:
            fields[name] = value_text(value)
    return fields
