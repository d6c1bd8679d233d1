"""A query ready to run: what it keeps of each snapshot, and its pipeline over the kept rows.

Keeping happens stream by stream, running once per tenant. Filters that stand first in a pipeline
over one entity type already run while rows are kept, so that a query for the few rows that break a
rule keeps only these. Most queries can also begin with the rows of some streams before the others are there.
"""

from __future__ import annotations

from functools import reduce
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from cicsc.bundle.model import CORE_FIELDS, Filter, Having, Join, Limit, Offset, OrderBy, Project, Snap
from cicsc.canonical import canonical_bytes
from cicsc.replay.gathering import Counting, First, Grouping
from cicsc.replay.layout import Column, Layout
from cicsc.replay.pipeline import compile_step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cicsc.bundle.model import EntityType, Query, Step
    from cicsc.expression import Node
    from cicsc.replay.gathering import Gathering
    from cicsc.replay.pipeline import Row, RowStep

FIRST_ROWS_MAX: Final = 10_000
"""Rows that a query takes of an order and that are kept for it instead of all."""


class SourceProgram(Struct, frozen=True):
    """One side of a query's source: which snapshots it takes and what it keeps of each.

    A snapshot for which `condition` is false is not kept at all. `judgement` compiles both.
    """

    entity_type: str
    condition: Node | None
    columns: tuple[Column, ...]


class QueryProgram(Struct, frozen=True):
    """A compiled query: one source, or the two sides of a join, and the steps over their rows.

    `division` is there where it can begin with the rows of some streams.
    """

    sources: tuple[SourceProgram, ...]
    steps: tuple[RowStep, ...]
    division: Division | None = None

    def rows(self, kept: Sequence[Iterable[Row]], now: object, actor: object) -> Iterator[Row]:
        """Run the query over the rows kept of one tenant, one iterable for each source."""
        rows = kept[0] if len(self.sources) == 1 else _join(kept[0], kept[1])
        return iter(_run(self.steps, rows, now, actor))


class Division(Struct, frozen=True):
    """The steps of a query: those that look at one row at a time, what gathers the rows then, and those after it."""

    before: tuple[RowStep, ...]
    gathering: Gathering
    after: tuple[RowStep, ...]

    def gathered(self, kept: Iterable[Row], now: object, actor: object) -> Any:
        """Begin with the rows kept of some streams of a tenant."""
        return self.gathering.gather(_run(self.before, kept, now, actor), now, actor)

    def rows(self, gathered: Iterable[Any], now: object, actor: object) -> Iterator[Row]:
        """Go on with what was gathered of all streams, in their order; where rows are only counted they are empty."""
        whole = reduce(lambda one, more: self.gathering.join(one, more, now, actor), gathered)
        return iter(_run(self.after, self.gathering.rows(whole), now, actor))


def _run(steps: Iterable[RowStep], rows: Iterable[Row], now: object, actor: object) -> Iterable[Row]:
    for step in steps:
        rows = step(rows, now, actor)
    return rows


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
    sources = (SourceProgram(source.type, condition, tuple(layout.columns)),)
    return QueryProgram(sources, steps, _divided(pipeline, steps))


def _divided(pipeline: Sequence[Step], steps: tuple[RowStep, ...]) -> Division | None:
    single = len(list(takewhile(lambda step: isinstance(step, Filter | Having | Project), pipeline)))
    if single == len(steps):
        return Division(steps, Counting(), ())
    following = steps[single]
    if isinstance(following, Grouping):
        return Division(steps[:single], following, steps[single + 1 :])
    order = following if isinstance(pipeline[single], OrderBy) else None
    cut = single if order is None else single + 1
    count = _first_wanted(pipeline[cut:])
    if count is None or count > FIRST_ROWS_MAX:
        return None
    return Division(steps[:single], First(count, order), steps[cut:])


def _first_wanted(pipeline: Sequence[Step]) -> int | None:
    """Return how many rows, from the first on, can matter to these steps; None where each can."""
    before = 0
    for step in pipeline:
        if isinstance(step, Limit):
            return before + step.count
        if not isinstance(step, Offset):
            break
        before += step.count
    return None


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
