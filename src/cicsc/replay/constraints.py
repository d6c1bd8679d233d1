"""Constraints of a bundle ready to be checked on replayed snapshots, tenant by tenant.

A snapshot constraint looks at one snapshot. A query constraint keeps rows while the streams of a
tenant pass by and is decided once all of them have passed; whoever drives the replay keeps the rows.
"""

from __future__ import annotations

import ast
from functools import cached_property
from typing import TYPE_CHECKING

from msgspec import Struct

from cicsc.bundle.model import QueryConstraint, SnapshotConstraint
from cicsc.expression import FunctionBuilder
from cicsc.replay.query import QueryProgram, compile_query
from cicsc.replay.snapshot import compile_over_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cicsc.bundle.model import Bundle, EntityType
    from cicsc.expression import Node
    from cicsc.replay.pipeline import Row

_ASSERT_PARAMETERS = ("rows_count", "now", "actor")


class SnapshotCheck(Struct, frozen=True, dict=True):
    """A snapshot constraint, on entities of the type `entity_type`."""

    id: str
    on_type: str
    expr: Node
    entity_type: EntityType

    @cached_property
    def holds(self) -> Callable[..., object]:
        """The constraint as a function over a snapshot; made when it is asked for by itself, which is rare."""
        return compile_over_snapshot(self.expr, self.entity_type)


class QueryCheck(Struct, frozen=True):
    """A query constraint: rows kept by `query.sources`, then `holds` over their number."""

    id: str
    on_type: str
    query: QueryProgram
    holds: Callable[..., object]

    def rows_count(self, kept: Sequence[Iterable[Row]], now: object, actor: object) -> int:
        """Run the query over the rows kept of one tenant and count what it gives."""
        return sum(1 for _ in self.query.rows(kept, now, actor))


class ConstraintProgram(Struct, frozen=True):
    """All constraints of a bundle; snapshot checks by the entity type that they look at."""

    snapshot_checks: dict[str, tuple[SnapshotCheck, ...]]
    query_checks: tuple[QueryCheck, ...]


def compile_constraints(bundle: Bundle) -> ConstraintProgram:
    """Compile every constraint of a bundle, in the order of their ids."""
    by_type: dict[str, list[SnapshotCheck]] = {}
    queries = []
    for _, constraint in sorted(bundle.constraints.items()):
        if isinstance(constraint, SnapshotConstraint):
            entity_type = bundle.types[constraint.on_type]
            check = SnapshotCheck(constraint.id, constraint.on_type, constraint.expr, entity_type)
            by_type.setdefault(constraint.on_type, []).append(check)
        else:
            queries.append(_compile_query_check(constraint, bundle))
    return ConstraintProgram({name: tuple(checks) for name, checks in by_type.items()}, tuple(queries))


def _compile_query_check(constraint: QueryConstraint, bundle: Bundle) -> QueryCheck:
    query = compile_query(constraint.query, bundle.types)
    return QueryCheck(constraint.id, constraint.on_type, query, _compile_assertion(constraint))


def _compile_assertion(constraint: QueryConstraint) -> Callable[..., object]:
    """Compile an assert; no arguments are given when a whole history is checked, so each has its default."""

    def variable(builder: FunctionBuilder, name: str, argument: str | None) -> ast.expr:
        if argument is None and name in _ASSERT_PARAMETERS:
            return builder.name(name)
        if name == "arg" and argument is not None and argument in constraint.args:
            return builder.constant(constraint.args[argument].default)
        return builder.constant("" if name == "state" else None)

    builder = FunctionBuilder(_ASSERT_PARAMETERS, variable)
    return builder.build_expression(builder.expression(constraint.assertion))
