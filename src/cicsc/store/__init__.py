"""Stores of live histories, behind one protocol; a driver is imported when a store of its kind is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cicsc.errors import UsageError

if TYPE_CHECKING:
    from cicsc.store.protocol import Store

__all__ = ["open_store"]


def open_store(url: str) -> Store:
    """Return the store of a URL: ``sqlite:///FILE``, where a fourth slash begins an absolute path.

    Nothing is created; `initialise` does that. Raises UsageError STORE_URL_INVALID.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1 and "\0" not in rest:
        from cicsc.store.sqlite.store import SqliteStore  # noqa: PLC0415 - the driver takes time to import

        return SqliteStore(Path(rest[1:]))
    raise UsageError(
        "STORE_URL_INVALID",
        f"cannot open a store of the scheme {scheme!r}: expected sqlite:///FILE",
    )
