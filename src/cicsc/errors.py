"""Every error this product raises, and the description of a defect inside a document.

    CicscError            code, message, hint, exit code
    ├── UsageError        the call is wrong                                   (exit 2)
    ├── InputError        an input cannot be opened or decoded                (exit 2)
    │   └── CommandInputError   not what its command declares; lists every problem
    ├── BundleError       a decoded bundle has defects; lists every one       (exit 1)
    ├── HistoryError      a decoded history cannot be replayed                (exit 1)
    ├── CommandError      the application refuses a command                   (exit 1)
    ├── FenceError        a store refuses a write or a change of hands        (exit 1)
    │   └── UnknownTenantError  the store has no such tenant; the call is wrong  (exit 2)
    ├── RefusedError      a change of a live tenant must not go ahead         (exit 1)
    └── WorkError         the work could not be done: disk full, unwritable   (exit 3)
        └── StoreError    a store cannot be reached, read or written

A bad history is a finding and is returned; an error means that the work could not be done. This
module imports nothing of the package, so every layer may raise from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One defect inside a decoded document: where it is (a JSON path such as ``$.core_ir``) and what it is."""

    path: str
    message: str


class CicscError(Exception):
    """The base of every error; `code` is stable, `message` is for people, `hint` says what to do next."""

    exit_code: ClassVar[int] = 3

    def __init__(self, code: str, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by fields, so that an error crosses a process boundary whole."""
        return (_rebuild, (type(self), self.__dict__.copy()))


class UsageError(CicscError):
    """The call itself is wrong: a flag is missing, unknown or contradicts another."""

    exit_code = 2


class InputError(CicscError):
    """An input cannot be opened or is not what its format says."""

    exit_code = 2


class CommandInputError(InputError):
    """The input of a command is not what the command declares; `problems` lists what is wrong, code INPUT_INVALID."""

    def __init__(self, message: str, problems: tuple[Problem, ...], *, hint: str | None = None) -> None:
        super().__init__("INPUT_INVALID", message, hint=hint)
        self.problems = problems


class BundleError(CicscError):
    """A bundle was decoded but is not valid; `problems` lists its defects up to a cap, `total` counts them all."""

    exit_code = 1

    def __init__(
        self, message: str, problems: tuple[Problem, ...], *, total: int | None = None, hint: str | None = None
    ) -> None:
        super().__init__("BUNDLE_INVALID", message, hint=hint)
        self.problems = problems
        self.total = len(problems) if total is None else total


class HistoryError(CicscError):
    """A history was decoded, but what was asked of it cannot be had from it."""

    exit_code = 1


class CommandError(CicscError):
    """The application refuses a command, and nothing has changed.

    The state or the input is not the right one: GUARD_REFUSED, CONSTRAINT_VIOLATED. The active version
    does not have it: UNKNOWN_ENTITY_TYPE, UNKNOWN_COMMAND_OF_TYPE. COMMAND_ID_REUSED: the id has the
    receipt of another request.
    """

    exit_code = 1


class WorkError(CicscError):
    """The work could not be done although the call and its inputs are right."""

    exit_code = 3


class StoreError(WorkError):
    """A store cannot be used as it is.

    Codes: STORE_UNREACHABLE, STORE_LOCKED (others write; try again), STORE_CONFLICT (the transaction
    lost against another; try again), STORE_NOT_INITIALISED, STORE_TOO_OLD, STORE_TOO_NEW,
    STORE_FOREIGN (it holds something else), STORE_FULL, STORE_DAMAGED, STORE_UNSAFE (its software has
    a known fault that loses data), STORE_UNSUPPORTED (its software is too old, or set up in another
    way than is needed), STORE_FORBIDDEN (the role lacks rights, or the server takes no writes),
    STORE_OUTCOME_UNKNOWN (the connection was lost during a commit: look before trying again),
    STORE_MOMENT_LOST (a process could not read what the others read; try again),
    STORE_FAILED (anything else).
    """


class FenceError(CicscError):
    """A store refuses what was asked of it, and nothing has changed.

    Try again later: TENANT_PAUSED. Look at the tenant again, then try again: STALE_GENERATION,
    WRONG_SEQ, COMMAND_REPEATED. The gate is another's: GATE_HELD, GATE_LOST. The tenant is taken by a
    run: RUN_HELD (it lives), RUN_ABANDONED (it died), RUN_LOST (it is not yours any more), LEASE_OVER
    (it was too slow, and nobody has taken it over). A switch would not be what was verified:
    HEAD_MOVED, STAGING_DIFFERS, FENCE_CHANGED. Never try again: UNKNOWN_EVENT_TYPE, UNKNOWN_TENANT,
    UNKNOWN_BUNDLE, UNKNOWN_RUN, TENANT_EXISTS, HISTORY_IMMUTABLE, LONE_SURROGATE.
    """

    exit_code = 1


class UnknownTenantError(FenceError):
    """A store was asked about a tenant that it does not have, code UNKNOWN_TENANT: who asked has the name wrong."""

    exit_code = 2

    def __init__(self, tenant_id: str) -> None:
        super().__init__(
            "UNKNOWN_TENANT",
            f"there is no tenant {tenant_id!r} in the store",
            hint="tenant-list shows every tenant; tenant-create makes one",
        )


class RefusedError(CicscError):
    """A change of a live tenant must not go ahead, and nothing was changed.

    Codes: PREFLIGHT_FAILED, VERIFICATION_FAILED (the same checks, under the fence), VERSION_DIFFERS,
    TENANT_MOVED (another run switched it while this one began), PAUSE_TOO_LONG, ARTIFACT_DIFFERS (it
    approves something else), ARTIFACT_STALE (the tenant is not where it was, nor further on the same
    way), ROLLBACK_UNSAFE, NOT_VERIFIED.
    """

    exit_code = 1


def _rebuild(kind: type[CicscError], fields: dict[str, object]) -> CicscError:
    error = kind.__new__(kind)
    Exception.__init__(error, fields["message"])
    error.__dict__.update(fields)
    return error


def system_reason(error: OSError | ValueError) -> str:
    """Say for a message why a path cannot be used: the system's words, without the number and the path."""
    told = error.strerror if isinstance(error, OSError) else None  # a path that holds NUL is a ValueError
    return (told or str(error)).lower()


def and_more(count: int) -> str:
    """Say in a message that names one of so many how many there are beside it; nothing where there is none."""
    return f" (and {count - 1} more)" if count > 1 else ""
