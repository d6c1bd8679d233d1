"""Every engine gives the bytes of the in-process one: artifact, migrated history, positions, digests, errors."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import cicsc
from cicsc.errors import InputError
from conformance.engine.conftest import IN_PROCESS, Engine
from e2e.shop import diverging_target, source, target
from e2e.shop import event as shop_event
from properties.applications import MIGRATION_ID
from properties.strategies import Seeded
from properties.test_determinism import write_history
from properties.test_migration_oracle import draw_case

Events = list[dict[str, Any]]
MIGRATION = "v0_to_v1"


def paid_orders(*, tenants: int, orders: int, seed: int = 1) -> Events:
    """Streams of a few tenants, in no order."""
    draw = random.Random(seed)
    events = []
    for tenant in range(tenants):
        for order in range(orders):
            for seq, kind in enumerate(("placed", "noted", "paid")[: 1 + draw.randrange(3)], 1):
                fields = {"total": draw.randrange(100), "weight": draw.random(), "note": "x" * draw.randrange(9)}
                events.append(shop_event(seq, kind, fields, tenant=f"t{tenant}", entity=f"o{order}"))
    draw.shuffle(events)
    return events


def one_order(seqs: Iterable[int], text: str = "") -> Events:
    """One stream, as long as there are seqs, whose migration is in order."""
    return [
        shop_event(seq, "placed", {"total": 5}) if seq == 1 else shop_event(seq, "noted", {"text": text or str(seq)})
        for seq in seqs
    ]


def text_of(events: Events, separators: tuple[str, str] = (",", ":")) -> bytes:
    return "".join(json.dumps(event, separators=separators, ensure_ascii=False) + "\n" for event in events).encode()


def laid_out(folder: Path, data: bytes, name: str = "events.jsonl") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def with_a_query(document: dict[str, Any], most: int) -> dict[str, Any]:
    """Let at most so many orders of a tenant be paid."""
    steps = [{"filter": {"in": {"needle": {"var": {"row": {"field": "state"}}}, "haystack": {"arr": {"items": [
        {"lit": {"string": "paid"}}, {"lit": {"string": "closed"}}]}}}}}]  # fmt: skip
    query = {"source": {"snap": {"type": "Order"}}, "pipeline": steps}
    holds = {"le": [{"var": {"rows_count": True}}, {"lit": {"int": most}}]}
    document["core_ir"]["constraints"]["few_paid"] = {
        "kind": "bool_query", "on_type": "Order", "args": {}, "query": query, "assert": holds,
    }  # fmt: skip
    return document


@pytest.mark.parametrize("seed", range(8))
def test_generated_applications(tmp_path: Path, engine: Engine, seed: int) -> None:
    case = draw_case(Seeded(seed))
    history = write_history(tmp_path / "events.jsonl", case.events)
    inputs = (case.source, case.target, history, MIGRATION_ID)
    assert engine.dry_run(tmp_path, *inputs) == IN_PROCESS.dry_run(tmp_path, *inputs)


@pytest.mark.parametrize("most", [0, 2, 30])
@pytest.mark.parametrize("equivalence", ["final", "every-event"])
@pytest.mark.parametrize("document", [target, diverging_target])
def test_tenants_that_are_cut(tmp_path: Path, engine: Engine, document: Any, equivalence: str, most: int) -> None:
    history = laid_out(tmp_path, text_of(paid_orders(tenants=3, orders=20)))
    inputs = (with_a_query(source(), most), with_a_query(document(), most), history, MIGRATION)
    expected = IN_PROCESS.dry_run(tmp_path, *inputs, equivalence=equivalence)
    assert engine.dry_run(tmp_path, *inputs, equivalence=equivalence) == expected
    assert expected["ok"] is (document is target and most == 30)


def test_findings(tmp_path: Path, engine: Engine) -> None:
    events = paid_orders(tenants=2, orders=12)
    for index in (3, 17, 18, 29):
        events[index]["seq"] += 1
    malformed = [{**events[0], "ts": "soon"}, {**events[1], "tenant_id": None}]
    for damaged in (events, events + malformed):
        history = laid_out(tmp_path, text_of(damaged))
        inputs = (with_a_query(source(), 3), with_a_query(target(), 3), history, MIGRATION)
        expected = IN_PROCESS.dry_run(tmp_path, *inputs)
        assert engine.dry_run(tmp_path, *inputs) == expected
        assert expected["ok"] is False
        assert engine.verify(history) == IN_PROCESS.verify(history)


TEXTS = {
    "empty": b"",
    "one line": text_of(paid_orders(tenants=1, orders=1)),
    "no last line feed": text_of(paid_orders(tenants=2, orders=3)).rstrip(),
    "CR LF": text_of(paid_orders(tenants=2, orders=3)).replace(b"\n", b"\r\n"),
    "blank lines": b"\n\n" + text_of(paid_orders(tenants=2, orders=3)).replace(b"\n", b"\n \n\n"),
    "a byte order mark": b"\xef\xbb\xbf" + text_of(paid_orders(tenants=2, orders=3)),
    "spaces": text_of(paid_orders(tenants=2, orders=9), (", ", ": ")),
    "extra fields": text_of([{"note": "é", **event} for event in paid_orders(tenants=2, orders=9)]),
    "a field named extra": text_of([{**event, "extra": {"a": 1}} for event in paid_orders(tenants=2, orders=9)]),
    "one long stream": text_of(one_order(range(300, 0, -1))),
}


@pytest.mark.parametrize("data", TEXTS.values(), ids=TEXTS)
def test_texts(tmp_path: Path, engine: Engine, data: bytes) -> None:
    history = laid_out(tmp_path, data)
    inputs = (source(), target(), history, MIGRATION)
    assert engine.dry_run(tmp_path, *inputs) == IN_PROCESS.dry_run(tmp_path, *inputs)
    assert engine.verify(history, bundle=source()) == IN_PROCESS.verify(history, bundle=source())


def test_a_large_stream_is_folded_in_pieces(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cicsc.history.merging.HELD_EVENTS_MAX", 20)
    events = one_order(random.Random(2).sample(range(1, 301), 300)) + paid_orders(tenants=2, orders=3)
    inputs = (source(), target(), laid_out(tmp_path, text_of(events)), MIGRATION)
    expected = IN_PROCESS.dry_run(tmp_path, *inputs)
    assert engine.dry_run(tmp_path, *inputs) == expected
    assert expected["ok"] is True


@pytest.mark.parametrize("name", ["events.json", "events.jsonl.gz", "events.parquet"])
def test_inputs_that_one_process_reads(tmp_path: Path, engine: Engine, name: str) -> None:
    events = paid_orders(tenants=2, orders=9)
    if name.endswith(".json"):
        history = laid_out(tmp_path, json.dumps(events).encode(), name)
    elif name.endswith(".gz"):
        history = laid_out(tmp_path, gzip.compress(text_of(events)), name)
    else:
        history = laid_out(tmp_path, text_of(events))
        cicsc.dry_run(source(), source_again(), history, MIGRATION, out_events=tmp_path / name, workers=1)
        history = tmp_path / name
    inputs = (source(), target(), history, MIGRATION)
    if name.endswith(".json") and engine.name.startswith("spark"):
        with pytest.raises(InputError, match="found the beginning of an array"):
            engine.dry_run(tmp_path, *inputs)
        return
    assert engine.dry_run(tmp_path, *inputs) == IN_PROCESS.dry_run(tmp_path, *inputs)


def source_again() -> dict[str, Any]:
    """A version that is the source's, under a migration that changes nothing."""
    document = source()
    document["bundle_version"] = 1
    migration = {"from_version": 0, "to_version": 1, "on_type": "Order", "event_transforms": {}}
    document["core_ir"]["migrations"] = {MIGRATION: migration}
    return document


@pytest.mark.parametrize(
    ("events", "positions"),
    [
        ("e.json", "p.csv"),
        ("e.jsonl.gz", "p.json"),
        ("e.ndjson.zst", "p.csv.zst"),
        ("e.json.gz", "p.parquet"),
        ("e.parquet", "p.json.zst"),
    ],
)
def test_outputs(tmp_path: Path, engine: Engine, events: str, positions: str) -> None:
    history = laid_out(tmp_path, text_of([{**event, "mark": 2.0} for event in paid_orders(tenants=2, orders=20)]))
    inputs = (source(), target(), history, MIGRATION)
    names = ("a.json", events, positions)
    assert engine.dry_run(tmp_path, *inputs, names=names) == IN_PROCESS.dry_run(tmp_path, *inputs, names=names)


def test_one_tenant_and_an_expected_hash(tmp_path: Path, engine: Engine) -> None:
    history = laid_out(tmp_path, text_of(paid_orders(tenants=3, orders=9)))
    for options in ({"tenants": ["t1"]}, {"expected_hash": "0" * 64, "now": 5, "actor": "me"}):
        inputs = (source(), target(), history, MIGRATION)
        assert engine.dry_run(tmp_path, *inputs, **options) == IN_PROCESS.dry_run(tmp_path, *inputs, **options)


def test_nothing_can_be_migrated(tmp_path: Path, engine: Engine) -> None:
    history = laid_out(tmp_path, text_of(paid_orders(tenants=2, orders=9)))
    for inputs in ((source(), target(), history, "other"), ({}, target(), history, MIGRATION)):
        assert engine.dry_run(tmp_path, *inputs) == IN_PROCESS.dry_run(tmp_path, *inputs)


BROKEN = {
    "no JSON": b'{"tenant_id": "t1", ...}',
    "a repeated key": b'{"a": 1, "a": 2}',
    "invalid UTF-8": b'"\xff"',
    "not a number": b"NaN",
    "the beginning of an array": b"[",
}


@pytest.mark.parametrize("line", [1, 2, 30, 59, 60])
@pytest.mark.parametrize("fault", BROKEN.values(), ids=BROKEN)
def test_errors_name_the_same_line(tmp_path: Path, engine: Engine, fault: bytes, line: int) -> None:
    lines = text_of(paid_orders(tenants=4, orders=20)).splitlines()[:60]
    lines[line - 1] = fault
    for data in (lines, [*lines[:line], b"", b"}", *lines[line:]]):
        history = laid_out(tmp_path, b"\n".join(data) + b"\n")
        expected = refusal(IN_PROCESS, history)
        assert refusal(engine, history) == expected
        assert f"line {line}" in expected[1]


def refusal(engine: Engine, history: Path) -> tuple[str, str, str | None]:
    with pytest.raises(InputError) as raised:
        engine.verify(history)
    return raised.value.code, raised.value.message, raised.value.hint
