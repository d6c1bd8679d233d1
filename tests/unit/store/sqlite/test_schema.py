"""What an intact schema holds is found out once in a process: each tenant waits while its fence is compared."""

from cicsc.store.sqlite.schema import _expected_objects


def test_the_expected_objects_are_made_once() -> None:
    assert _expected_objects()
    assert _expected_objects() is _expected_objects()
