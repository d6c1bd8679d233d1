"""All that a bundle asks of a snapshot in one compiled function: whether constraints hold, what queries keep of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from cicsc.expression import FunctionBuilder
from cicsc.replay.snapshot import PARAMETERS, snapshot_variable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from cicsc.bundle.model import EntityType
    from cicsc.expression import Node
    from cicsc.replay.query import SourceProgram

    Judge = Callable[..., tuple[Any, ...]]
    Reading = Callable[[FunctionBuilder, str, str | None], ast.expr]


def compile_judge(entity_type: EntityType, constraints: Sequence[Node], sources: Sequence[SourceProgram]) -> Judge:
    """Compile the constraints and the sources of queries that look at one entity type.

    The function takes `PARAMETERS`. It returns whether all constraints hold, by truth, and then what each source keeps:
    a row, or None.
    """
    builder = FunctionBuilder(PARAMETERS, read := snapshot_variable(entity_type))
    conditions = [source.condition for source in sources if source.condition is not None]
    before = builder.keep_repeated([*constraints, *conditions])
    holds = builder.condition({"and": list(constraints)})
    rows = [_kept(builder, read, source) for source in sources]
    return builder.build_expression(ast.Tuple([holds, *rows], ast.Load()), before)


def _kept(builder: FunctionBuilder, read: Reading, source: SourceProgram) -> ast.expr:
    row = ast.List([read(builder, column.variable, column.argument) for column in source.columns], ast.Load())
    if source.condition is None:
        return row
    return ast.IfExp(builder.condition(source.condition), row, ast.Constant(None))
