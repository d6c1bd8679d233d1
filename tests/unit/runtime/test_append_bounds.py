"""How many events one `append` takes."""

import pytest

from cicsc.errors import UsageError
from cicsc.runtime.runtime import _bounded


def test_ten_thousand_events_are_taken_and_not_one_more():
    assert sum(1 for _ in _bounded([None] * 10_000)) == 10_000
    with pytest.raises(UsageError) as caught:
        list(_bounded([None] * 10_001))
    assert caught.value.code == "TOO_MANY_EVENTS"
