"""What both kinds of store ask of an installed schema: its version, and the event types that the fence goes by.

How a kind finds its schema, and what else its fence consists of, is its own business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from cicsc.errors import StoreError
from cicsc.store.encoding import stored_event_types


def require_version(name: str, found: int, expected: int) -> None:
    """Raise StoreError unless the schema of the store that messages call `name` is of the version of this program."""
    if found == expected:
        return
    raise StoreError(
        "STORE_TOO_OLD" if found < expected else "STORE_TOO_NEW",
        f"cannot use store {name}: its schema has version {found}, expected {expected}",
        hint="run store-upgrade" if found < expected else "a newer cicsc upgraded it; install that one",
    )


def bundle_faults(
    bundles: Iterable[tuple[str, str]], event_types: Callable[[str], Iterable[tuple[str, str]]]
) -> Iterator[str]:
    """Name the bundles that cannot be read, and those whose event types are not those of their reducers.

    `bundles` are digests and texts; `event_types` gives what is kept for a digest: entity types with event types.
    """
    for digest, body in bundles:
        try:
            known = stored_event_types(digest, body)
        except StoreError as error:
            yield error.message
        else:
            if set(event_types(digest)) != known:
                yield f"the event types of bundle {digest} are not those of its reducers"
