"""Reports: their records, and how they read in a terminal."""
