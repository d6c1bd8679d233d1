"""Stores of live histories, behind one protocol; a driver is imported when a store of its kind is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cicsc.errors import UsageError

if TYPE_CHECKING:
    from cicsc.store.protocol import Store

__all__ = ["open_store"]


def open_store(url: str) -> Store:
    """Return the store of a URL: ``sqlite:///FILE``, where a fourth slash begins an absolute path, or ``postgresql://...``.

    Nothing is created or connected to; `initialise` does that. Raises UsageError: STORE_URL_INVALID, or
    STORE_DRIVER_MISSING where psycopg is not installed.
    """
    _require_text(url)
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1 and "\0" not in rest:
        from cicsc.store.sqlite.store import SqliteStore  # noqa: PLC0415 - the driver takes time to import

        return SqliteStore(Path(rest[1:]))
    if scheme in {"postgresql", "postgres"}:
        return _open_postgres(url)
    # What has no scheme may be anything, a password as well, and is not repeated.
    found = f"a store of the scheme {scheme!r}" if scheme.isalnum() and "://" in url else "the store"
    raise UsageError(
        "STORE_URL_INVALID",
        f"cannot open {found}: expected sqlite:///FILE or postgresql://USER@HOST/DATABASE",
        hint="a file of the working folder is named as sqlite:///shop.db; with a fourth slash begins an absolute path",
    )


def _require_text(url: object) -> None:
    if not isinstance(url, str):
        raise UsageError(
            "STORE_URL_INVALID", f"cannot open a store: expected its URL as a string, found {type(url).__name__}"
        )


def _open_postgres(url: str) -> Store:
    try:
        from cicsc.store.postgres.store import PostgresStore  # noqa: PLC0415 - the driver is an extra
    except ImportError as error:
        raise UsageError(
            "STORE_DRIVER_MISSING",
            "cannot open a store on PostgreSQL: psycopg is not installed",
            hint="pip install 'cicsc[postgres]'",
        ) from error
    return PostgresStore(url)
