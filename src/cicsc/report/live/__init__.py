"""Reports on live tenants: their records, and how they read in a terminal and as metrics."""
