"""Whether values that SQLite gives back are of the type that their column declares.

A strict table takes no other in, but a bit that is flipped in the file makes a number of a text, or bytes, and SQLite
checks that only where it is asked to (`pragma integrity_check`). Taken as they come, bytes would be exported as a text
that nobody wrote.
"""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any, Final

import apsw

from cicsc.errors import StoreError

_TYPES: Final = {"TEXT": str, "INTEGER": int}

_NEVER_NULL: Final = frozenset(
    {
        *("entity_type", "entity_id", "seq", "event_type", "payload", "ts", "position", "ordinal"),
        *("state", "attrs", "shadows", "last_seq", "digest", "body", "result"),
    }
)
"""Columns that hold a value in every row that any query gives; others are empty too where a join finds nothing."""


class RowKinds:
    """The types of the rows of one query: those that were found right are known again, which is all that most cost."""

    __slots__ = ("_known", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: set[tuple[type, ...]] = set()

    def checked(self, cursor: apsw.Cursor, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return the row that the cursor has just given; raises StoreError STORE_DAMAGED where a type is another."""
        kinds = tuple(map(type, row))
        if kinds not in self._known:
            for (name, declared), kind in zip(cursor.get_description(), kinds, strict=True):
                if not _fits(name, declared, kind):
                    raise _damaged(self._path, name, declared, kind)
            self._known.add(kinds)
        return row


def _fits(name: str, declared: str | None, kind: type) -> bool:
    expected = _TYPES.get(declared or "")
    return expected is None or kind is expected or (kind is NoneType and name not in _NEVER_NULL)


def _damaged(path: Path, name: str, declared: str | None, kind: type) -> StoreError:
    found = "nothing" if kind is NoneType else f"a value of type {kind.__name__}"
    return StoreError(
        "STORE_DAMAGED",
        f"cannot use store {str(path)!r}: column {name} holds {found}, expected {declared}",
        hint="keep a copy of the file and of its -wal before anything else",
    )
