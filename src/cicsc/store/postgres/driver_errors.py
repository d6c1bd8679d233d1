"""What psycopg reports, as errors of ours: the one table from SQLSTATE to code.

The message of a server is quoted, its first line only; a password is never part of it.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

import psycopg

from cicsc.errors import CicscError, InputError, StoreError, UsageError
from cicsc.store.refusals import refusal

FENCE_CODES: Final = MappingProxyType(
    {
        "CI001": "TENANT_PAUSED",
        "CI002": "STALE_GENERATION",
        "CI003": "UNKNOWN_EVENT_TYPE",
        "CI004": "WRONG_SEQ",
        "CI005": "UNKNOWN_TENANT",
        "CI006": "HISTORY_IMMUTABLE",
        "CI007": "LONE_SURROGATE",
    }
)
"""The SQLSTATEs of fence.sql."""

EVENT_KEY: Final = "event_key"
"""The constraint that two writers of one seq meet at."""

_LOST: Final = "see that the server runs and can be reached, then try again; nothing is half done"
_NOT_LET_IN: Final = (
    "see that the server runs, that the database and the user are there, that the password is right (CICSC_STORE, "
    "PGPASSWORD or ~/.pgpass), and that connections are left (--workers 1 takes the fewest); then try again"
)
_AGAIN: Final = "nothing was changed; it is safe to try again"
_CHANGED: Final = (
    "something changed what store-init made; restore the whole schema from a backup, or name another database"
)
_LOG: Final = "the log of the server tells more; nothing was changed by this step"
_RIGHTS: Final = "nothing was changed; use a role with the rights, and a server that takes writes"
_FULL: Final = "nothing was changed; make room on the server and try again"

_STORE_CODES: Final = MappingProxyType(
    {
        "40001": ("STORE_CONFLICT", _AGAIN),  # serialization failure
        "40P01": ("STORE_CONFLICT", _AGAIN),  # deadlock
        "55P03": ("STORE_LOCKED", _AGAIN),  # lock_timeout
        "57014": ("STORE_LOCKED", _AGAIN),  # statement_timeout, or cancelled by an operator
        "25006": ("STORE_FORBIDDEN", _RIGHTS),  # a read-only server
        "25P03": ("STORE_UNREACHABLE", _LOST),  # ended, since it idled in a transaction
        "25P04": ("STORE_UNREACHABLE", _LOST),  # ended, since its transaction took too long
        "42501": ("STORE_FORBIDDEN", _RIGHTS),
        "53100": ("STORE_FULL", _FULL),
        "42P01": ("STORE_DAMAGED", _CHANGED),  # a table, column, function or schema is missing
        "42703": ("STORE_DAMAGED", _CHANGED),
        "42883": ("STORE_DAMAGED", _CHANGED),
        "3F000": ("STORE_DAMAGED", _CHANGED),
        "58030": ("STORE_DAMAGED", "look into the log of the server"),  # read or write error
        "XX001": ("STORE_DAMAGED", "look into the log of the server"),
        "XX002": ("STORE_DAMAGED", "look into the log of the server"),
    }
)
_LOST_CLASSES: Final = frozenset({"08", "28", "3D", "53", "57"})
"""Classes of SQLSTATE that mean that there is no connection to be had, or not now."""

_TOO_LARGE: Final = frozenset({"22003", "54000"})
"""A number beyond 64 bits; a key longer than an index takes."""


_NO_SNAPSHOT: Final = frozenset({"22023", "42704", "55000", "0A000"})
"""There is no such snapshot (before 17, and since), its transaction has ended, it is of another database."""


_ATTEMPT: Final = re.compile(r"^- host: .*?: (connection .*)$", re.MULTILINE)
"""How the driver lists what became of each address of a URL with several, or of a name with several."""


def our_error(name: str, error: psycopg.Error) -> CicscError:
    """Return the error of ours for what the driver reported about the database `name`."""
    state, text = error.sqlstate or "", _text(error)
    if state in FENCE_CODES:
        return refusal(FENCE_CODES[state], error.diag.message_primary or text)
    if state == "23505" and error.diag.constraint_name == EVENT_KEY:
        return refusal("WRONG_SEQ", f"a seq is taken: {(error.diag.message_detail or text).rstrip('.')}")
    if state in _TOO_LARGE:
        return InputError("VALUE_NOT_STORABLE", f"PostgreSQL cannot store a value: {text}")
    if not state and isinstance(error, psycopg.DataError):
        return unstorable_text("a text", "NUL")
    if state in _STORE_CODES:
        code, hint = _STORE_CODES[state]
        return StoreError(code, f"cannot use store {name}: {text}", hint=hint)
    if not state and isinstance(error, psycopg.InternalError):
        # The driver has counted the answers to a statement; a session that is ended meanwhile gives another number.
        return StoreError("STORE_UNREACHABLE", f"cannot reach store {name}: an answer was cut off", hint=_LOST)
    if isinstance(error, psycopg.OperationalError) or state[:2] in _LOST_CLASSES:
        return StoreError("STORE_UNREACHABLE", f"cannot reach store {name}: {text}", hint=_LOST)
    number = f" (SQLSTATE {state})" if state else ""
    return StoreError("STORE_FAILED", f"cannot use store {name}: {text}{number}", hint=_LOG)


def connect_error(name: str, error: psycopg.Error) -> CicscError:
    """Return the error of ours for a connection that could not be made, with what each server said that was tried."""
    if isinstance(error, psycopg.ProgrammingError):
        return UsageError(
            "STORE_URL_INVALID",
            f"cannot connect to store {name}: {_text(error)}",
            hint="correct the URL, or the variable that libpq reads in its place",
        )
    tried = list(dict.fromkeys(_ATTEMPT.findall(str(error)))) or [_text(error)]
    return StoreError("STORE_UNREACHABLE", f"cannot reach store {name}: {'; '.join(tried)}", hint=_NOT_LET_IN)


def import_error(name: str, error: psycopg.Error) -> CicscError:
    """Return the error of ours for a snapshot of another transaction that could not be imported."""
    if error.sqlstate not in _NO_SNAPSHOT:
        return our_error(name, error)
    return StoreError(
        "STORE_MOMENT_LOST",
        f"cannot read from {name} what the other processes of the command read: {_text(error)}",
        hint="the session that holds it for all was ended, or the URL leads to several servers; "
        "nothing was changed, so try again, with --workers 1 if that does not help",
    )


def standby_error(name: str, error: psycopg.Error) -> StoreError:
    """Return the error of ours for a transaction that may write, on a server that follows another."""
    return StoreError("STORE_FORBIDDEN", f"cannot use store {name}: {_text(error)}", hint=_RIGHTS)


def read_only_error(name: str) -> StoreError:
    """Make the error for a database that whoever runs it wants nobody to write to."""
    return StoreError(
        "STORE_FORBIDDEN",
        f"cannot write to store {name}: default_transaction_read_only is on for the server, the database or the role",
        hint="nothing was changed; ask who set it, a disk may be nearly full; it can be read meanwhile",
    )


def unstorable_text(what: str, holds: str) -> InputError:
    """Make the error for a text that PostgreSQL cannot hold."""
    return InputError(
        "TEXT_NOT_STORABLE",
        f"PostgreSQL cannot store {what}: it holds {holds}",
        hint="a store on SQLite takes any text",
    )


def _text(error: psycopg.Error) -> str:
    lines = (error.diag.message_primary or str(error)).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
