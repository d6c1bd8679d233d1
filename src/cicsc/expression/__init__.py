"""The expression language: a closed, deterministic language over JSON values.

`check_expression` reports defects, `reads` tells which variables are read, `compile_expression` and
`FunctionBuilder` turn checked nodes into Python functions. Nothing here knows of events or bundles.
"""

from cicsc.expression.check import check_expression, describe, suggestion
from cicsc.expression.compile import FunctionBuilder, compile_expression
from cicsc.expression.grammar import Node
from cicsc.expression.paths import json_path, quoted
from cicsc.expression.reads import Reads, reads

__all__ = [
    "FunctionBuilder",
    "Node",
    "Reads",
    "check_expression",
    "compile_expression",
    "describe",
    "json_path",
    "quoted",
    "reads",
    "suggestion",
]
