"""The digest of a history from the leaves of its streams, for tests that have them in any order."""

from __future__ import annotations

from collections.abc import Iterable

from cicsc.canonical import RootHasher


def history_root(leaves: Iterable[tuple[tuple[str, str, str], int, str]]) -> str:
    """The root over key, number of events and leaf of each stream."""
    root = RootHasher()
    for key, count, leaf in sorted(leaves):
        root.update(key, count, leaf)
    return root.hexdigest()
