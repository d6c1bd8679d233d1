"""Findings counted in full and listed up to a cap, whatever the order they arrive in.

A tally keeps, per group, the count and the smallest few examples. Merging is associative and
commutative, so a history may be cut anywhere between streams and still give the same report.
"""

from __future__ import annotations

from bisect import insort
from typing import Final, Generic, TypeVar

from msgspec import Struct, field

Item = TypeVar("Item")

EXAMPLES_MAX: Final = 10
"""Examples listed per group; the count beyond is exact."""


class Tally(Struct, Generic[Item]):
    """A count with the smallest examples; `include` takes the key that they are ordered by."""

    count: int = 0
    examples: list[tuple[tuple[object, ...], Item]] = field(default_factory=list)

    def include(self, key: tuple[object, ...], item: Item) -> None:
        """Count one more, and keep it if it is among the smallest."""
        self.count += 1
        self._keep(key, item)

    def _keep(self, key: tuple[object, ...], item: Item) -> None:
        if len(self.examples) < EXAMPLES_MAX or key < self.examples[-1][0]:
            insort(self.examples, (key, item), key=lambda example: example[0])
            del self.examples[EXAMPLES_MAX:]

    def merge(self, other: Tally[Item]) -> None:
        """Take in another tally of the same group."""
        self.count += other.count
        for key, item in other.examples:
            self._keep(key, item)
