"""What the bodies that all stores share ask of a connection: statements by their names, and rows.

Each kind of store has its statements in its own .sql files, under the same names and with the same
parameters in the same order. Errors of the driver never come through: they are errors of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeAlias

Value: TypeAlias = str | int | None

Bindings: TypeAlias = tuple[Value, ...] | Mapping[str, Value]


class Session(Protocol):
    """A connection to a database, by the names of its statements."""

    def run(self, name: str, bindings: Bindings = (), /) -> int:
        """Run a statement; return how many rows it changed."""
        ...

    def row(self, name: str, bindings: Bindings = (), /) -> Any | None:
        """Return the only row of a query, None when there is none."""
        ...

    def value(self, name: str, bindings: Bindings = (), /) -> Any | None:
        """Return the only column of the only row of a query, None when there is none."""
        ...

    def batches(self, name: str, bindings: Bindings = (), /) -> Iterator[list[Any]]:
        """Yield the rows as `rows` does, some at a time."""
        ...

    def rows(self, name: str, bindings: Bindings = (), /) -> Iterator[Any]:
        """Yield the rows of a query as they are asked for; inside a transaction."""
        ...
