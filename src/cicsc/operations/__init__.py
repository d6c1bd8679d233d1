"""The runbook: one module for each of its chapters, and the looks at a history and a bundle that it needs."""

from cicsc.operations.dry_run import dry_run
from cicsc.operations.history import replay_history, validate_bundle, verify_history
from cicsc.operations.preflight import preflight
from cicsc.operations.rollback import rollback

__all__ = ["dry_run", "preflight", "replay_history", "rollback", "validate_bundle", "verify_history"]
