"""The schema of a store in SQLite: whose file it is, which version, and whether the fence is as installed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cicsc.errors import StoreError
from cicsc.store.installed import bundle_faults, require_version
from cicsc.store.sql import read_script
from cicsc.store.sqlite.database import Database
from cicsc.store.sqlite.place import missing_folder

VERSION: Final = 5
"""The version of the schema that this program installs and works with; 5 brought another fence, 3 and 4 nothing."""

UPGRADES: Final = MappingProxyType({1: ("journal.sql",), 2: (), 3: (), 4: ()})
"""By the version found: the scripts that bring the tables to `VERSION`. The fence is installed anew after them."""

APPLICATION_ID: Final = 0x63696373
"""The mark in the header of a file that it is a store of ours: "cics" as bytes."""


def installed_version(database: Database) -> int | None:
    """Return the version of the schema in a file, None where the file is empty.

    Raises STORE_FOREIGN for a file that holds something else.
    """
    mark = database.value("application_id")
    if mark == APPLICATION_ID:
        version = database.value("schema_version")
        if not isinstance(version, int):
            raise StoreError("STORE_DAMAGED", f"store {str(database.path)!r} does not say which version its schema has")
        return version
    if mark == 0 and database.value("count_objects") == 0:
        return None
    raise StoreError(
        "STORE_FOREIGN",
        f"cannot use {str(database.path)!r}: it holds a database of another program",
        hint="name another file",
    )


def require_schema(database: Database) -> None:
    """Raise StoreError unless the schema is of the version of this program."""
    version = installed_version(database)
    if version is None:
        raise not_initialised(database.path)
    require_version(repr(str(database.path)), version, VERSION)


def not_initialised(path: Path) -> StoreError:
    """Make the error for a store that is not there yet."""
    first = missing_folder(path)
    return StoreError(
        "STORE_NOT_INITIALISED",
        f"there is no store in {str(path)!r}" + (f": {first[0]}" if first else ""),
        hint=first[1] if first else "run store-init",
    )


def install(database: Database) -> None:
    """Create the schema and the fence in an empty file, in one transaction; on a store do nothing."""
    if installed_version(database) is None:
        _begin_wal(database)
        with database.writing():
            if installed_version(database) is None:  # another program may have been quicker
                database.run_script(f"pragma application_id = {APPLICATION_ID}")
                _create(database)
    require_schema(database)


def resume_wal(database: Database) -> None:
    """Bring a store back into WAL mode, which a copy that SQLite makes of it (VACUUM INTO) does not have.

    Without it a run would wait in vain for its own reading to end. Where it cannot be had now, the store stays as it
    is, and so does a file of another program.
    """
    if database.value("journal_mode") != "wal" and database.value("application_id") == APPLICATION_ID:
        with suppress(StoreError):
            database.value("begin_wal")


def upgrade(database: Database) -> None:
    """Bring an older schema to the version of this program, in one transaction; raises as `require_schema` does."""
    with database.writing():
        version = installed_version(database)
        if version is not None and version in UPGRADES:
            for script in UPGRADES[version]:
                database.run_script(read_script(__package__, script))
            install_fence(database)
            database.run("set_schema_version", (VERSION,))
        require_schema(database)


def install_fence(database: Database) -> None:
    """Remove what there is of the fence and install it anew, with every gate locked, in the transaction at hand."""
    for script in ("drop_fence.sql", "fence.sql"):
        database.run_script(read_script(__package__, script))
    database.run("lock_generations")


def fence_faults(database: Database) -> tuple[str, ...]:
    """Name every object that is not as this program installs it, and bundles with other event types than theirs."""
    expected = _expected_objects()
    found = _objects(database)
    missing = [f"{kind} {name} is missing" for kind, name in expected if (kind, name) not in found]
    changed = [
        f"{kind} {name} is not as installed"
        for (kind, name), content in found.items()
        if expected.get((kind, name), content) != content
    ]
    added = [f"{kind} {name} was added" for kind, name in found if kind == "trigger" and (kind, name) not in expected]
    unlocked = [
        f"the gate of tenant {tenant_id!r} was left unlocked for generation {generation}"
        for tenant_id, generation in database.rows("unlocked_gates")
    ]
    bundles = bundle_faults(database.rows("bundles"), lambda digest: database.rows("event_types", (digest,)))
    return (*missing, *changed, *added, *unlocked, *bundles)


def _begin_wal(database: Database) -> None:
    """Let readers and the writer not wait for each other; the file remembers it."""
    mode = database.value("begin_wal")
    if mode != "wal":
        raise StoreError(
            "STORE_UNREACHABLE",
            f"cannot make a store in {str(database.path)!r}: the file system does not carry WAL mode, found {mode!r}",
            hint="put the store on a local disk",
        )


def _create(database: Database) -> None:
    for script in ("schema.sql", "journal.sql", "fence.sql"):
        database.run_script(read_script(__package__, script))
    database.run("put_schema_version", (VERSION,))


@cache
def _expected_objects() -> Mapping[tuple[str, str], tuple[str, str]]:
    """Return what an intact schema holds, as SQLite itself writes it down; made once, since tenants wait for it."""
    fresh = Database(Path(":memory:"), wait_s=0, create=True)
    try:
        _create(fresh)
        return _objects(fresh)
    finally:
        fresh.close()


def _objects(database: Database) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the table and the text of each object, by its kind and name."""
    return {(kind, name): (table, text) for kind, name, table, text in database.rows("installed_objects")}
