"""SQL that stands in .sql files beside the store that runs it, by name.

A file of queries is a sequence of blocks; each begins with a line ``-- name: append_event`` and
holds one statement. Schemas are whole files.
"""

from __future__ import annotations

import re
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


_PARAMETER: Final = re.compile(r"%\((\w+)\)s")


def read_script(package: str, name: str) -> str:
    """Return the text of a .sql file of a package."""
    return (files(package) / name).read_text("utf-8")


def read_queries(package: str, name: str) -> Mapping[str, str]:
    """Return the statements of a .sql file by their names; raises ValueError when it is not such a file."""
    head, *pieces = _NAME.split(read_script(package, name))
    if any(line and not line.startswith("--") for line in head.splitlines()):
        raise ValueError(f"{name} has a statement before the first name")
    names, statements = pieces[::2], [text.strip().removesuffix(";") for text in pieces[1::2]]
    if len(set(names)) != len(names) or not all(statements):
        raise ValueError(f"{name} has a name twice, or one without a statement")
    return MappingProxyType(dict(zip(names, statements, strict=True)))


def sqlite_spelling(statement: str) -> str:
    """Return a statement that is written for PostgreSQL as SQLite takes it: no schema, and parameters with a colon."""
    return _PARAMETER.sub(r":\1", statement.replace("cicsc.", ""))
