"""A plan crosses to another process as what it was compiled from."""

import pickle

import pytest
from msgspec.structs import replace

from cicsc.engine.inprocess import migrate_history
from cicsc.history.sorted import open_history
from cicsc.migration.plan import NOTHING, compile_judgement, compile_plan
from unit.migration.documents import HISTORY, bundles


@pytest.mark.parametrize("kind", ["migration", "judgement", "nothing"])
def test_a_plan_that_was_pickled_does_the_same(kind):
    source, target, migration = bundles()
    plan = {
        "migration": compile_plan(source, target, migration, now=7, actor="me"),
        "judgement": compile_judgement(source, now=7, actor="me"),
        "nothing": NOTHING,
    }[kind]
    plan = replace(plan, digests=True, every_event=True)
    again = pickle.loads(pickle.dumps(plan))
    asked = ("now", "actor", "migrates", "every_event", "digests", "migrated", "positions", "snapshots")
    assert [getattr(again, name) for name in asked] == [getattr(plan, name) for name in asked]
    with open_history(HISTORY) as history:
        assert migrate_history(again, history) == migrate_history(plan, history)
