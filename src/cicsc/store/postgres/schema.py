"""The schema of a store in PostgreSQL: which version is installed, and whether the fence is as installed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from cicsc.errors import StoreError
from cicsc.store.installed import bundle_faults, require_version
from cicsc.store.postgres.database import Database
from cicsc.store.sql import read_script

VERSION: Final = 5
"""The version of the schema that this program installs and works with; 3 and 5 brought another fence only."""

TABLES: Final = ("schema.sql", "journal.sql", "known_types.sql")
"""The scripts of the tables: those of versions 1, 2 and 4."""

UPGRADES: Final = MappingProxyType({1: TABLES[1:], 2: TABLES[2:], 3: TABLES[2:], 4: ()})
"""By the version found: the scripts that bring the tables to `VERSION`. The fence is installed anew after them."""

SERVER_MIN: Final = 150000
"""The oldest server, as the server itself writes its version."""

_PATH: Final = "search_path=pg_catalog, pg_temp"
_PLAIN: Final[tuple[str, ...]] = ()

FUNCTIONS: Final = {
    # name: language, volatility, security definer, settings
    "clock_ms": ("sql", "v", False, _PLAIN),
    "lock_key": ("sql", "i", False, _PLAIN),
    "owns": ("sql", "s", False, _PLAIN),
    "has_lone_surrogate": ("sql", "i", False, _PLAIN),
    "fence_insert": ("plpgsql", "v", True, _PLAIN),  # it pins its path by itself, where it needs one
    "fence_delete": ("plpgsql", "v", True, (_PATH, "enable_seqscan=off", "jit=off")),
    "fence_change": ("plpgsql", "v", True, (_PATH,)),
    "fence_gate": ("plpgsql", "v", True, (_PATH,)),
}
"""What fence.sql says about its functions beside their text."""

_ROW, _BEFORE, _INSERT, _DELETE, _UPDATE, _TRUNCATE = (1 << bit for bit in range(6))

TRIGGERS: Final = {
    # table, name: when it fires (pg_trigger.tgtype), columns, function, new rows, old rows
    ("event", "fence_insert"): (_INSERT, "", "fence_insert", "written", ""),
    ("event", "fence_update"): (_BEFORE | _UPDATE, "", "fence_change", "", ""),
    ("event", "fence_delete"): (_DELETE, "", "fence_delete", "", "removed"),
    ("event", "fence_truncate"): (_BEFORE | _TRUNCATE, "", "fence_change", "", ""),
    ("audit", "fence_change"): (_BEFORE | _UPDATE | _DELETE | _TRUNCATE, "", "fence_change", "", ""),
    ("gate", "fence_gate"): (_ROW | _BEFORE | _INSERT | _UPDATE, "active_bundle, known_types", "fence_gate", "", ""),
}
"""What fence.sql says about its triggers; each fires always and without a condition."""

CONSTRAINTS: Final = {
    "event_key": "PRIMARY KEY (tenant_id, generation, entity_type, entity_id, seq)",
    "event_position": 'UNIQUE (tenant_id, generation, "position", ordinal)',
    "event_payload": "CHECK ((json_typeof((payload)::json) = 'object'::text))",
    "event_extra": "CHECK ((json_typeof((extra)::json) = 'object'::text))",
}
"""What the fence relies on in schema.sql, as the server writes it."""

_Objects: TypeAlias = Mapping[str, tuple[object, ...]]

_ALWAYS: Final = "A"
_FUNCTION: Final = re.compile(
    r"^create function cicsc\.(\w+)\((.*?)\) .*?\$fence\$(.*?)\$fence\$;", re.MULTILINE | re.DOTALL
)


def installed_version(database: Database) -> int | None:
    """Return the version of the schema in a database, None where there is none.

    Raises STORE_FOREIGN when a schema of our name is another's.
    """
    if not database.schema_seen:
        has_schema, has_version = database.row("installed") or (False, False)
        if has_schema and not has_version:
            raise StoreError(
                "STORE_FOREIGN",
                f"cannot use store {database.name}: its schema cicsc is of another program",
                hint="name another database, or drop the schema cicsc if nothing is in it: store-init makes it",
            )
        if not has_schema:
            return None
    version = database.value("schema_version")
    if not isinstance(version, int):
        raise StoreError("STORE_DAMAGED", f"store {database.name} does not say which version its schema has")
    database.schema_seen = True
    return version


def require_schema(database: Database) -> None:
    """Raise StoreError unless the schema is of the version of this program."""
    version = installed_version(database)
    if version is None:
        raise StoreError("STORE_NOT_INITIALISED", f"there is no store in {database.name}", hint="run store-init")
    require_version(database.name, version, VERSION)


def install(database: Database) -> None:
    """Create the schema and the fence, in one transaction; on a store do nothing."""
    _require_supported(database)
    with database.writing():
        database.run("lock_installation")  # two programs may come at once
        if installed_version(database) is None:
            database.require_writable()
            for script in (*TABLES, "fence.sql"):
                database.run_script(read_script(__package__, script))
            database.run("put_schema_version", (VERSION,))
    require_schema(database)


def upgrade(database: Database) -> None:
    """Bring an older schema to the version of this program, in one transaction; raises as `require_schema` does."""
    with database.writing():
        database.run("lock_installation")
        version = installed_version(database)
        if version is not None and version in UPGRADES:
            database.require_writable()
            for script in UPGRADES[version]:
                database.run_script(read_script(__package__, script))
            install_fence(database)
            database.run("set_schema_version", (VERSION,))
        require_schema(database)


def install_fence(database: Database) -> None:
    """Remove the fence and install it anew, in the transaction at hand, so that no write comes between."""
    for script in ("drop_fence.sql", "fence.sql"):
        database.run_script(read_script(__package__, script))


def fence_faults(database: Database) -> tuple[str, ...]:
    """Name every object that is not as installed, and bundles and gates with other event types than theirs."""
    return (
        *_function_faults(database),
        *_trigger_faults(database),
        *_constraint_faults(database),
        *(f"{bypass} was added" for (bypass,) in database.all_rows("fence_bypasses")),
        *bundle_faults(database.rows("bundles"), lambda digest: database.all_rows("event_types", (digest,))),
        *(f"the gate of tenant {name!r} has other event types" for (name,) in database.rows("changed_gates")),
    )


def late_positions(database: Database) -> Iterator[str]:
    """Name the tenants whose next event would be given a position among those that are there, or one that is taken.

    A copy of the rows alone leaves a database so, as logical replication makes it, for an upgrade of the server say.
    """
    for name, position, last in database.rows("late_positions"):
        yield f"the sequence cicsc.event_position_seq is at {last}, behind position {position} of tenant {name!r}"


def _require_supported(database: Database) -> None:
    if database.server_version < SERVER_MIN:
        raise StoreError(
            "STORE_UNSUPPORTED",
            f"cannot use {database.name}: the server has version {database.server_version // 10000}, "
            f"expected {SERVER_MIN // 10000} or later",
        )
    if not database.value("is_utf8"):
        raise StoreError(
            "STORE_UNSUPPORTED",
            f"cannot use {database.name}: its encoding is not UTF8",
            hint="create the database with encoding UTF8",
        )


def _function_faults(database: Database) -> Iterator[str]:
    installed = _FUNCTION.findall(read_script(__package__, "fence.sql"))
    arguments_of = {name: arguments for name, arguments, _ in installed}
    expected = {name: (source, *FUNCTIONS[name]) for name, _, source in installed}
    found = {}
    for name, arguments, *what, settings in database.all_rows("fence_functions"):
        is_namesake = arguments_of.get(name, arguments) != arguments
        found[f"{name}({arguments})" if is_namesake else name] = (*what, tuple(settings))
    yield from _differences("function", expected, found)


def _trigger_faults(database: Database) -> Iterator[str]:
    expected = {f"{name} on {table}": (_ALWAYS, *what, "cicsc", True) for (table, name), what in TRIGGERS.items()}
    found = {}
    rows = database.all_rows("fence_triggers")
    for table, name, *what in rows:
        if (table, name) in TRIGGERS:
            found[f"{name} on {table}"] = tuple(what)
    yield from _differences("trigger", expected, found)


def _constraint_faults(database: Database) -> Iterator[str]:
    expected = {name: (text, True) for name, text in CONSTRAINTS.items()}
    rows = database.all_rows("fence_constraints")
    found = {name: (text, is_valid) for name, text, is_valid in rows if name in expected}
    yield from _differences("constraint", expected, found)


def _differences(kind: str, expected: _Objects, found: _Objects) -> Iterator[str]:
    for name, content in expected.items():
        if name not in found:
            yield f"{kind} {name} is missing"
        elif found[name] != content:
            yield f"{kind} {name} is not as installed"
    yield from (f"{kind} {name} was added" for name in found if name not in expected)
