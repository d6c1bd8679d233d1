"""Moving a live event history from one version of an application to the next, with proof.

The library behind the command line: the operations of the runbook (`preflight`, `dry_run`,
`rollback`), the looks at a history and a bundle (`verify_history`, `replay_history`,
`validate_bundle`, `load_bundle`, `read_history`), stores (`open_store`, `initialise_store`,
`create_tenant`, `import_history`, `export_history`, and `StoreSource` as a history), and the errors
they raise. Each operation returns a typed report; a bad history is a report with ok false, never an
exception. `Runtime` carries out commands on a store that `open_store` gives.

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
    from cicsc.operations.dry_run import dry_run
    from cicsc.operations.export_history import export_history
    from cicsc.operations.history import validate_bundle, verify_history
    from cicsc.operations.import_history import import_history
    from cicsc.operations.live.cutovers import cutover_pause_migrate_resume
    from cicsc.operations.live.finalize import finalize
    from cicsc.operations.live.pausing import pause_tenant, resume_tenant
    from cicsc.operations.live.recovery import recover_tenants
    from cicsc.operations.live.rollback import roll_back_live
    from cicsc.operations.live.status import tenant_status
    from cicsc.operations.preflight import preflight
    from cicsc.operations.replay_history import replay_history
    from cicsc.operations.rollback import rollback
    from cicsc.operations.sources import StoreSource
    from cicsc.operations.store_admin import check_store, create_tenant, initialise_store, list_tenants, upgrade_store
    from cicsc.progress import Amount, Progress
    from cicsc.replay.snapshot import Snapshot
    from cicsc.report.live.models import (
        Cutover,
        Cutovers,
        Finalizes,
        PauseReport,
        Recovery,
        StatusReport,
        StoreRollback,
    )
    from cicsc.report.models import Artifact, BundleVerify, DryRun, HistoryVerify, Preflight, Rollback, Verify
    from cicsc.report.store_models import (
        HistoryExport,
        HistoryImport,
        StoreCheckReport,
        StoreReport,
        TenantCreated,
        TenantList,
    )
    from cicsc.runtime import CommandResult, Runtime
    from cicsc.store import open_store
    from cicsc.store.protocol import Store

__version__ = "0.1.0"

_HOMES = {
    "Amount": "cicsc.progress",
    "Artifact": "cicsc.report.models",
    "Bundle": "cicsc.bundle.model",
    "BundleError": "cicsc.errors",
    "BundleVerify": "cicsc.report.models",
    "CicscError": "cicsc.errors",
    "CommandError": "cicsc.errors",
    "CommandInputError": "cicsc.errors",
    "CommandResult": "cicsc.runtime",
    "Cutover": "cicsc.report.live.models",
    "Cutovers": "cicsc.report.live.models",
    "DryRun": "cicsc.report.models",
    "Event": "cicsc.history.model",
    "FenceError": "cicsc.errors",
    "Finalizes": "cicsc.report.live.models",
    "HistoryError": "cicsc.errors",
    "HistoryExport": "cicsc.report.store_models",
    "HistoryImport": "cicsc.report.store_models",
    "HistoryVerify": "cicsc.report.models",
    "InputError": "cicsc.errors",
    "PauseReport": "cicsc.report.live.models",
    "Preflight": "cicsc.report.models",
    "Problem": "cicsc.errors",
    "Progress": "cicsc.progress",
    "Recovery": "cicsc.report.live.models",
    "Rollback": "cicsc.report.models",
    "Runtime": "cicsc.runtime",
    "Snapshot": "cicsc.replay.snapshot",
    "SortedHistory": "cicsc.history.sorted",
    "StatusReport": "cicsc.report.live.models",
    "Store": "cicsc.store.protocol",
    "StoreCheckReport": "cicsc.report.store_models",
    "StoreError": "cicsc.errors",
    "StoreReport": "cicsc.report.store_models",
    "StoreRollback": "cicsc.report.live.models",
    "StoreSource": "cicsc.operations.sources",
    "TenantCreated": "cicsc.report.store_models",
    "TenantList": "cicsc.report.store_models",
    "UsageError": "cicsc.errors",
    "Verify": "cicsc.report.models",
    "WorkError": "cicsc.errors",
    "check_store": "cicsc.operations.store_admin",
    "create_tenant": "cicsc.operations.store_admin",
    "cutover_pause_migrate_resume": "cicsc.operations.live.cutovers",
    "dry_run": "cicsc.operations.dry_run",
    "export_history": "cicsc.operations.export_history",
    "finalize": "cicsc.operations.live.finalize",
    "import_history": "cicsc.operations.import_history",
    "initialise_store": "cicsc.operations.store_admin",
    "list_tenants": "cicsc.operations.store_admin",
    "load_bundle": "cicsc.bundle.load",
    "open_store": "cicsc.store",
    "pause_tenant": "cicsc.operations.live.pausing",
    "preflight": "cicsc.operations.preflight",
    "read_history": "cicsc.history.sorted",
    "recover_tenants": "cicsc.operations.live.recovery",
    "replay_history": "cicsc.operations.replay_history",
    "resume_tenant": "cicsc.operations.live.pausing",
    "roll_back_live": "cicsc.operations.live.rollback",
    "rollback": "cicsc.operations.rollback",
    "tenant_status": "cicsc.operations.live.status",
    "upgrade_store": "cicsc.operations.store_admin",
    "validate_bundle": "cicsc.operations.history",
    "verify_history": "cicsc.operations.history",
}

__all__ = [
    "Amount",
    "Artifact",
    "Bundle",
    "BundleError",
    "BundleVerify",
    "CicscError",
    "CommandError",
    "CommandInputError",
    "CommandResult",
    "Cutover",
    "Cutovers",
    "DryRun",
    "Event",
    "FenceError",
    "Finalizes",
    "HistoryError",
    "HistoryExport",
    "HistoryImport",
    "HistoryVerify",
    "InputError",
    "PauseReport",
    "Preflight",
    "Problem",
    "Progress",
    "Recovery",
    "Rollback",
    "Runtime",
    "Snapshot",
    "SortedHistory",
    "StatusReport",
    "Store",
    "StoreCheckReport",
    "StoreError",
    "StoreReport",
    "StoreRollback",
    "StoreSource",
    "TenantCreated",
    "TenantList",
    "UsageError",
    "Verify",
    "WorkError",
    "check_store",
    "create_tenant",
    "cutover_pause_migrate_resume",
    "dry_run",
    "export_history",
    "finalize",
    "import_history",
    "initialise_store",
    "list_tenants",
    "load_bundle",
    "open_store",
    "pause_tenant",
    "preflight",
    "read_history",
    "recover_tenants",
    "replay_history",
    "resume_tenant",
    "roll_back_live",
    "rollback",
    "tenant_status",
    "upgrade_store",
    "validate_bundle",
    "verify_history",
]


if not TYPE_CHECKING:  # a type checker would take any name for one of the module

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), "open_history" if name == "read_history" else name)
        globals()[name] = value
        return value
