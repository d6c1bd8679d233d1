"""Replay: what a history means under one bundle, entity by entity, and which constraints hold."""
