"""Findings are counted in full, listed smallest first, and merge in any order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicsc.history.integrity import (
    FINDINGS_MAX,
    Code,
    Finding,
    FindingsTally,
    checked_sequence,
    hash_mismatch,
    malformed_event,
)
from cicsc.history.model import Event

KEY = ("t", "Order", "1")
CODES: list[Code] = ["SEQ_GAP", "SEQ_REGRESSION", "MALFORMED_EVENT", "HASH_MISMATCH"]
names = st.none() | st.sampled_from(["", "a", "b"])
findings = st.builds(
    Finding,
    st.sampled_from(CODES),
    st.sampled_from(["x", "y"]),
    names,
    names,
    names,
    st.none() | st.integers(-2, 2),
    st.sampled_from(["line 1", "line 2"]),
)


def stream(*seqs: int) -> list[Event]:
    return [Event(*KEY, seq, "paid", {}, 0, "me") for seq in seqs]


def found_in(*seqs: int) -> list[tuple[str, int | None, str]]:
    tally = FindingsTally()
    events = stream(*seqs)
    assert list(checked_sequence(KEY, events, tally)) == events
    return [(found.code, found.seq, found.message.partition(": ")[2]) for found in tally.findings]


@pytest.mark.parametrize(
    ("seqs", "expected"),
    [
        ((), []),
        ((1, 2, 3), []),
        ((2, 3), [("SEQ_GAP", 2, "expected seq 1, found 2: 1 event is missing")]),
        ((1, 5, 6), [("SEQ_GAP", 5, "expected seq 2, found 5: 3 events are missing")]),
        ((1, 1, 2), [("SEQ_REGRESSION", 1, "expected seq 2, found 1, which is there already")]),
        ((0, 1), [("SEQ_REGRESSION", 0, "expected seq 1, found 0, which is below 1")]),
        ((1, 3, 2), [("SEQ_REGRESSION", 2, "expected seq 4, found 2, which is there already"),
                     ("SEQ_GAP", 3, "expected seq 2, found 3: 1 event is missing")]),
    ],
)  # fmt: skip
def test_sequence_is_checked(seqs: tuple[int, ...], expected: list[tuple[str, int, str]]) -> None:
    assert found_in(*seqs) == expected


def test_finding_names_its_stream() -> None:
    tally = FindingsTally()
    list(checked_sequence(("t", "a::b", "\n"), stream(2), tally))
    (finding,) = tally.findings
    assert (finding.tenant_id, finding.entity_type, finding.entity_id) == ("t", "a::b", "\n")
    assert finding.message.startswith(r"stream ('t', 'a::b', '\n'): expected seq 1")


def test_sequence_is_checked_as_events_pass() -> None:
    tally = FindingsTally()
    passing = checked_sequence(KEY, iter(stream(2, 3)), tally)
    next(passing)
    assert tally.counts == {"SEQ_GAP": 1}


@given(st.lists(findings, max_size=40), st.lists(findings, max_size=40), st.randoms(use_true_random=False))
def test_merging_is_like_counting_in_any_order(
    first: list[Finding], second: list[Finding], draw: random.Random
) -> None:
    together, left, right = FindingsTally(), FindingsTally(), FindingsTally()
    for finding in draw.sample(first + second, len(first + second)):
        together.include(finding)
    for tally, some in ((left, first), (right, second)):
        for finding in some:
            tally.include(finding)
    left.merge(right)
    assert left == together
    assert left.total == len(first) + len(second)
    per_code = [sorted(f.sort_key() for f in first + second if f.code == code)[:FINDINGS_MAX] for code in CODES]
    assert [f.sort_key() for f in left.findings] == sorted(key for keys in per_code for key in keys)


def test_counts_go_on_beyond_the_cap() -> None:
    tally = FindingsTally()
    for seq in range(130_000, 0, -1):
        tally.include(Finding("SEQ_GAP", "gap", *KEY, seq))
    assert (tally.total, tally.counts) == (130_000, {"SEQ_GAP": 130_000})
    assert [found.seq for found in tally.findings] == list(range(1, FINDINGS_MAX + 1))


def test_place_takes_no_part_in_equality() -> None:
    here, there = Finding("SEQ_GAP", "x", place="line 1"), Finding("SEQ_GAP", "x", place="line 2")

    assert here == there
    assert hash(here) == hash(there)
    assert here != Finding("SEQ_GAP", "y", place="line 1")
    assert here != "x"


def test_malformed_event_keeps_what_identity_it_has() -> None:
    value = {"tenant_id": "t", "entity_type": 5, "entity_id": "1", "seq": 3.0}
    finding = malformed_event(value, ("a: wrong", "b: wrong"), "line 7")
    assert finding == Finding("MALFORMED_EVENT", "malformed event: a: wrong; b: wrong", "t", None, "1", 3)
    assert finding.place == "line 7"
    assert finding.located == "line 7 (tenant 't', id '1', seq 3): malformed event: a: wrong; b: wrong"


def test_malformed_event_that_is_no_object_has_no_identity() -> None:
    finding = malformed_event(3, ("wrong",), "line 1")
    assert finding == Finding("MALFORMED_EVENT", "malformed event: wrong")
    assert finding.located == "line 1: malformed event: wrong"


def test_a_finding_about_a_stream_is_located_by_its_message() -> None:
    finding = Finding("SEQ_GAP", "stream ('a', 'b', 'c'): gap", *KEY, 3)
    assert (finding.where, finding.located) == (None, finding.message)


def test_hash_mismatch_names_both() -> None:
    assert hash_mismatch("aa", "bb").message == "the history's digest differs: expected aa, found bb"
