"""Who is at work, for the audit of a store, where a call does not say."""

from __future__ import annotations

import getpass

UNKNOWN = "unknown"


def operator_name(given: str | None) -> str:
    """Return the name that was given, else that of the user of the system."""
    if given is not None:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user without a name, as containers have them
        return UNKNOWN
