"""What a program may hand to the operations: a slip is told, and never taken for a weaker check."""

import pytest

import cicsc
from unit.migration.documents import HISTORY, SOURCE, target_document

TARGET = target_document()


def refusal(**arguments):
    with pytest.raises(cicsc.UsageError) as caught:
        cicsc.preflight(SOURCE, TARGET, HISTORY, "m", **arguments)
    return caught.value.message


@pytest.mark.parametrize(
    ("equivalence", "message"),
    [
        ("every_event", "equivalence is no gate: expected final or every-event, found the string 'every_event', did you mean 'every-event'?"),
        (True, "equivalence is no gate: expected final or every-event, found true"),
    ],
)  # fmt: skip
def test_an_equivalence_that_does_not_exist_is_not_the_weaker_one(equivalence, message):
    assert refusal(equivalence=equivalence) == message


@pytest.mark.parametrize(("now", "found"), [("5", "the string '5'"), (5.0, "the number 5.0"), (True, "true"), (2**63, "the number 9223372036854775808")])  # fmt: skip
def test_now_is_an_integer(now, found):
    expected = "expected milliseconds since the epoch, an integer of at most 64 bits"
    assert refusal(now=now) == f"now is no moment: {expected}, found {found}"


def test_an_actor_is_text():
    assert refusal(actor=7) == "actor is no name: expected a string, found the number 7"
    with pytest.raises(cicsc.InputError, match="cannot read the actor: expected surrogates in pairs"):
        cicsc.verify_history(HISTORY, bundle=SOURCE, actor="\ud800")


@pytest.mark.parametrize(
    ("names", "found"),
    [("t", "a string"), (b"t", "an object"), (None, "null"), (["t", 1], "among them the integer 1"), (iter(["t"]), "an object")],
)  # fmt: skip
def test_names_are_a_list_and_not_one_text_whose_letters_would_pass(names, found):
    assert refusal(tenants=names) == f"tenants is no list of names: found {found}"
    assert refusal(accept_source_violations=names) == f"accept_source_violations is no list of names: found {found}"


@pytest.mark.parametrize("migration", [None, ["m"], 7])
def test_a_migration_is_text(migration):
    for operation in (
        lambda: cicsc.preflight(SOURCE, TARGET, HISTORY, migration),
        lambda: cicsc.dry_run(SOURCE, TARGET, HISTORY, migration),
        lambda: cicsc.rollback(TARGET, HISTORY, migration),
        lambda: cicsc.cutover_pause_migrate_resume("sqlite:///none.db", ["t"], TARGET, migration),
        lambda: cicsc.roll_back_live("sqlite:///none.db", "t", migration),
    ):
        with pytest.raises(cicsc.UsageError, match=r"^migration is no name: expected a string, found "):
            operation()


@pytest.mark.parametrize(("tenant", "found"), [(["t"], "a list of 1"), (None, "null")])
def test_a_tenant_is_text(tenant, found):
    for operation in (
        lambda: cicsc.create_tenant("sqlite:///none.db", tenant, SOURCE, actor_id="ann", version=1),
        lambda: cicsc.roll_back_live("sqlite:///none.db", tenant, "m"),
    ):
        with pytest.raises(cicsc.UsageError, match=f"^tenant is no name: expected a string, found {found}$"):
            operation()


def test_no_tenant_is_made_that_no_command_could_name():
    with pytest.raises(cicsc.UsageError, match=r"^tenant is no name: expected at least one character, found none$"):
        cicsc.create_tenant("sqlite:///none.db", "", SOURCE, actor_id="ann", version=1)


CALLS = {
    "verify_history": lambda names: cicsc.verify_history(HISTORY, tenants=names),
    "replay_history": lambda names: list(cicsc.replay_history(HISTORY, SOURCE, tenants=names)),
    "rollback": lambda names: cicsc.rollback(TARGET, HISTORY, "m", tenants=names),
    "read_history": lambda names: cicsc.read_history(HISTORY, tenants=names),
    "finalize": lambda names: cicsc.finalize("sqlite:///none.db", names, execute=True),
    "tenant_status": lambda names: cicsc.tenant_status(None, names),
    "cutover": lambda names: cicsc.cutover_pause_migrate_resume("sqlite:///none.db", names, TARGET, "m", execute=True),
}


@pytest.mark.parametrize("operation", CALLS)
def test_every_operation_wants_a_list_of_tenants(operation):
    with pytest.raises(cicsc.UsageError, match="tenants is no list of names"):
        CALLS[operation]("tu")


def test_an_import_wants_a_list_of_tenants(tmp_path):
    store = f"sqlite:///{tmp_path}/s.db"
    cicsc.initialise_store(store)
    with pytest.raises(cicsc.UsageError, match="tenants is no list of names"):
        cicsc.import_history(store, HISTORY, tenants="tu", actor_id="me")


def test_no_tenants_at_all_are_not_done_with_a_yes():
    for call in (CALLS["cutover"], CALLS["finalize"]):
        with pytest.raises(cicsc.UsageError, match="expected the names of tenants, or None for all, found an empty"):
            call([])


def test_an_export_is_from_a_store(tmp_path):
    with pytest.raises(cicsc.UsageError, match="cannot export from str: expected a StoreSource"):
        cicsc.export_history("events.jsonl", tmp_path / "out.jsonl")


@pytest.mark.parametrize("entity", [["Account", "1"], "ab", ("Account",), ("Account", 1)], ids=repr)
def test_an_entity_is_a_pair_of_texts(entity):
    with pytest.raises(cicsc.UsageError, match="expected a tuple of its type and its id"):
        list(cicsc.replay_history(HISTORY, SOURCE, entity=entity))


def test_a_digest_and_workers_of_another_type_are_told():
    assert refusal(expected_hash=5).endswith("found the number 5")
    assert refusal(workers="2") == "workers is '2', expected a whole number from 1"
    assert refusal(workers=2.0) == "workers is 2.0, expected a whole number from 1"
