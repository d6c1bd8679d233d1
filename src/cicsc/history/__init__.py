"""Histories: events, their files in and out, their order and their integrity."""
