"""Reading a decoded document place by place, collecting every problem on the way.

A `Place` is a value of the document together with its JSON path. Each expectation either returns what
was found or reports a problem and returns a stand-in of the right type, so that reading goes on and one
run reports everything. Stand-ins never reach a reader: a document with a problem yields no bundle.
Nothing here knows what a bundle is.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from msgspec import Struct

from cicsc.errors import Problem
from cicsc.expression import Node, check_expression, describe, json_path, quoted, suggestion
from cicsc.expression.paths import SHOWN_CHARACTERS_MAX

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PROBLEMS_MAX: Final = 1_000
"""Problems that are listed; further ones are counted."""

SUGGESTION_NAMES_MAX: Final = 200
"""Declared names among which a close one is looked for."""

KEY_LIKENESS: Final = 0.85
"""How like a known key one that is ignored must be for a warning (from 0 to 1): a slip of a letter or two."""

Names: TypeAlias = frozenset[str] | None
"""Names that are declared, or None where a defect makes them unknown, so that nobody reports a consequence."""

Variant = TypeVar("Variant")


class _Missing:
    """The value of a place whose defect is reported already; every expectation passes over it."""


MISSING: Final = _Missing()


class ProblemList(tuple[Problem, ...]):  # noqa: SLOT001  a tuple with a number beside it
    """The problems that are listed; `total` counts the others as well."""

    total = 0


class Problems:
    """The problems found so far: the first `PROBLEMS_MAX` of them in full, all of them counted."""

    def __init__(self) -> None:
        self.total = 0
        self._listed: list[Problem] = []

    def add(self, problem: Problem) -> None:
        """Count a problem, and list it while there is room."""
        if not self.full:
            self._listed.append(problem)
        self.total += 1

    @cached_property
    def warnings(self) -> Problems:
        """What is no defect, but perhaps a typing error: listed and counted likewise, beside the problems."""
        return Problems()

    @property
    def full(self) -> bool:
        """Tell whether further problems are only counted."""
        return self.total >= PROBLEMS_MAX

    def summary(self) -> ProblemList:
        """Return the listed problems, with the number of all."""
        listed = ProblemList(self._listed)
        listed.total = self.total
        return listed


class Place(Struct, frozen=True):
    """A value of the document, where it stands, and where its problems go."""

    value: object
    path: str
    problems: Problems

    def report(self, message: str) -> None:
        """Report a problem with this place."""
        self.problems.add(Problem(self.path, message))

    def doubt(self, message: str) -> None:
        """Warn of this place: it is no defect, but perhaps a typing error."""
        self.problems.warnings.add(Problem(self.path, message))

    def at(self, step: str | int, value: object) -> Place:
        """Return the place of `value`, one step below; its path shortens a very long name."""
        return Place(value, json_path(self.path, step), self.problems)

    def refuse(self, what: str) -> Place:
        """Report that something else was expected here; return the place of a stand-in."""
        if self.value is not MISSING:
            self.report(f"expected {what}, found {describe(self.value)}")
        return self._stand_in()

    # Objects

    def record(self, what: str) -> Place:
        """Expect an object, to be read key by key."""
        return self if isinstance(self.value, dict) else self.refuse(what)

    def entries(self, what: str) -> list[tuple[str, Place]]:
        """Expect an object of any keys; return each key with its place."""
        if isinstance(self.value, dict):
            return [(key, self.at(key, value)) for key, value in self.value.items()]
        self.refuse(what)
        return []

    def find(self, key: str) -> Place | None:
        """Return the place of an optional key of a record, None where the key is absent."""
        if isinstance(self.value, dict) and key in self.value:
            return self.at(key, self.value[key])
        return None

    def required(self, key: str) -> Place:
        """Return the place of a key that a record must have."""
        found = self.find(key)
        if found is not None:
            return found
        if self.value is not MISSING:
            self.report(f"missing key {key!r}, found {describe(self.value)}")
        return self._stand_in()

    def optional(self, key: str, default: object) -> Place:
        """Return the place of an optional key of a record; where it is absent, that of `default`."""
        return self.find(key) or self.at(key, default)

    def variant(self, variants: Mapping[str, Variant], what: str) -> tuple[Variant, Place] | None:
        """Expect an object with exactly one key, one of `variants`; return what that stands for, and its place."""
        if not isinstance(self.value, dict) or len(self.value) != 1:
            self.refuse(f"{what}, an object with exactly one key")
            return None
        ((key, body),) = self.value.items()
        if key in variants:
            return variants[key], self.at(key, body)
        expected = ", ".join(variants)
        self.report(f"expected {what}, one of {expected}, found {quoted(key)}{self._close_name(key, variants)}")
        return None

    def closed(self, keys: Collection[str]) -> None:
        """Report each key of a record that is not one of `keys`."""
        for key, place in self._unknown(keys):
            expected = f"one of {', '.join(keys)}" if keys else "no key"
            place.report(f"unknown key {quoted(key)}, expected {expected}{self._close_name(key, keys)}")

    def misspelled(self, keys: Collection[str]) -> None:
        """Report each unknown key of a record that is close to one of `keys`, which are all read here."""
        for key, place in self._unknown(keys):
            close = self._close_name(key, keys)
            if close:
                place.report(f"unknown key {quoted(key)}{close}")

    def doubtful(self, keys: Collection[str]) -> None:
        """Warn of each unknown key of a record that is very like one of `keys` that is absent: it is ignored."""
        unknown = self._unknown(keys)
        absent = [key for key in keys if self.find(key) is None]
        for key, place in unknown if len(unknown) <= SUGGESTION_NAMES_MAX else ():
            close = suggestion(key, absent, KEY_LIKENESS)
            if close:
                place.doubt(f"unknown key {quoted(key)} is ignored{close}")

    def names(self) -> Names:
        """Return the keys of an object; None, and no problem, for anything else."""
        return frozenset(self.value) if isinstance(self.value, dict) else None

    # Lists

    def items(self, what: str) -> list[Place]:
        """Expect a list; return the place of each item."""
        if isinstance(self.value, list):
            return [self.at(index, value) for index, value in enumerate(self.value)]
        self.refuse(what)
        return []

    def distinct_texts(self, what: str) -> tuple[str, ...]:
        """Expect a list of strings without repeats."""
        seen: dict[str, None] = {}
        for item in self.items(what):
            text = item.text()
            if text in seen:
                item.report(f"{quoted(text)} is repeated")
            if isinstance(item.value, str):
                seen[text] = None
        return tuple(seen)

    # Scalars

    def text(self, what: str = "a string") -> str:
        """Expect a string."""
        if isinstance(self.value, str):
            return self.value
        self.refuse(what)
        return ""

    def name(self) -> str:
        """Expect a string that is not empty."""
        if not self.value and isinstance(self.value, str):
            self.refuse("a non-empty string")
        return self.text("a non-empty string")

    def known(self, names: Names, otherwise: str) -> str:
        """Expect one of `names`; `otherwise` is the message, with {} for the name that is none of them."""
        text = self.text()
        if names is not None and text not in names and isinstance(self.value, str):
            self.report(otherwise.format(quoted(text)) + self._close_name(text, names))
        return text

    def choice(self, options: Mapping[str, Variant]) -> Variant | None:
        """Expect one of the strings of `options`; return what it stands for."""
        if isinstance(self.value, str) and self.value in options:
            return options[self.value]
        self.refuse(f"{'one of ' if len(options) > 1 else ''}{', '.join(map(repr, options))}")
        return None

    def flag(self) -> bool:
        """Expect true or false."""
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value is True

    def integer(self, what: str = "an integer") -> int:
        """Expect an integer, which may be written 3.0."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or self.value % 1 != 0:
            self.refuse(what)
            return 0
        return int(self.value)

    def count(self) -> int:
        """Expect an integer that is not negative."""
        what = "an integer of at least 0"
        number = self.integer(what)
        if number < 0:
            self.refuse(what)
        return number

    # Expressions

    def expression(self, *, host_calls: bool = False) -> Node:
        """Expect an expression; a defective one reads as an empty node."""
        if self.value is MISSING:
            return {}
        found = check_expression(self.value, self.path, host_calls=host_calls)
        for problem in found:
            self.problems.add(problem)
        return self.value if isinstance(self.value, dict) and not found else {}

    def _unknown(self, keys: Collection[str]) -> list[tuple[str, Place]]:
        """Return the keys of a record that are none of `keys`."""
        entries = self.entries("an object") if isinstance(self.value, dict) else []
        return [(key, place) for key, place in entries if key not in keys]

    def _close_name(self, name: str, known: Collection[str]) -> str:
        """Return `, did you mean ...?` where a known name is close; what costs much or is not listed is not sought."""
        if len(known) > SUGGESTION_NAMES_MAX or len(name) > SHOWN_CHARACTERS_MAX or self.problems.full:
            return ""
        return suggestion(name, known)

    def _stand_in(self) -> Place:
        return Place(MISSING, self.path, self.problems)
