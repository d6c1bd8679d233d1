"""Live tenants: cutover, rollback, recovery, finalizing and pausing, each a change under the protocol of runs."""
