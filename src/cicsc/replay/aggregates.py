"""The aggregates of a query: count, sum, min and max over the rows of a group."""

from __future__ import annotations

from typing import Protocol, Self

from cicsc.expression.values import add, is_number, number

_UNIT_EXPONENT = 1074
"""Every double is a whole multiple of 2 to the power of minus this many (IEEE 754, binary64)."""


class Accumulator(Protocol):
    """Takes one value for each row of a group, then gives the aggregate."""

    def include(self, value: object) -> None:
        """Take the value of one more row."""

    def merge(self, other: Self) -> None:
        """Take what another one was given after what this one was given."""

    def result(self) -> object:
        """Return the aggregate, or null where no value counted."""


class RowCount:
    """Counts rows, whatever their value."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def include(self, value: object) -> None:  # noqa: ARG002  every row counts
        """Count one more row."""
        self._count += 1

    def merge(self, other: Self) -> None:
        """Count the rows of another one as well."""
        self._count += other._count

    def result(self) -> int:
        """Return the number of rows."""
        return self._count


class ExactSum:
    """Adds numbers without rounding on the way, so that the order of rows cannot change a sum.

    Integral numbers are added exactly, the others as whole multiples of the smallest double; the
    sum of these is rounded once. Without any number the result is null, beyond the range of a double too.
    """

    __slots__ = ("_integers", "_seen", "_units")

    def __init__(self) -> None:
        self._integers = 0
        self._units = 0
        self._seen = False

    def include(self, value: object) -> None:
        """Add a number; anything else does not count."""
        if not is_number(value):
            return
        self._seen = True
        if isinstance(value, int) or value.is_integer():
            self._integers += int(value)
        else:
            numerator, denominator = value.as_integer_ratio()
            self._units += numerator << (_UNIT_EXPONENT - (denominator.bit_length() - 1))

    def merge(self, other: Self) -> None:
        """Add what another one has added."""
        self._seen = self._seen or other._seen
        self._integers += other._integers
        self._units += other._units

    def result(self) -> int | float | None:
        """Return the sum, or null."""
        if not self._seen:
            return None
        # The doubles counted here have a fraction, so each is below 2 to the 53rd and their sum is far from overflow.
        return add(number(self._integers), number(self._units / (1 << _UNIT_EXPONENT)))


class Smallest:
    """Keeps the smallest number; anything else does not count."""

    __slots__ = ("_best",)

    def __init__(self) -> None:
        self._best: float | None = None

    def include(self, value: object) -> None:
        """Take one more value."""
        if is_number(value) and (self._best is None or value < self._best):
            self._best = value

    def merge(self, other: Self) -> None:
        """Take the smallest that another one has seen."""
        self.include(other._best)

    def result(self) -> float | None:
        """Return the smallest number, or null."""
        return self._best


class Largest:
    """Keeps the largest number; anything else does not count."""

    __slots__ = ("_best",)

    def __init__(self) -> None:
        self._best: float | None = None

    def include(self, value: object) -> None:
        """Take one more value."""
        if is_number(value) and (self._best is None or value > self._best):
            self._best = value

    def merge(self, other: Self) -> None:
        """Take the largest that another one has seen."""
        self.include(other._best)

    def result(self) -> float | None:
        """Return the largest number, or null."""
        return self._best
