"""Stores of live histories, behind one protocol; the drivers are imported when a store is opened."""
