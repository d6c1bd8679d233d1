"""The queries of a tenant: what parts keep for them, and how they are decided when all of its parts are there.

A part keeps rows. Where a query makes fewer of these, as one that groups or counts does, the part begins with it and
keeps what it gathered, so that the last who decides has little left to do.
"""

from __future__ import annotations

from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct, field

from cicsc.migration.verdict import Violation
from cicsc.progress import Amount, Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cicsc.engine.rows import RowStore
    from cicsc.migration.plan import Plan
    from cicsc.migration.verdict import Side, SideVerdict, Verdict
    from cicsc.replay.constraints import ConstraintProgram
    from cicsc.replay.query import Division

DECIDED_ROWS: Final = 10_000
"""Rows that a query takes between two words that there was progress, by which a live tenant keeps its lease."""

_TRIED_ROWS: Final = 1_000
"""Rows by which it is seen whether a query makes fewer of them."""

_ROWS_FOR_ONE: Final = 4
"""How many rows at least have to come to one that is gathered."""


class TenantRows(Struct):
    """What the queries of a tenant need of some of its streams: rows by side, check and source.

    `broken` tells that one of the streams is not intact, so that the tenant cannot be judged. What checks have
    `gathered`, by side and check, stands for their rows.
    """

    tenant_id: str
    broken: bool = False
    kept: dict[tuple[Side, int, int], RowStore] = field(default_factory=dict)
    gathered: dict[tuple[Side, int], Any] = field(default_factory=dict)

    def close(self) -> None:
        """Give memory and disk back."""
        for rows in self.kept.values():
            rows.close()
        self.kept = {}
        self.gathered = {}


def begin_queries(plan: Plan, piece: TenantRows, progress: Progress) -> None:
    """Begin with the queries of a tenant, and keep what they gather in place of their rows where that is less."""
    if piece.broken:
        return
    for side, constraints in _sides(plan):
        for position, check in enumerate(constraints.query_checks):
            rows = piece.kept.get((side, position, 0))
            division = check.query.division
            if rows is None or division is None or not _shrinks(division, rows, plan):
                continue
            (gathered,) = _gathered(plan, division, [piece], (side, position), progress)
            if _is_less(division, gathered, len(rows)):
                piece.gathered[side, position] = gathered
                del piece.kept[side, position, 0]
                rows.close()


def _sides(plan: Plan) -> tuple[tuple[Side, ConstraintProgram], ...]:
    return ("source", plan.source_constraints), ("target", plan.target_constraints)


def _shrinks(division: Division, rows: RowStore, plan: Plan) -> bool:
    """Tell by some rows whether it pays to go through all."""
    if len(rows) <= _TRIED_ROWS:
        return True
    return _is_less(division, division.gathered(islice(rows, _TRIED_ROWS), plan.now, plan.actor), _TRIED_ROWS)


def _is_less(division: Division, gathered: Any, rows: int) -> bool:
    return division.gathering.size(gathered) * _ROWS_FOR_ONE <= rows


def _gathered(
    plan: Plan, division: Division, pieces: Iterable[TenantRows], check: tuple[Side, int], progress: Progress
) -> Iterator[Any]:
    """Yield what a query gathers of pieces, in their order; of those that have not begun with it, of all together."""
    for has_begun, some in groupby(pieces, lambda piece: check in piece.gathered):
        if has_begun:
            yield from (piece.gathered[check] for piece in some)
        else:
            yield division.gathered(_kept(list(some), (*check, 0), progress), plan.now, plan.actor)


def decide_queries(plan: Plan, pieces: Sequence[TenantRows], verdict: Verdict, progress: Progress) -> None:
    """Decide the queries of a tenant of which all pieces are there, unless some of its streams are not intact.

    The pieces come in the order of their streams, and are closed.
    """
    if not any(piece.broken for piece in pieces):
        for side, constraints in _sides(plan):
            _decide_side(side, constraints, plan, pieces, getattr(verdict, side), progress)
    for piece in pieces:
        piece.close()


def _decide_side(
    side: Side,
    constraints: ConstraintProgram,
    plan: Plan,
    pieces: Sequence[TenantRows],
    verdict: SideVerdict,
    progress: Progress,
) -> None:
    tenant_id = pieces[0].tenant_id
    for position, check in enumerate(constraints.query_checks):
        division = check.query.division
        if division is not None:
            gathered = _gathered(plan, division, pieces, (side, position), progress)
            rows_count = sum(1 for _ in division.rows(gathered, plan.now, plan.actor))
        else:
            kept = [_kept(pieces, (side, position, source), progress) for source in range(len(check.query.sources))]
            rows_count = check.rows_count(kept, plan.now, plan.actor)
        progress.note(Amount())
        if not check.holds(rows_count, plan.now, plan.actor):
            rows = "1 row" if rows_count == 1 else f"{rows_count} rows"
            message = f"constraint {check.id!r} does not hold for tenant {tenant_id!r}: its query gives {rows}"
            sample = {"tenant_id": tenant_id, "rows_count": rows_count}
            violation = Violation(check.id, "bool_query", check.on_type, message, sample)
            verdict.violated("bool_query", check.id, check.on_type).include((tenant_id,), violation)


def _kept(pieces: Iterable[TenantRows], name: tuple[Side, int, int], progress: Progress) -> Iterator[list[object]]:
    """Iterate over the rows that one source of a query has in all pieces; `progress` is told that there are some."""
    rows = chain.from_iterable(piece.kept.get(name, ()) for piece in pieces)
    while some := list(islice(rows, DECIDED_ROWS)):
        yield from some
        progress.note(Amount())
