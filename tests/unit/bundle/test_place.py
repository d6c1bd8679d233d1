"""Reading place by place: the bounds on what is listed, shown and suggested."""

from __future__ import annotations

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.place import PROBLEMS_MAX, SUGGESTION_NAMES_MAX, Place, Problems
from unit.bundle.documents import changed, problems


def reported(value: object, names: frozenset[str]) -> str:
    found = Problems()
    Place(value, "$", found).known(names, "no {} here")
    return found.summary()[0].message


def test_summary_lists_problems_up_to_the_cap() -> None:
    assert len(problems(changed(("core_ir", "types"), dict.fromkeys(map(str, range(PROBLEMS_MAX)))))) >= PROBLEMS_MAX


def test_summary_lists_exactly_the_cap() -> None:
    found = Problems()
    for index in range(PROBLEMS_MAX):
        Place(None, f"$[{index}]", found).report("wrong")
    assert len(found.summary()) == PROBLEMS_MAX
    assert found.summary()[-1].path == f"$[{PROBLEMS_MAX - 1}]"


def test_summary_counts_problems_beyond_the_cap() -> None:
    found = Problems()
    for _ in range(PROBLEMS_MAX + 7):
        Place(None, "$.a", found).report("wrong")
    assert found.total == PROBLEMS_MAX + 7
    assert len(found.summary()) == PROBLEMS_MAX
    assert found.summary().total == PROBLEMS_MAX + 7


def test_problems_of_expressions_count_as_well() -> None:
    expr = {"and": [None] * (PROBLEMS_MAX + 5)}
    document = changed(("core_ir", "constraints", "paid_has_amount", "expr"), expr)
    assert len(problems(document)) == PROBLEMS_MAX
    assert parse_bundle(document)[1].total == PROBLEMS_MAX + 5


def test_long_names_are_shortened() -> None:
    assert reported("x" * 121, frozenset()) == f"no '{'x' * 120}...' here"
    assert reported("x" * 120, frozenset()) == f"no '{'x' * 120}' here"


def test_long_names_are_shortened_in_paths() -> None:
    steps = ("core_ir", "types", "Order", "attrs", "x" * 10_000)
    assert [path for path, _ in problems(changed(steps, None))] == [f'$.core_ir.types.Order.attrs["{"x" * 120}..."]']


def test_control_characters_in_names_are_escaped() -> None:
    assert reported("a\0\n'", frozenset()) == 'no "a\\x00\\n\'" here'


def test_close_names_are_suggested_among_few() -> None:
    names = frozenset(f"name {index}" for index in range(SUGGESTION_NAMES_MAX - 1)) | {"amount"}
    assert reported("amuont", names) == "no 'amuont' here, did you mean 'amount'?"
    assert reported("amuont", names | {"one more"}) == "no 'amuont' here"


def test_long_names_are_not_compared() -> None:
    assert reported("x" * 121, frozenset({"x" * 120})).endswith(" here")


def test_unlisted_problems_are_not_compared() -> None:
    found = Problems()
    for _ in range(PROBLEMS_MAX - 1):
        Place(None, "$", found).report("wrong")
    Place("amuont", "$", found).known(frozenset({"amount"}), "no {} here")
    assert found.summary()[-1].message == "no 'amuont' here, did you mean 'amount'?"
    assert found.full
