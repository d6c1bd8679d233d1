"""The runbook: one module for each of its chapters, and what it needs: looks at histories and bundles, and stores."""

from cicsc.operations.dry_run import dry_run
from cicsc.operations.export_history import export_history
from cicsc.operations.history import replay_history, validate_bundle, verify_history
from cicsc.operations.import_history import import_history
from cicsc.operations.preflight import preflight
from cicsc.operations.rollback import rollback
from cicsc.operations.sources import StoreSource
from cicsc.operations.store_admin import check_store, create_tenant, initialise_store, list_tenants, upgrade_store

__all__ = [
    "StoreSource",
    "check_store",
    "create_tenant",
    "dry_run",
    "export_history",
    "import_history",
    "initialise_store",
    "list_tenants",
    "preflight",
    "replay_history",
    "rollback",
    "upgrade_store",
    "validate_bundle",
    "verify_history",
]
