"""Moving a live event history from one version of an application to the next, with proof.

The library behind the command line: the operations of the runbook (`preflight`, `dry_run`,
`rollback`), the looks at a history and a bundle (`verify_history`, `replay_history`,
`validate_bundle`, `load_bundle`, `read_history`), and the errors they raise. Each operation returns
a typed report; a bad history is a report with ok false, never an exception. `Runtime` carries out
commands on a store that `open_store` gives.

Names are imported when they are first used, so that the command line starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cicsc.bundle.load import load_bundle
    from cicsc.bundle.model import Bundle
    from cicsc.errors import (
        BundleError,
        CicscError,
        CommandError,
        CommandInputError,
        FenceError,
        HistoryError,
        InputError,
        Problem,
        StoreError,
        UsageError,
        WorkError,
    )
    from cicsc.history.model import Event
    from cicsc.history.sorted import SortedHistory
    from cicsc.history.sorted import open_history as read_history
    from cicsc.operations import dry_run, preflight, replay_history, rollback, validate_bundle, verify_history
    from cicsc.replay.snapshot import Snapshot
    from cicsc.report.models import Artifact, BundleVerify, DryRun, HistoryVerify, Preflight, Rollback, Verify
    from cicsc.runtime import CommandResult, Runtime
    from cicsc.store import open_store

__version__ = "0.1.0"

_HOMES = {
    "Artifact": "cicsc.report.models",
    "Bundle": "cicsc.bundle.model",
    "BundleError": "cicsc.errors",
    "BundleVerify": "cicsc.report.models",
    "CicscError": "cicsc.errors",
    "CommandError": "cicsc.errors",
    "CommandInputError": "cicsc.errors",
    "CommandResult": "cicsc.runtime",
    "DryRun": "cicsc.report.models",
    "Event": "cicsc.history.model",
    "FenceError": "cicsc.errors",
    "HistoryError": "cicsc.errors",
    "HistoryVerify": "cicsc.report.models",
    "InputError": "cicsc.errors",
    "Preflight": "cicsc.report.models",
    "Problem": "cicsc.errors",
    "Rollback": "cicsc.report.models",
    "Runtime": "cicsc.runtime",
    "Snapshot": "cicsc.replay.snapshot",
    "SortedHistory": "cicsc.history.sorted",
    "StoreError": "cicsc.errors",
    "UsageError": "cicsc.errors",
    "Verify": "cicsc.report.models",
    "WorkError": "cicsc.errors",
    "dry_run": "cicsc.operations",
    "load_bundle": "cicsc.bundle.load",
    "open_store": "cicsc.store",
    "preflight": "cicsc.operations",
    "read_history": "cicsc.history.sorted",
    "replay_history": "cicsc.operations",
    "rollback": "cicsc.operations",
    "validate_bundle": "cicsc.operations",
    "verify_history": "cicsc.operations",
}

__all__ = [
    "Artifact",
    "Bundle",
    "BundleError",
    "BundleVerify",
    "CicscError",
    "CommandError",
    "CommandInputError",
    "CommandResult",
    "DryRun",
    "Event",
    "FenceError",
    "HistoryError",
    "HistoryVerify",
    "InputError",
    "Preflight",
    "Problem",
    "Rollback",
    "Runtime",
    "Snapshot",
    "SortedHistory",
    "StoreError",
    "UsageError",
    "Verify",
    "WorkError",
    "dry_run",
    "load_bundle",
    "open_store",
    "preflight",
    "read_history",
    "replay_history",
    "rollback",
    "validate_bundle",
    "verify_history",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), "open_history" if name == "read_history" else name)
    globals()[name] = value
    return value
