"""The order that queries sort JSON values by."""

from __future__ import annotations

from cicsc.canonical import canonical_bytes
from cicsc.expression.values import is_number


def order_key(value: object) -> tuple[int, object]:
    """Rank a value for order_by: null, numbers, text by code point, booleans, the rest by canonical text."""
    if value is None:
        return (0, 0)
    if is_number(value):
        return (1, value)
    if isinstance(value, str):
        return (2, value)
    if isinstance(value, bool):
        return (3, value)
    return (4, canonical_bytes(value).decode())
