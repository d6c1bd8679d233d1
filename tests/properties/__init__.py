"""Properties: the product against the oracle, and against itself, on generated documents and histories."""
