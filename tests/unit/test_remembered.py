"""What was made last is found again by the very objects that it was made of, and by no others."""

import pytest

from cicsc.remembered import KEPT_MAX, remembering


def counting():
    calls = []

    @remembering
    def make(*given):
        calls.append(given)
        return len(calls)

    return make, calls


def test_the_same_objects_give_the_same_result():
    make, calls = counting()
    one, other = {}, {}
    assert [make(one, other), make(one, other)] == [1, 1]
    assert len(calls) == 1


def test_equal_objects_are_others():
    make, _ = counting()
    one = {}
    assert [make(one), make({}), make(one, one)] == [1, 2, 3]


def test_two_may_take_turns_and_an_older_one_is_made_again():
    make, calls = counting()
    objects = [{"number": number} for number in range(KEPT_MAX + 1)]
    for _ in range(3):
        for one in objects[:KEPT_MAX]:
            make(one)
    assert len(calls) == KEPT_MAX
    make(objects[-1])
    make(objects[0])
    assert len(calls) == KEPT_MAX + 2


def test_what_raises_is_tried_again():
    tries = []

    @remembering
    def make(one):
        tries.append(one)
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            make("one")
    assert len(tries) == 2
