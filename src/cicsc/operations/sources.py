"""What the operations take as inputs, and how they keep from writing what must not be written."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from cicsc.bundle.model import Bundle
from cicsc.errors import UsageError
from cicsc.expression import describe, quoted, suggestion
from cicsc.history.model import Event
from cicsc.history.output import same_file
from cicsc.store import open_store

if TYPE_CHECKING:
    from cicsc.store.protocol import Store

BundleSource: TypeAlias = str | Path | bytes | Mapping[str, object] | Bundle
"""A bundle: the path of its file, its JSON text, its decoded document, or itself."""

EventSource: TypeAlias = str | Path | Iterable[Event | Mapping[str, object]]
"""A history: the path of its file, "-" for standard input, or its events."""


class StoreSource(Struct, frozen=True):
    """Histories in a store: those of the tenants that are named, or of every tenant for None.

    `store` is a URL, which is opened and closed again, or a store that is open.
    """

    store: str | Store
    tenants: Collection[str] | None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(tenants={self.tenants!r})"  # a URL may hold a password

    def files(self) -> Mapping[str, Path]:
        """Return the files that the store consists of, by what messages call them."""
        return store_files(self.store)


HistorySource: TypeAlias = EventSource | StoreSource
"""A history of a file, of memory, or of a store."""


_DIGEST = re.compile("[0-9a-fA-F]{64}")


class Discard(Exception):  # noqa: N818  it is no error: the verdict was no
    """Raised inside the block of an output, and caught around it, to leave the output unwritten."""


def require_tenants(wanted: Collection[str], found: Collection[str]) -> None:
    """Raise UsageError where a tenant that was asked for has no events: a verdict on nothing would mislead."""
    for tenant_id in sorted(set(wanted) - set(found)):
        near = suggestion(tenant_id, found)
        raise UsageError(
            "UNKNOWN_TENANT",
            f"tenant {tenant_id!r} has no events in the history{near}",
            hint="check the name given with --tenant, and that the history is the right one",
        )


def require_digest(expected_hash: str | None) -> None:
    """Raise UsageError where an expected digest is none."""
    if expected_hash is not None and not (isinstance(expected_hash, str) and _DIGEST.fullmatch(expected_hash)):
        found = quoted(expected_hash) if isinstance(expected_hash, str) else describe(expected_hash)
        raise UsageError(
            "INVALID_VALUE",
            f"--expected-hash is no digest: expected 64 hexadecimal digits, found {found}",
            hint="history-verify prints the digest of a history",
        )


def store_files(store: str | Store) -> Mapping[str, Path]:
    """Return the files that a store, or that of a URL, consists of. Raises UsageError STORE_URL_INVALID."""
    return open_store(store).files if isinstance(store, str) else store.files


def guard_spark_inputs(events: object, outputs: Mapping[str, Path | None]) -> None:
    """Raise UsageError where an output would overwrite a file of the folder or glob that Spark is to read."""
    if not isinstance(events, str | Path):
        return
    pattern = re.sub(r"\{[^}]*\}", "*", str(events).removeprefix("file://"))
    found = {os.path.realpath(path) for path in (str(events), *glob.glob(pattern, recursive=True))}  # noqa: PTH207 - a path of its own
    for flag, path in outputs.items():
        if path is not None and path.exists() and not found.isdisjoint(map(str, _with_parents(path))):
            raise UsageError(
                "OUTPUT_IS_INPUT",
                f"{flag} would overwrite a file of --events: {str(path)!r} belongs to {str(events)!r}",
                hint=f"give {flag} another path; nothing was written",
            )


def _with_parents(path: Path) -> list[Path]:
    real = Path(os.path.realpath(path))
    return [real, *real.parents]


def _is_standard_output(path: Path) -> bool:
    """Tell whether a path leads to where the report goes, as /dev/stdout does, and the file that it is sent to."""
    if str(path) == "-":
        return True
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except (OSError, ValueError):
        return False


def guard_outputs(inputs: Mapping[str, object], outputs: Mapping[str, Path | None]) -> None:
    """Raise UsageError where an output is the same file as an input or another output; keys name the flags."""
    taken = {flag: Path(source) for flag, source in inputs.items() if isinstance(source, str | Path) and source != "-"}
    for source in inputs.values():
        if isinstance(source, StoreSource):
            taken |= source.files()
    given = frozenset(taken)
    for flag, path in outputs.items():
        if path is None:
            continue
        if _is_standard_output(path):
            raise UsageError(
                "STDOUT_TAKEN",
                f"{flag} cannot be standard output, which is for the report",
                hint=f"give {flag} the path of a file",
            )
        for other, used in taken.items():
            if same_file(path, used):
                raise UsageError(
                    "OUTPUT_IS_INPUT" if other in given else "OUTPUTS_COLLIDE",
                    f"{flag} would overwrite {other}: both are {str(path)!r}",
                    hint=f"give {flag} another path; nothing was written",
                )
        taken[flag] = path
