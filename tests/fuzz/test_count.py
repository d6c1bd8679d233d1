"""The full run tries a hundred thousand inputs in all, most of them events."""

from __future__ import annotations

from fuzz import test_bundle_parser, test_event_parser, test_expressions


def test_a_hundred_thousand_inputs() -> None:
    events = test_event_parser.LINES + test_event_parser.ARRAYS
    bundles = test_bundle_parser.TEXTS + test_bundle_parser.DOCUMENTS
    expressions = test_expressions.EXPRESSIONS + test_expressions.ANY_VALUES

    assert events >= 40_000
    assert events + bundles + expressions >= 100_000
