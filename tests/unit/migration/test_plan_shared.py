"""Plans that are asked for one after the other share what was compiled, and nothing of what a run is asked for."""

from cicsc.migration.plan import compile_judgement, compile_plan
from unit.migration.documents import bundles


def test_a_migration_is_compiled_once_for_tenants_who_ask_in_turn():
    documents = bundles()
    first, second = compile_plan(*documents, now=7, actor="me"), compile_plan(*documents, now=8)
    assert first.types is second.types
    assert [(plan.now, plan.actor) for plan in (first, second)] == [(7, "me"), (8, None)]


def test_a_judgement_is_compiled_once_for_tenants_who_ask_in_turn():
    source, _, _ = bundles()
    first, second = compile_judgement(source, now=7, actor="me"), compile_judgement(source, now=8)
    assert first.types is second.types
    assert [(plan.now, plan.actor) for plan in (first, second)] == [(7, "me"), (8, None)]


def test_another_bundle_is_compiled_for_itself():
    source, again = bundles()[0], bundles()[0]
    assert compile_judgement(source).types is not compile_judgement(again).types
