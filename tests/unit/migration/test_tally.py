"""Tallies and verdicts: complete counts, few examples, merging in any order."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from cicsc.history.integrity import Finding
from cicsc.migration.tally import EXAMPLES_MAX, Tally
from cicsc.migration.verdict import Divergence, Verdict, Violation


def tally(numbers):
    made = Tally()
    for number in numbers:
        made.include((number,), f"n{number}")
    return made


def test_counts_are_complete_and_examples_the_smallest():
    made = tally([*range(100, 0, -1)])
    assert made.count == 100
    assert made.examples == [((number,), f"n{number}") for number in range(1, EXAMPLES_MAX + 1)]


def test_fewer_than_the_cap_are_all_listed():
    assert tally([2, 1]).examples == [((1,), "n1"), ((2,), "n2")]


@given(st.lists(st.lists(st.integers(), max_size=30), min_size=3, max_size=3))
def test_tallies_merge_in_any_order(parts):
    left, right = tally([]), tally([])
    for part in parts:
        left.merge(tally(part))
    for part in reversed(parts):
        right.merge(tally(part))
    assert left == right == tally([number for part in parts for number in part])


def violation(number):
    return Violation("c", "snapshot", "T", f"m{number}", {"tenant_id": "t"})


@st.composite
def verdicts(draw):
    """A verdict on streams that no other verdict has seen, as `number` tells them apart."""
    made = Verdict()
    for number in draw(st.lists(st.integers(0, 10**6), max_size=5)):
        made.source_events += number
        made.compared_streams += 1
        made.broken_streams += number % 2
        made.integrity.include(Finding("SEQ_GAP", f"m{number}", seq=number))
        for side in (made.source, made.target):
            side.events += number
            side.entities += 1
            side.violated("snapshot", f"c{number % 3}", "T").include((number,), violation(number))
        made.divergence.streams += 1
        made.divergence.by_field[f"T.{number % 2}"] = made.divergence.by_field.get(f"T.{number % 2}", 0) + 1
        size = (number % 4, ("t", "T", str(number)))
        if made.divergence.is_smaller(size):
            made.divergence.size = size
            made.divergence.example = Divergence("t", "T", str(number), 1, "e", "state", 1, 2, {}, {})
        made.unmatched["T", f"e{number % 2}"] = made.unmatched.get(("T", f"e{number % 2}"), 0) + 1
    return made


def merged(*parts):
    result = Verdict()
    for part in parts:
        result.merge(copy.deepcopy(part))
    return result


@given(verdicts(), verdicts(), verdicts())
def test_verdicts_merge_associatively_and_commutatively(a, b, c):
    assert merged(a, b, c) == merged(c, a, b) == merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a).source_events == a.source_events
    assert merged(a, b).divergence.streams == a.divergence.streams + b.divergence.streams
    assert merged(a, b).unmatched.keys() == a.unmatched.keys() | b.unmatched.keys()


def test_an_example_of_the_same_size_does_not_replace():
    made = Verdict().divergence
    assert made.is_smaller((2, ("t", "T", "1")))
    made.size = (2, ("t", "T", "1"))
    assert not made.is_smaller((2, ("t", "T", "1")))
    assert made.is_smaller((2, ("t", "T", "0")))
    assert made.is_smaller((1, ("z", "Z", "9")))


def test_equal_keys_are_kept_without_comparing_items():
    made = Tally()
    for number in range(3):
        made.include((1,), {"number": number})
    assert [item["number"] for _, item in made.examples] == [0, 1, 2]
    full = tally([1] * EXAMPLES_MAX)
    full.include((1,), "later")
    assert "later" not in [item for _, item in full.examples]
    assert full.count == EXAMPLES_MAX + 1


def test_merging_divergences_adds_fields_and_keeps_the_smaller_example():
    left, right = Verdict().divergence, Verdict().divergence
    left.streams, left.by_field, left.size = 2, {"T.a": 2}, (5, ("t", "T", "1"))
    right.streams, right.by_field, right.size = 3, {"T.a": 1, "T.b": 3}, (4, ("t", "T", "2"))
    right.example = Divergence("t", "T", "2", 4, "e", "a", 1, 2, {}, {})
    left.merge(right)
    assert (left.streams, left.by_field, left.size) == (5, {"T.a": 3, "T.b": 3}, (4, ("t", "T", "2")))
    assert left.example is right.example
    left.merge(Verdict().divergence)
    assert left.size == (4, ("t", "T", "2"))
