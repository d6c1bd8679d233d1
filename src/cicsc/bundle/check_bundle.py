"""Checking a whole bundle: from a decoded document to a `Bundle`, or to every problem that it has.

Types come first, because constraints, views and migrations refer to them. The other sections follow in
the order of docs/formats.md, Bundles; keys that nobody knows are kept and ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cicsc.bundle.check_entity import declared_fields, declared_states, read_attributes, read_type
from cicsc.bundle.check_migration import read_migration
from cicsc.bundle.check_query import CORE_COLUMNS, UNKNOWN, Columns, Rows, read_query, read_type_name
from cicsc.bundle.model import Bundle, Constraint, QueryConstraint, SnapshotConstraint
from cicsc.bundle.place import Names, Place, ProblemList, Problems
from cicsc.bundle.variables import IN_ASSERT, OVER_SNAPSHOT, Scope
from cicsc.canonical import canonical_bytes, sha256_hex

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


OTHER_SECTIONS: Final = (
    "slas",
    "schedules",
    "workflows",
    "multi_entity_commands",
    "ui",
    "services",
    "subscriptions",
    "webhooks",
    "queues",
)
"""Sections that take no part in a migration and must be objects."""

SECTIONS: Final = ("version", "types", "constraints", "policies", "views", "migrations", *OTHER_SECTIONS)
"""Every key of `core_ir` that is read."""

_NO_ROW: Final[Names] = frozenset()
"""The columns that an assert may read: it sees how many rows there are, but none of them."""

_VIEW_KINDS: Final = {"lanes": "lanes", "metric": "metric"}


def parse_bundle(document: object) -> tuple[Bundle | None, ProblemList]:
    """Read a document that `decode_json` gave; return the bundle, or None and every problem.

    Problems stand in the order of reading; of more than `PROBLEMS_MAX` the others are only counted.
    """
    problems = Problems()
    root = Place(document, "$", problems).record("a bundle, an object")
    _doubt_keys(root)
    version = root.find("bundle_version")
    core = root.required("core_ir").record("an object")
    _check_format_version(core.required("version"))
    types = core.required("types")
    type_places = types.entries("an object of entity types")
    fields = {name: declared_fields(place) for name, place in type_places}
    columns = None if types.names() is None else {name: _rows(place, fields[name]) for name, place in type_places}
    entity_types = {name: read_type(name, place) for name, place in type_places}
    constraints = _read_constraints(core, columns)
    migrations = {name: read_migration(name, place, fields) for name, place in _section(core, "migrations")}
    _check_bystanders(core, columns)
    bundle_version = None if version is None else version.integer()
    if problems.total or not isinstance(document, dict):
        return None, problems.summary()
    digest = sha256_hex(canonical_bytes(document))
    warnings = problems.warnings.summary()
    return Bundle(document, digest, bundle_version, entity_types, constraints, migrations, warnings), ProblemList()


def _doubt_keys(root: Place) -> None:
    """Warn of keys that are ignored where they stand, though what they hold was likely meant to count."""
    root.doubtful(("bundle_version", "core_ir"))
    for key in ("types", "constraints", "migrations"):
        misplaced = root.find(key)
        if misplaced is not None:
            misplaced.doubt(f"{key!r} is ignored here, did you mean it inside 'core_ir'?")
    core = root.find("core_ir")
    if core is not None:
        core.doubtful(SECTIONS)


def _check_format_version(place: Place) -> None:
    what = "0, the version of this format"
    if place.integer(what) != 0:
        place.refuse(what)


def _section(core: Place, name: str) -> list[tuple[str, Place]]:
    return core.optional(name, {}).entries("an object")


def _rows(place: Place, fields: Names) -> Rows:
    return Rows(None if fields is None else CORE_COLUMNS | fields, declared_states(place))


def _read_constraints(core: Place, columns: Columns | None) -> dict[str, Constraint]:
    constraints = {}
    for constraint_id, place in _section(core, "constraints"):
        body = place.record("a constraint, an object")
        read = body.required("kind").choice(_CONSTRAINT_KINDS)
        on_type = read_type_name(body.required("on_type"), columns)
        if read is not None:
            constraints[constraint_id] = read(constraint_id, on_type, body, columns)
    return constraints


def _read_snapshot(constraint_id: str, on_type: str, body: Place, columns: Columns | None) -> Constraint:
    fields, states = (columns or {}).get(on_type, UNKNOWN)
    scope = Scope(fields, attrs=fields, states=states, held=OVER_SNAPSHOT)
    return SnapshotConstraint(constraint_id, on_type, scope.expression(body.required("expr")))


def _read_bool_query(constraint_id: str, on_type: str, body: Place, columns: Columns | None) -> Constraint:
    args = body.required("args")
    declared = args.names()
    return QueryConstraint(
        id=constraint_id,
        on_type=on_type,
        args=read_attributes(args),
        query=read_query(body.required("query"), columns, declared),
        assertion=Scope(_NO_ROW, args=declared, held=IN_ASSERT).expression(body.required("assert")),
    )


_CONSTRAINT_KINDS: Final[Mapping[str, Callable[[str, str, Place, Columns | None], Constraint]]] = {
    "snapshot": _read_snapshot,
    "bool_query": _read_bool_query,
}


def _check_bystanders(core: Place, columns: Columns | None) -> None:
    """Check the sections that take no part in a migration."""
    for _, place in _section(core, "policies"):
        policy = place.record("a policy, an object")
        policy.required("params").distinct_texts("a list of strings")
        # A policy is what a guard asks through `allowed`, so it may call what a guard may call.
        policy.required("expr").expression(host_calls=True)
    for _, place in _section(core, "views"):
        view = place.record("a view, an object")
        view.required("kind").choice(_VIEW_KINDS)
        read_type_name(view.required("on_type"), columns)
        read_query(view.required("query"), columns, None)
    for name in OTHER_SECTIONS:
        core.optional(name, {}).record("an object")
