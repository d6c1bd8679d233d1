"""Parquet that is none, lacks columns, or has columns of other types."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from bad_input.desk import Desk, dry_run, verify
from e2e.shop import history

TEXT = ("tenant_id", "entity_type", "entity_id", "event_type", "actor_id")


def columns() -> dict[str, Any]:
    rows = history()
    found = {name: [row[name] for row in rows] for name in rows[0]}
    return {**found, "payload": [json.dumps(payload) for payload in found["payload"]]}


def table(desk: Desk, name: str = "e.parquet", **changed: Any) -> str:
    """Write the history with some columns changed, or left out where None."""
    made = {key: value for key, value in {**columns(), **changed}.items() if value is not None}
    parquet.write_table(pa.table(made), desk.folder / name)
    return name


def everything(events: str) -> tuple[str, ...]:
    return dry_run("--out-events", "o.parquet", "--out-positions", "p.parquet", "--artifact", "a.json", events=events)


def test_the_history_itself_is_read(desk: Desk) -> None:
    assert desk.does(*verify(table(desk)))["digest"] == desk.does(*verify("events.v0.json"))["digest"]


@pytest.mark.parametrize(
    "data",
    [b"PAR1", b"PAR1PAR1", b"PAR1" + b"\0" * 100 + b"PAR1", b"[]", b"\0" * 64],
    ids=["magic", "both", "zeros", "json", "nul"],
)
def test_file_that_is_no_parquet(desk: Desk, data: bytes) -> None:
    desk.refuses(*everything(desk.put("e.parquet", data)), code="PARQUET_INVALID", says="'e.parquet' as parquet")


def test_empty_parquet_file(desk: Desk) -> None:
    desk.refuses(*everything(desk.put("e.parquet", b"")), code="PARQUET_INVALID", says="'e.parquet'")


@pytest.mark.parametrize("kept", [0.2, 0.8, 0.99])
def test_truncated_parquet(desk: Desk, kept: float) -> None:
    data = desk.read(table(desk))
    desk.refuses(
        *everything(desk.put("e.parquet", data[: int(kept * len(data))])), code="PARQUET_INVALID", says="'e.parquet'"
    )


def test_damaged_pages(desk: Desk) -> None:
    data = bytearray(desk.read(table(desk)))
    data[20:400] = bytes(byte ^ 0x5A for byte in data[20:400])
    before_name = desk.put("e.parquet", bytes(data))
    before = desk.state()
    said = desk.call(*everything(before_name))

    assert said.code in {1, 2}, said
    assert said.report["ok"] is False
    assert {name: found for name, found in desk.state().items() if name != "a.json"} == before


@pytest.mark.parametrize("field", [*TEXT, "seq", "ts", "payload"])
def test_column_that_is_missing(desk: Desk, field: str) -> None:
    desk.refuses(
        *everything(table(desk, **{field: None})),
        code="PARQUET_COLUMNS",
        says=("'e.parquet'", f"column '{field}': expected, not found"),
    )


def test_all_missing_columns_are_named(desk: Desk) -> None:
    parquet.write_table(pa.table({"id": [1]}), desk.folder / "e.parquet")
    error = desk.refuses(
        *everything("e.parquet"),
        code="PARQUET_COLUMNS",
        says=tuple(f"column '{name}'" for name in (*TEXT, "seq", "ts", "payload")),
    )

    assert "payload" in error["hint"]


@pytest.mark.parametrize(
    ("field", "values", "expected"),
    [
        *((field, [1, 2, 3, 4, 5], "expected strings, found int64") for field in TEXT),
        ("tenant_id", [b"a"] * 5, "expected strings, found binary"),
        ("entity_id", [["a"]] * 5, "expected strings, found list"),
        ("seq", ["1"] * 5, "expected integers, found string"),
        ("seq", [True] * 5, "expected integers, found bool"),
        ("ts", pa.array([0] * 5, pa.timestamp("ms")), "expected integers, found timestamp"),
        ("payload", [1] * 5, "expected JSON text, structs or maps, found int64"),
        ("payload", [["a"]] * 5, "expected JSON text, structs or maps, found list"),
        ("payload", [None] * 5, "expected JSON text, structs or maps, found null"),
    ],
)
def test_column_of_another_type(desk: Desk, field: str, values: Any, expected: str) -> None:
    desk.refuses(
        *everything(table(desk, **{field: values})), code="PARQUET_COLUMNS", says=(f"column '{field}'", expected)
    )


@pytest.mark.parametrize("field", [*TEXT, "seq", "ts", "payload"])
def test_null_in_a_column(desk: Desk, field: str) -> None:
    values = columns()[field]
    found = desk.finds(*verify(table(desk, **{field: [None, *values[1:]]})))["history_integrity"]

    assert found["counts"]["MALFORMED_EVENT"] == 1
    assert f"{field}: expected" in found["findings"][0]["message"]
    assert "found null" in found["findings"][0]["message"]


@pytest.mark.parametrize("text", ["{", "NaN", '{"a": 1, "a": 2}', '"\\ud800"', "[" * 200 + "]" * 200, "7" * 1001, ""])
def test_payload_text_that_is_no_strict_json(desk: Desk, text: str) -> None:
    payloads = columns()["payload"]
    before = desk.state()
    name = table(desk, payload=[*payloads[:2], text, *payloads[3:]])
    before[name] = desk.state()[name]
    said = desk.call(*everything(name))

    assert desk.refused(said, before, code=said.error["code"], says="the payload of 'e.parquet' row 2")[
        "code"
    ].startswith("JSON_")


@pytest.mark.parametrize("text", ["[]", "7", "null", '"{}"'])
def test_payload_text_that_is_no_object(desk: Desk, text: str) -> None:
    payloads = columns()["payload"]
    found = desk.finds(*verify(table(desk, payload=[*payloads[:4], text])))["history_integrity"]

    assert found["counts"] == {"MALFORMED_EVENT": 1}
    assert "payload: expected an object" in found["findings"][0]["message"]


def test_numbers_that_are_none(desk: Desk) -> None:
    name = table(desk, seq=[1.0, 2.0, float("nan"), 1.0, 1.0])
    before = desk.state()
    said = desk.call(*verify(name))

    assert said.code in {1, 2}
    assert "nan" in said.out.decode().lower()
    assert desk.state() == before


def test_values_that_json_cannot_say(desk: Desk) -> None:
    for column in (
        [b"\xff"] * 5,
        pa.array([0] * 5, pa.timestamp("ms")),
        pa.array([1] * 5, pa.decimal128(5, 2)),
        [float("inf")] * 5,
    ):
        name = table(desk, extra=column)
        desk.refuses(*verify(name), code="VALUE_NOT_JSON", says=("'e.parquet' row 0", "extra"))


def test_column_that_occurs_twice(desk: Desk) -> None:
    made = pa.table(columns())
    parquet.write_table(made.append_column("seq", made["seq"]), desk.folder / "e.parquet")
    desk.refuses(*everything("e.parquet"), code="PARQUET_COLUMNS", says="column 'seq' occurs more than once")


def test_parquet_by_another_name(desk: Desk) -> None:
    digest = desk.does(*verify("events.v0.json"))["digest"]
    data = desk.read(table(desk))
    assert desk.does(*verify(desk.put("e.bin", data)))["digest"] == digest
    assert desk.does(*verify("-"), stdin=data)["digest"] == digest
    assert desk.does(*verify(desk.put("e.parquet.gz", gzip.compress(data))))["digest"] == digest
    before = desk.state()
    said = desk.call(*verify(desk.put("lines.jsonl", data)))
    before["lines.jsonl"] = desk.state()["lines.jsonl"]
    assert desk.refused(said, before, code=said.error["code"], says="'lines.jsonl' at line 1")
