"""The limits of the expression language, each with its unit.

They bound what a bundle can make the product do: how deep a compiled function nests, how long it
is, and how large a value it can build while a history of any length is folded.
"""

from __future__ import annotations

from typing import Final

from cicsc.decoding import MAX_NESTING

DEPTH_MAX: Final = 64
"""Levels of nesting in one expression."""

NODES_MAX: Final = 10_000
"""Expression nodes in one expression."""

LITERAL_TEXT_MAX: Final = 65_536
"""Characters in one string literal, key or path."""

INTEGER_DIGITS_MAX: Final = 1_000
"""Decimal digits of an integer; arithmetic beyond it overflows to null."""

INTEGER_LIMIT: Final = 10**INTEGER_DIGITS_MAX
"""The smallest positive integer that is too large."""

VALUE_DEPTH_MAX: Final = 100
"""Levels of nesting in a value that an expression builds; deeper ones overflow to null."""

PAYLOAD_VALUE_DEPTH_MAX: Final = MAX_NESTING - 2
"""Levels of nesting in a value of a payload, which with its event around it must be text that can be read again."""

VALUE_WEIGHT_MAX: Final = 100_000
"""Nodes in a value that an expression builds, where text counts for more than one node."""

CHARACTERS_PER_WEIGHT: Final = 64
"""Characters of text that count as one more node."""
