"""What a query makes of the rows of some streams, where it comes to the same as to gather all rows and begin then.

Of a tenant that is in several parts each part keeps what it gathered in place of its rows: the groups
of a query that groups, the first rows of one that orders and takes the first, a number where rows are only counted.
What was gathered is data without code, and can be handed to another process.
"""

from __future__ import annotations

from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from msgspec import Struct

from cicsc.canonical import canonical_bytes
from cicsc.replay.aggregates import Accumulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cicsc.replay.layout import RowFunction

    Row = list[object]
    RowStep = Callable[[Iterable[Row], object, object], Iterable[Row]]

Groups: TypeAlias = "dict[bytes, tuple[Row, list[Accumulator]]]"
"""By the canonical form of its key, the values of the key in a group's first row, and its aggregates."""


class Gathering(Protocol):
    """A step of a pipeline, or what ends it, that can be taken for some rows after the others."""

    def gather(self, rows: Iterable[Row], now: object, actor: object) -> Any:
        """Return what the rows come to."""
        ...

    def join(self, gathered: Any, more: Any, now: object, actor: object) -> Any:
        """Return what some rows and more rows, which follow these, come to; either may be changed by it."""
        ...

    def rows(self, gathered: Any) -> Iterable[Row]:
        """Return the rows that go into the next step."""
        ...

    def size(self, gathered: Any) -> int:
        """Return about how many rows are held."""
        ...


class Counting:
    """What ends a pipeline: of its rows nothing is asked but how many they are."""

    def gather(self, rows: Iterable[Row], now: object, actor: object) -> int:  # noqa: ARG002
        """Count the rows."""
        return sum(1 for _ in rows)

    def join(self, gathered: int, more: int, now: object, actor: object) -> int:  # noqa: ARG002
        """Add the numbers."""
        return gathered + more

    def rows(self, gathered: int) -> Iterable[Row]:
        """Return so many rows, without columns."""
        return repeat([], gathered)

    def size(self, gathered: int) -> int:  # noqa: ARG002
        """Return 1: only a number is held."""
        return 1


class Grouping:
    """Groups rows whose keys are equal; groups come in the order of their first rows, none from no rows."""

    def __init__(self, keys: list[RowFunction], aggregates: list[tuple[RowFunction, type[Accumulator]]]) -> None:
        self._keys = keys
        self._aggregates = aggregates

    def __call__(self, rows: Iterable[Row], now: object, actor: object) -> Iterator[Row]:
        """Be a step of a pipeline."""
        return self.rows(self.gather(rows, now, actor))

    def gather(self, rows: Iterable[Row], now: object, actor: object) -> Groups:
        """Group the rows."""
        groups: Groups = {}
        for row in rows:
            values = [key(row, now, actor) for key in self._keys]
            name = canonical_bytes(values)
            group = groups.get(name)
            if group is None:
                group = groups[name] = (values, [kind() for _, kind in self._aggregates])
            for (function, _), accumulator in zip(self._aggregates, group[1], strict=True):
                accumulator.include(function(row, now, actor))
        return groups

    def join(self, gathered: Groups, more: Groups, now: object, actor: object) -> Groups:  # noqa: ARG002
        """Merge the groups with the same key."""
        for name, group in more.items():
            found = gathered.setdefault(name, group)
            if found is not group:
                for accumulator, other in zip(found[1], group[1], strict=True):
                    accumulator.merge(other)
        return gathered

    def rows(self, gathered: Groups) -> Iterator[Row]:
        """Return the row of each group: the values of its key, and its aggregates."""
        return (values + [accumulator.result() for accumulator in made] for values, made in gathered.values())

    def size(self, gathered: Groups) -> int:
        """Return how many groups there are."""
        return len(gathered)


class First(Struct, frozen=True):
    """The first rows, `count` of them, in the order that they come in or that a step puts them in."""

    count: int
    order: RowStep | None

    def gather(self, rows: Iterable[Row], now: object, actor: object) -> list[Row]:
        """Order the rows and leave out those behind."""
        return list(islice(rows if self.order is None else self.order(rows, now, actor), self.count))

    def join(self, gathered: list[Row], more: list[Row], now: object, actor: object) -> list[Row]:
        """Take the first of both, of equal ones those that came first."""
        return self.gather(chain(gathered, more), now, actor)

    def rows(self, gathered: list[Row]) -> Iterable[Row]:
        """Return the rows."""
        return gathered

    def size(self, gathered: list[Row]) -> int:
        """Return how many rows there are."""
        return len(gathered)
