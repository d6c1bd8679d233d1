"""The runbook: one module for each of its chapters, and what it needs: looks at histories and bundles, and stores.

Nothing is imported here, so that a command loads the module of its operation and what that needs, and no more.
"""
