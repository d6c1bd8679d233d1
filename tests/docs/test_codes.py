"""Every code of an error is documented with the commands: programs that call them go by it."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

from cicsc import errors
from docs.documents import CHECKOUT

KINDS = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.CicscError)}
RAISED = re.compile(r"[A-Z]+(?:_[A-Z]+)*")


def codes() -> Iterator[str]:
    """The codes with which errors are made in the source."""
    for path in (CHECKOUT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {*KINDS, "_TextError"}
            ):
                code = node.args[0] if node.args else None
                if isinstance(code, ast.Constant) and isinstance(code.value, str) and RAISED.fullmatch(code.value):
                    yield code.value


def test_every_code_is_documented() -> None:
    found = set(codes())
    documented = set(RAISED.findall((CHECKOUT / "docs" / "commands.md").read_text("utf-8")))

    assert len(found) > 100
    assert sorted(found - documented) == []
