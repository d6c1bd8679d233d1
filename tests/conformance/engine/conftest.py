"""The engines that pass this suite; each runs the operations, and must give the bytes of the first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cicsc
import native
from cicsc.engine import choice, pool, reading, shares, workers
from cicsc.engine.parts import RowStore
from cicsc.engine.spark import session
from cicsc.history import ranges, runs, sorting

OUTPUTS = ("artifact.json", "events.jsonl", "positions.jsonl")


@dataclass(frozen=True)
class Engine:
    """A way to run the operations: what it is given at each call."""

    name: str
    options: dict[str, Any]

    def dry_run(self, folder: Path, *inputs: Any, names: tuple[str, ...] = OUTPUTS, **options: Any) -> dict[str, Any]:
        """Run and return all that came of it: the report, and the bytes of each output, None where there is none."""
        place = folder / self.name
        place.mkdir(exist_ok=True)
        paths = dict(zip(("artifact", "out_events", "out_positions"), (place / name for name in names), strict=False))
        report = cicsc.dry_run(*inputs, **paths, **options, **self.options)
        written = {path.name: path.read_bytes() if path.exists() else None for path in paths.values()}
        return {"ok": report.ok, "artifact": report.artifact.to_json(), **written}

    def verify(self, *inputs: Any, **options: Any) -> bytes:
        """Verify a history and return the report."""
        return cicsc.verify_history(*inputs, **options, **self.options).to_json()


IN_PROCESS = Engine("in-process", {"workers": 1})


def _everything_shared(monkeypatch: pytest.MonkeyPatch, temporary: Path) -> None:
    """Share however little there is, in copies of this process."""
    monkeypatch.setattr(workers, "SHARED_BYTES_MIN", 0)
    monkeypatch.setattr(choice, "forks_safely", lambda: True)
    monkeypatch.setattr(pool, "forks_safely", lambda: True)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))


def _cut_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the file at every line and the streams at every key, and spill at every turn."""
    monkeypatch.setattr(ranges, "RANGE_BYTES", 1)
    monkeypatch.setattr(runs, "PIECE_BYTES", 1)
    monkeypatch.setattr(runs, "MARK_BYTES", 1)
    monkeypatch.setattr(runs, "BLOCK_EVENTS_MAX", 2)
    monkeypatch.setattr(shares, "SHARES_PER_WORKER", 1_000)
    monkeypatch.setattr(reading, "MEMORY_BYTES_MAX", 3_000)
    monkeypatch.setattr(sorting, "RUNS_MAX", 7)
    monkeypatch.setattr("cicsc.engine.parts.RowStore", lambda folder: RowStore(1, folder))
    monkeypatch.setattr("cicsc.engine.spool.Spool.__init__.__defaults__", (None, 50))


def _many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Spark cut files after every few lines, and streams into several parts."""
    monkeypatch.setattr(session, "READ_BYTES", 3_000)
    monkeypatch.setattr("cicsc.engine.spark.history.PART_EVENTS", 1)
    monkeypatch.setattr("cicsc.engine.spark.history.PARTS_MAX", 7)


PYSPARK_WARNS = pytest.mark.filterwarnings(
    "ignore:unclosed <socket.socket:ResourceWarning",  # it leaves those of its results to the garbage collector
    "ignore:distutils Version classes are deprecated:DeprecationWarning",  # it compares versions with them
)
ON_SPARK = [pytest.param(name, marks=PYSPARK_WARNS) for name in ("spark", "spark-cut-everywhere")]


QUICK_ON_SPARK = {
    "test_texts": {"spark-CR LF"},
    "test_outputs": {"spark-e.jsonl.gz-p.json"},
    "test_errors_name_the_same_line": {"spark-the beginning of an array-1"},
}
"""Cases that are not left to the slow tests."""


CI_ON_SPARK = {
    "test_generated_applications": {"spark-0", "spark-cut-everywhere-1"},
    "test_tenants_that_are_cut": {"spark-diverging_target-final-2", "spark-cut-everywhere-target-final-2"},
    "test_findings": {"spark"},
    "test_texts": {
        "spark-empty",
        "spark-no last line feed",
        "spark-CR LF",
        "spark-a byte order mark",
        "spark-extra fields",
    },
    "test_outputs": {"spark-e.jsonl.gz-p.json", "spark-e.parquet-p.json.zst"},
    "test_errors_name_the_same_line": {"spark-the beginning of an array-1", "spark-cut-everywhere-not a number-30"},
}
"""Cases that are not left to the full run; of tests that have no entry, all."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spark takes a second where others take a hundredth: it goes through a choice of the cases, most of them as slow."""
    items[:] = [item for item in items if _is_chosen(item, getattr(item, "callspec", None))]
    for item in items:
        spec = getattr(item, "callspec", None)
        test = item.name.partition("[")[0]
        if not _on_spark(spec):
            if spec is not None and "engine" in spec.params and not _is_quick_on_workers(test, spec.params):
                item.add_marker(pytest.mark.slow)
            continue
        if not _is_quick_on_spark(test, spec.id):
            item.add_marker(pytest.mark.slow)
        if spec.id not in CI_ON_SPARK.get(test, {spec.id}):
            item.add_marker(pytest.mark.full)


def _on_spark(spec: Any) -> bool:
    return spec is not None and str(spec.params.get("engine", "")).startswith("spark")


def _is_chosen(item: pytest.Item, spec: Any) -> bool:
    if not _on_spark(spec):
        return True
    test = item.name.partition("[")[0]
    if test == "test_errors_name_the_same_line":
        return spec.params["line"] in {1, 30} and spec.params["fault"] in {b"NaN", b"["}
    if test == "test_tenants_that_are_cut":
        return spec.params["most"] == 2 and spec.params["equivalence"] == "final"
    if test == "test_generated_applications":
        return spec.params["seed"] < 3
    if item.path.stem != "test_same_bytes":
        return False
    return not spec.id.startswith("spark-cut-everywhere") or test == "test_findings"


def _is_quick_on_spark(test: str, case: str) -> bool:
    return case in QUICK_ON_SPARK.get(test, ())


def _is_quick_on_workers(test: str, params: dict[str, Any]) -> bool:
    if params["engine"] in {"workers-1", "workers-3"} or (params["engine"] == "workers-2" and len(params) > 1):
        return False
    if test == "test_errors_name_the_same_line":
        return params["line"] in {1, 60}
    if test == "test_tenants_that_are_cut":
        return params["equivalence"] == "final"
    return test != "test_generated_applications" or params["seed"] < 3


@pytest.fixture(scope="session")
def spark() -> Iterator[None]:
    """A Spark of two cores that all tests of this process share."""
    with session.spark_session("local[2]"):
        yield


@pytest.fixture(params=["workers-1", "workers-2", "workers-2-pure", "workers-3", "workers-2-cut-everywhere", *ON_SPARK])
def engine(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine other than the in-process one; it leaves no temporary file behind."""
    temporary = tmp_path_factory.mktemp("temporary")
    if request.param.startswith("spark"):
        request.getfixturevalue("spark")
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        if request.param.endswith("cut-everywhere"):
            _many_parts(monkeypatch)
        yield Engine(request.param, {"engine": "spark"})
        assert list(temporary.iterdir()) == []
        return
    _everything_shared(monkeypatch, temporary)
    if request.param == "workers-1":
        monkeypatch.setattr(pool, "WORKERS_MAX", 1)  # the same way with one process, which is not taken otherwise
    if request.param.endswith("cut-everywhere"):
        _cut_everywhere(monkeypatch)
    if request.param.endswith("pure"):
        native.go("pure", monkeypatch)
    count = max(2, int(request.param.split("-")[1]))
    yield Engine(request.param, {"workers": count})
    assert list(temporary.iterdir()) == []
