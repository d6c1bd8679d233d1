"""No text and no document makes the bundle parser fail otherwise than by its own errors; what it accepts runs."""

from __future__ import annotations

import json

import pytest

from cicsc.bundle.check_bundle import parse_bundle
from cicsc.bundle.model import Bundle
from cicsc.decoding import decode_json
from cicsc.engine.inprocess import migrate_history
from cicsc.errors import InputError
from cicsc.history.sorted import open_history
from cicsc.migration.inverse import reversibility
from cicsc.migration.plan import compile_judgement, compile_plan
from cicsc.migration.totality import holes, warnings
from cicsc.migration.undo import compile_undo
from e2e.shop import source, target
from fuzz.mutation import Pieces, each_shard, inputs, marks, mutated_bytes, mutated_document, tried
from unit.bundle.documents import bundle

pytestmark = marks

TEXTS = 10_000
DOCUMENTS = 16_000

EXAMPLES = [bundle(), source(), target()]
CORPUS = [json.dumps(document).encode() for document in EXAMPLES]
PIECES = Pieces(EXAMPLES)
EVENTS = [
    {
        "tenant_id": "t",
        "entity_type": entity_type,
        "entity_id": str(number),
        "seq": seq,
        "event_type": event_type,
        "payload": {"amount": number, "sum": 0.5, "total": [1], "a": {"0": None}},
        "ts": seq,
        "actor_id": "",
    }
    for number, types in enumerate(
        [("opened", "paid", "noted"), ("created", "pinged", "closed"), ("placed", "x", "__class__")]
    )
    for entity_type in ("Order", "Customer")
    for seq, event_type in enumerate(types, 1)
]


def judged(document: object) -> None:
    """A document is a bundle that runs, or has problems that say where."""
    found, problems = parse_bundle(document)
    assert (found is None) is bool(problems)
    for problem in problems:
        assert problem.path.startswith("$")
        assert problem.message
        json.dumps([problem.path, problem.message]).encode()
    if found is not None:
        runs(found)


def runs(found: Bundle) -> None:
    """Judge a history by the bundle, and take each of its migrations there and back."""
    with open_history(EVENTS) as history:
        migrate_history(compile_judgement(found, now=5, actor=None), history)
        for migration in found.migrations.values():
            plan = compile_plan(found, found, migration, now=5, actor="a")
            verdict, _ = migrate_history(plan, history)
            assert verdict.source_events == len(EVENTS)
            assert holes(found, found, migration) is not None
            assert warnings(found, found, migration) is not None
            obstacles = reversibility(migration, found)
            compile_undo(migration, found, only_inspect=not obstacles.reversible)


def decoded(data: bytes) -> None:
    try:
        document = decode_json(data, "bundle")
    except InputError as error:
        refused = (error.code[:5], "bundle" in error.message)
    else:
        refused = None
    if refused is not None:
        assert refused == ("JSON_", True)
        return
    json.dumps(document)
    judged(document)


@each_shard
def test_texts(shard: int) -> None:
    for chance in inputs("bundle texts", shard, TEXTS):
        data = mutated_bytes(chance, CORPUS)
        tried(data, lambda data=data: decoded(data))


@each_shard
def test_documents(shard: int) -> None:
    accepted = 0
    for chance in inputs("bundle documents", shard, DOCUMENTS):
        document = mutated_document(chance, chance.choice(EXAMPLES), PIECES)
        tried(document, lambda document=document: judged(document))
        accepted += parse_bundle(document)[0] is not None
    assert accepted, "no mutated bundle was valid, so nothing was run"


@pytest.mark.parametrize("step", ["limit", "offset"])
@pytest.mark.parametrize("count", [2**63 - 1, 2**63, 10**999], ids=["63-bits", "64-bits", "1000-digits"])
def test_counts_of_rows_beyond_what_a_machine_counts(step: str, count: int) -> None:
    document = bundle()
    document["core_ir"]["constraints"]["few_open"]["query"]["pipeline"][-1] = {step: count}
    judged(document)
