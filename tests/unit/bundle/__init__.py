"""Tests of cicsc.bundle: documents.py holds the valid example that most of them change in one place."""
