"""Drivers of the stream functions: they decide where streams run, never what is true of them."""
