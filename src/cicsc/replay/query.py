"""A query ready to run: what it keeps of each snapshot, and its pipeline over the kept rows.

Keeping happens stream by stream, running once per tenant. Filters that stand first in a pipeline
over one entity type already run while rows are kept, so that a query for the few rows that break a
rule keeps only these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from cicsc.bundle.model import CORE_FIELDS, Filter, Join, Snap
from cicsc.canonical import canonical_bytes
from cicsc.replay.layout import Column, Layout
from cicsc.replay.pipeline import compile_step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cicsc.bundle.model import EntityType, Query
    from cicsc.expression import Node
    from cicsc.replay.pipeline import Row, RowStep


class SourceProgram(Struct, frozen=True):
    """One side of a query's source: which snapshots it takes and what it keeps of each.

    A snapshot for which `condition` is false is not kept at all. `judgement` compiles both.
    """

    entity_type: str
    condition: Node | None
    columns: tuple[Column, ...]


class QueryProgram(Struct, frozen=True):
    """A compiled query: one source, or the two sides of a join, and the steps over their rows."""

    sources: tuple[SourceProgram, ...]
    steps: tuple[RowStep, ...]

    def rows(self, kept: Sequence[Iterable[Row]], now: object, actor: object) -> Iterator[Row]:
        """Run the query over the rows kept of one tenant, one iterable for each source."""
        rows: Iterable[Row] = kept[0] if len(self.sources) == 1 else _join(kept[0], kept[1])
        for step in self.steps:
            rows = step(rows, now, actor)
        return iter(rows)


def compile_query(query: Query, types: Mapping[str, EntityType]) -> QueryProgram:
    """Compile a checked query over the entity types of its bundle."""
    if isinstance(query.source, Join):
        return _compile_join(query, query.source, types)
    return _compile_snap(query, query.source)


def _compile_snap(query: Query, source: Snap) -> QueryProgram:
    pipeline = list(query.pipeline)
    first: list[Filter] = []
    while pipeline and isinstance(pipeline[0], Filter):
        first.append(pipeline.pop(0))  # type: ignore[arg-type]
    layout = Layout()
    steps = _compile_steps(pipeline, layout)
    condition: Node | None = {"and": [step.expr for step in first]} if first else None
    return QueryProgram((SourceProgram(source.type, condition, tuple(layout.columns)),), steps)


def _compile_steps(pipeline: Sequence[object], layout: Layout) -> tuple[RowStep, ...]:
    steps = []
    for step in pipeline:
        compiled, layout = compile_step(step, layout)  # type: ignore[arg-type]
        steps.append(compiled)
    return tuple(steps)


def _compile_join(query: Query, source: Join, types: Mapping[str, EntityType]) -> QueryProgram:
    """Compile a join: each side keeps its key first, then the columns that the pipeline reads of it."""
    joined = Layout(observable=frozenset({"row"}))
    steps = _compile_steps(query.pipeline, joined)
    names = columns_of(types[source.left]), columns_of(types[source.right])
    left, right = [Column("row", source.left_field)], [Column("row", source.right_field)]
    places = []
    for column in joined.columns:
        side, field = _side_of(column, *names)
        kept = left if side == 0 else right
        kept.append(Column("row", field))
        places.append((side, len(kept) - 1))
    sources = (
        SourceProgram(source.left, None, tuple(left)),
        SourceProgram(source.right, None, tuple(right)),
    )
    return QueryProgram(sources, (_arrange(places), *steps))


def _side_of(column: Column, left: frozenset[str], right: frozenset[str]) -> tuple[int, str]:
    """Find which side a joined column stems from: ``left.f``, ``right.f`` or a bare name, left first."""
    name = column.argument or ""
    side, _, field = name.partition(".")
    if side == "left" and field in left:
        return 0, field
    if side == "right" and field in right:
        return 1, field
    return (0, name) if name in left else (1, name)


def columns_of(entity_type: EntityType) -> frozenset[str]:
    """Return the columns that the rows of an entity type have."""
    return frozenset((*CORE_FIELDS, *entity_type.attrs, *entity_type.shadows))


def _join(left: Iterable[Row], right: Iterable[Row]) -> Iterator[Row]:
    """Pair rows whose keys, their first columns, are equal; null joins nothing. Left order, then right."""
    by_key: dict[bytes, list[Row]] = {}
    for row in right:
        if row[0] is not None:
            by_key.setdefault(canonical_bytes(row[0]), []).append(row)
    for row in left:
        if row[0] is not None:
            for other in by_key.get(canonical_bytes(row[0]), ()):
                yield [row, other]


def _arrange(places: Sequence[tuple[int, int]]) -> RowStep:
    """Turn pairs of rows into rows of the columns that the pipeline reads."""

    def run(rows: Iterable[Row], now: object, actor: object) -> Iterator[Row]:  # noqa: ARG001
        return ([pair[side][position] for side, position in places] for pair in rows)  # type: ignore[index]

    return run
