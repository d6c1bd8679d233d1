"""The shape of the source: every module says what it owns, stays short as its tests do, and offers what it lists."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.documents import CHECKOUT, name_of

LINES_OF_MODULE_MAX = 400
LINES_OF_FUNCTION_MAX = 70

SOURCE = CHECKOUT / "src" / "cicsc"
MODULES = sorted(SOURCE.rglob("*.py"))
TESTS = sorted((CHECKOUT / "tests").rglob("*.py"))
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(_tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def _exported(path: Path) -> list[str] | None:
    """The names of `__all__`, or `None` when the module has none."""
    for node in _tree(path).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and target.id == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def test_source_is_found() -> None:
    assert SOURCE / "errors.py" in MODULES


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_open_with_a_docstring(path: Path) -> None:
    assert ast.get_docstring(_tree(path))


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name_of)
def test_modules_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LINES_OF_MODULE_MAX


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short(path: Path) -> None:
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in _functions(path)}

    assert {name: lines for name, lines in lengths.items() if lines > LINES_OF_FUNCTION_MAX} == {}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_exported_names_exist(path: Path) -> None:
    exported = _exported(path)
    if exported is None:
        return  # only a package and a module with private neighbours need the list
    name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
    module = importlib.import_module(name)

    assert len(exported) == len(set(exported))  # their order is the linter's business
    assert [entry for entry in exported if not hasattr(module, entry)] == []


def test_package_lists_what_it_offers() -> None:
    assert _exported(SOURCE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_nothing_is_left_unfinished(path: Path) -> None:
    assert _UNFINISHED.findall(path.read_text("utf-8")) == []
